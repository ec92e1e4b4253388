"""Systems at equal conditions: each at a setting chosen by the same rule on its own validation patients.

The reference system's Dice-optimal threshold has a false positive rate on the validation patients; every system's
threshold is the one that misses least of them at no higher a rate. The thresholds are then applied to the test patients,
of whom none was looked at to choose them. Rates are within the foreground, and of each target alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from crgan.evaluation.metrics import Metrics
from crgan.evaluation.operating_points import OperatingPoints, area, at_matched_fpr, dice_optimal, transfer
from crgan.evaluation.scores import Scores
from crgan.evaluation.tables import FAIR
from crgan.study.record import Measured

UP_TO = 2.0
"""The curve is averaged over false positive rates from 0 to so many times the matched one."""


MEAN = "mean of the targets"
"""What the figures of :func:`over_targets` are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """One training of a row: which one, and what it came to."""

    seed: int
    fold: int | None
    measured: Measured


def fair_scores(rows: Mapping[str, Sequence[Trained]], *, reference: Sequence[Trained]) -> dict[str, Scores]:
    """Figures of every test patient at the operating points of every system.

    Parameters
    ----------
    rows
        All trainings of each system.
    reference
        All trainings of the system whose false positive rate the others are held to.

    Returns
    -------
    dict
        By system, with the names of :data:`crgan.evaluation.tables.FAIR`; a patient's figures are averaged over the
        seeds. None where a patient does not have the target, or no validation patient does.
    """
    targets = list(reference[0].measured.test.counts)
    levels = [(run.seed, run.fold, {target: _level(run.measured, target) for target in targets}) for run in reference]
    fair = {}
    for name, runs in rows.items():
        found: dict[str, list[dict[str, Metrics]]] = {}
        for run in runs:
            level = _level_for(run, levels, targets)
            for patient, metrics in _of_patients(run.measured, level).items():
                found.setdefault(patient, []).append(metrics)
        cases = {patient: mean_over_seeds(metrics) for patient, metrics in sorted(found.items())}
        fair[name] = Scores.of(cases, patients={patient: patient for patient in cases})
    return fair


def over_targets(scores: Scores) -> Scores:
    """Each patient's mean over its targets, so that one test answers for all of them.

    A target that a patient does not have is left out of its mean; a figure is None if none of its targets has it.
    """
    cases = {
        patient: {MEAN: {metric: _mean_of_defined([figures[metric] for figures in targets.values()]) for metric in FAIR}}
        for patient, targets in scores.cases.items()
    }
    return Scores.of(cases, patients=scores.patients)


def mean_over_seeds(found: Sequence[Mapping[str, Metrics]]) -> dict[str, Metrics]:
    """Mean of every figure; undefined if it is so for any seed, or the seeds would stand for different things."""
    first = found[0]
    if len(found) == 1:
        return dict(first)
    return {
        target: {metric: _mean([targets[target][metric] for targets in found]) for metric in metrics} for target, metrics in first.items()
    }


def _mean(values: Sequence[float | None]) -> float | None:
    return None if None in values else _mean_of_defined(values)


def _mean_of_defined(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None


def _level(measured: Measured, target: str) -> float | None:
    """The reference's false positive rate on its validation patients, where its Dice is best there; None if none has the target."""
    points = measured.validation.points(target)
    if np.isnan(points.mean("dice")).all():
        return None
    return float(points.mean("fpr")[points.settings.index(dice_optimal(points))])


def _level_for(
    run: Trained, levels: Sequence[tuple[int, int | None, Mapping[str, float | None]]], targets: Sequence[str]
) -> dict[str, float | None]:
    """The reference's rate on the same validation patients, those of the same seed and fold; else the mean over its seeds."""
    fitting = [level for seed, fold, level in levels if (seed, fold) == (run.seed, run.fold)]
    fitting = fitting or [level for _, fold, level in levels if fold == run.fold]
    return {target: _mean([level[target] for level in fitting]) for target in targets}


def _of_patients(measured: Measured, levels: Mapping[str, float | None]) -> dict[str, dict[str, Metrics]]:
    """Figures by test patient and target."""
    found: dict[str, dict[str, Metrics]] = {patient: {} for patient in measured.test.patients.values()}
    for target, level in levels.items():
        validation, test = measured.validation.points(target), measured.test.points(target)
        if level is None or np.isnan(validation.mean("dice")).all():
            nothing: Metrics = dict.fromkeys(("dice_best", "fnr_best", "fpr_best", "fnr_matched", "fpr_matched", "curve_area"))
            for metrics in found.values():
                metrics[target] = dict(nothing)
            continue
        best = transfer(validation, test, rule=dice_optimal)
        matched = transfer(validation, test, rule=partial(at_matched_fpr, fpr=level))
        for index, patient in enumerate(test.patients):
            found[patient][target] = {
                "dice_best": _plain(best.dice[index]),
                "fnr_best": _plain(best.fnr[index]),
                "fpr_best": _plain(best.fpr[index]),
                "fnr_matched": _plain(matched.fnr[index]),
                "fpr_matched": _plain(matched.fpr[index]),
                "curve_area": _area(measured.test.points(target, patient=patient), level),
            }
    return found


def _area(points: OperatingPoints[float], level: float) -> float | None:
    """Mean FNR of a patient's curve up to :data:`UP_TO` times the matched rate; None without the target or a rate to speak of."""
    if np.isnan(points.mean("fnr")).all() or level <= 0:
        return None
    return area(points, up_to=UP_TO * level)


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
