"""The scores of a study's systems, each over all of its seeds and folds, and how they compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crgan.evaluation.compare import SystemComparison, compare_scores, read_scores
from crgan.evaluation.metrics import Metrics
from crgan.evaluation.scores import Scores
from crgan.study.job import GENERATOR_SCORES, SCORES
from crgan.study.plan import REFINED, Row, Study, job_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class SetResults:
    """What a study found on one data set.

    Parameters
    ----------
    name
        Of the data set.
    rows
        The scores of each row of the tables, in their order.
    comparison
        Of every two rows on the same patients; None if there is only one.
    """

    name: str
    rows: Mapping[str, Scores]
    comparison: SystemComparison | None


def gather(study: Study, set_name: str, out: Path) -> SetResults:
    """Read the scores of all jobs of a data set.

    A case's figures are averaged over the seeds before anything else: seeds are no patients, and do not narrow an
    interval over patients. With a refiner there is a row more, for the generator alone.
    """
    rows: dict[str, Scores] = {}
    for row in study.systems:
        refined = study.refined(row)
        if refined is not None:
            rows[row.label] = _of(study, set_name, refined, out, GENERATOR_SCORES)
            continue
        if row.system.endswith(REFINED) and not any(study.refined(other) is row for other in study.systems):
            rows[f"{row.label}, its generator alone"] = _of(study, set_name, row, out, GENERATOR_SCORES)
        rows[row.label] = _of(study, set_name, row, out, SCORES)
    return SetResults(name=set_name, rows=rows, comparison=compare_scores(rows) if len(rows) > 1 else None)


def _of(study: Study, set_name: str, row: Row, out: Path, kind: str) -> Scores:
    by_case: dict[str, list[Mapping[str, Metrics]]] = {}
    patients: dict[str, str] = {}
    settings = {}
    for seed in row.seeds or study.seeds:
        for fold in study.sets[set_name].folds or (None,):
            scores = read_scores(out / job_folder(set_name, row, seed, fold) / kind)
            patients |= scores.patients
            settings = dict(scores.settings)
            for case, targets in scores.cases.items():
                by_case.setdefault(case, []).append(targets)
    cases = {case: _mean_over_seeds(found) for case, found in sorted(by_case.items())}
    return Scores.of(cases, patients=patients, settings=settings)


def _mean_over_seeds(found: Sequence[Mapping[str, Metrics]]) -> dict[str, Metrics]:
    """Mean of every figure; undefined if it is so for any seed, or the seeds would stand for different things."""
    first = found[0]
    if len(found) == 1:
        return dict(first)
    return {
        target: {metric: _mean([targets[target][metric] for targets in found]) for metric in metrics} for target, metrics in first.items()
    }


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if len(defined) == len(values) else None
