"""The result of an evaluation: every figure of every case, their means, and the files they are kept in."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from crgan.evaluation.case import CaseScores
from crgan.evaluation.metrics import Metrics
from crgan.evaluation.statistics import Mean, bootstrap_mean
from crgan.files import atomic_write, write_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Figures of each case and target, and their means over cases.

    Parameters
    ----------
    cases
        Value by case id, target and metric; None where a metric is undefined.
    summary
        Mean by target and metric.
    patients
        Whose each case is, by case id.
    settings
        What the figures depend on, by name.
    """

    cases: Mapping[str, Mapping[str, Metrics]]
    summary: Mapping[str, Mapping[str, Mean]]
    patients: Mapping[str, str]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, cases: Mapping[str, Mapping[str, Metrics]], *, patients: Mapping[str, str], settings: Mapping[str, Any] | None = None
    ) -> Scores:
        """Summarise the figures of all cases; ``patients`` says whose each case is."""
        owners = [patients[case] for case in cases]
        first = next(iter(cases.values()), {})
        summary = {
            target: {metric: bootstrap_mean([cases[case][target][metric] for case in cases], owners) for metric in metrics}
            for target, metrics in first.items()
        }
        return cls(cases=cases, summary=summary, patients=dict(patients), settings=settings or {})

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Scores:
        """Read what :meth:`to_json` gave; without ``patients``, as version 0.1.0 wrote it, each case is a patient."""
        summary = {target: {metric: Mean(**mean) for metric, mean in means.items()} for target, means in data["summary"].items()}
        patients = data.get("patients") or {case: case for case in data["cases"]}
        return cls(cases=data["cases"], summary=summary, patients=patients, settings=data.get("settings", {}))

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``scores.json``: ``{"cases": {ID: {TARGET: {METRIC: value}}}, "summary": {TARGET: {METRIC: {…}}}, …}``."""
        return {
            "cases": {case: {target: dict(metrics) for target, metrics in targets.items()} for case, targets in self.cases.items()},
            "summary": {target: {metric: asdict(mean) for metric, mean in means.items()} for target, means in self.summary.items()},
            "patients": dict(self.patients),
            "settings": {name: list(value) if isinstance(value, tuple) else value for name, value in self.settings.items()},
        }

    def write_json(self, path: Path) -> None:
        """Write :meth:`to_json`, atomically."""
        write_json(path, self.to_json())

    def write_csv(self, path: Path) -> None:
        """Write one line per case and target, one column per metric, an empty field where undefined; atomically."""
        metrics = list(next(iter(self.summary.values()), {}))
        with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["case", "target", *metrics])
            for case, targets in self.cases.items():
                for target, values in targets.items():
                    writer.writerow([case, target, *("" if values[metric] is None else values[metric] for metric in metrics)])


def write_lesions(path: Path, found: Mapping[str, CaseScores]) -> None:
    """Write one line per lesion: whose it is, its diameter, whether it was found, and how well; atomically.

    Only the heading where there are no lesions, or none were looked for.
    """
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["case", "target", "diameter_mm", "found", "dice", "assd_mm"])
        for case, scored in found.items():
            for target, lesions in scored.lesions.items():
                for diameter, hit, dice, assd in zip(lesions.diameter_mm, lesions.found, lesions.dice, lesions.assd_mm, strict=True):
                    writer.writerow([case, target, f"{diameter:.4g}", int(hit), f"{dice:.4g}", "" if math.isnan(assd) else f"{assd:.4g}"])
