"""What is left of a job once it is over: one small file, all that tables and figures are made of.

It is small enough to be kept with the study and carried elsewhere: a job whose record is there is over, with or without
its run and masks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crgan.config import Config
from crgan.errors import fail
from crgan.evaluation.metrics import Metrics
from crgan.evaluation.scores import Scores
from crgan.files import atomic_write, read_json
from crgan.study.dial_sweep import DialSweep
from crgan.study.sweeping import Sweep

FORMAT = 1
RECORD = "result.json"
SYSTEM, GENERATOR = "system", "generator"
"""Rows of a job: the whole, and where it has a refiner, its generator alone."""
METRICS = (
    *("dice", "fnr", "fpr", "fpr_foreground", "precision", "rvd", "hausdorff_mm", "hd95_mm", "assd_mm"),
    *("lesion_f1", "lesion_sensitivity", "lesion_dice_under_10mm", "lesion_dice_from_10mm", "seg"),
)
"""What is kept of the scores, as far as it was measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one row of a job came to.

    Parameters
    ----------
    scores
        Of the test cases, by the system's own decision.
    validation, test
        What every threshold gives on the run's own validation patients, and on the test patients.
    """

    scores: Scores
    validation: Sweep
    test: Sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The record of a job.

    Parameters
    ----------
    settings
        Digest of the settings it was trained with.
    trained_on
        Number of patients.
    minutes
        What its training took; a generator that was taken over counts as if it had been trained anew.
    journal
        The figures of every validation, as in the run's ``metrics.csv``.
    rows
        By :data:`SYSTEM` and :data:`GENERATOR`.
    dial
        The run's own (p, q) by target.
    dial_sweep
        What other places of the dial give on the test cases; None without a refiner.
    versions
        Of what it was made with.
    """

    settings: str
    trained_on: int
    minutes: float
    journal: Sequence[Mapping[str, str]]
    rows: Mapping[str, Measured]
    dial: Mapping[str, Sequence[float]]
    dial_sweep: DialSweep | None = None
    versions: Mapping[str, str]

    def write(self, path: Path) -> None:
        """Write it as compact JSON, atomically."""
        data = {
            "format": FORMAT,
            "settings": self.settings,
            "trained_on": self.trained_on,
            "minutes": _rounded(self.minutes),
            "versions": dict(self.versions),
            "dial": {target: list(setting) for target, setting in self.dial.items()},
            "dial_sweep": self.dial_sweep and asdict(self.dial_sweep),
            "journal": [dict(row) for row in self.journal],
            "rows": {
                name: {"scores": _scores_to_json(row.scores), "validation": row.validation.to_json(), "test": row.test.to_json()}
                for name, row in self.rows.items()
            },
        }
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(data, separators=(",", ":"), allow_nan=False) + "\n", encoding="utf-8")


def read_record(path: Path, *, settings: str) -> Record:
    """Read what :meth:`Record.write` wrote.

    Raises
    ------
    CrganError
        If it cannot be read, or the job had other settings.
    """
    data = read_json(path)
    try:
        record = Record(
            settings=data["settings"],
            trained_on=data["trained_on"],
            minutes=data["minutes"],
            versions=data["versions"],
            dial={target: (setting[0], setting[1]) for target, setting in data["dial"].items()},
            dial_sweep=None if data["dial_sweep"] is None else DialSweep(**data["dial_sweep"]),
            journal=data["journal"],
            rows={
                name: Measured(
                    scores=_scores_from_json(row["scores"]),
                    validation=Sweep.from_json(row["validation"]),
                    test=Sweep.from_json(row["test"]),
                )
                for name, row in data["rows"].items()
            },
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise fail(
            "The record of a job cannot be used.",
            where=path,
            expected="what crgan study wrote",
            got=f"{type(error).__name__}: {error}",
            fix="remove it: the study then does the job again",
        ) from error
    if data.get("format") != FORMAT or record.settings != settings:
        raise fail(
            "The job was done with other settings than the study has now, or by another version.",
            where=path,
            fix="give the study another --out, or remove the folder of this job: the study then does it again",
        )
    return record


def settings_digest(config: Config) -> str:
    """A short text that is another one for other settings; where data lie and what computes does not matter."""
    exclude: Any = {"device": True, "threads": True, "logger": True, "data": {"split", "cache"}}
    # Without defaults, so that a later version with more settings goes on with the study.
    values = config.model_dump(mode="json", exclude_defaults=True, exclude=exclude)
    values = {name: value for name, value in values.items() if value != {}}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]


def _scores_to_json(scores: Scores) -> dict[str, Any]:
    """Columns of figures in the order of the cases, so that names stand once."""
    return {
        "patients": {case: scores.patients[case] for case in scores.cases},
        "settings": scores.to_json()["settings"],
        "targets": {
            target: {metric: [_rounded(case[target][metric]) for case in scores.cases.values()] for metric in METRICS if metric in metrics}
            for target, metrics in scores.summary.items()
        },
    }


def _scores_from_json(data: Mapping[str, Any]) -> Scores:
    cases: dict[str, dict[str, Metrics]] = {
        case: {target: {metric: column[index] for metric, column in columns.items()} for target, columns in data["targets"].items()}
        for index, case in enumerate(data["patients"])
    }
    return Scores.of(cases, patients=data["patients"], settings=data["settings"])


def _rounded(value: float | None) -> float | None:
    """Five digits: more than any table shows, and fewer than a file should carry."""
    return None if value is None else float(f"{value:.5g}")
