"""Systems at equal conditions: every one at its own setting, found by the same rule on the same validation patients.

A setting is a threshold of a probability, or a position of the dial. A system that marks more misses less; whether it is
better can only be told at an equal share of false alarms, or over the whole curve. The rules here choose a setting on
some patients, and the same setting is then applied to others.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from crgan.evaluation.overlap import Mask, Overlap, check_masks

Setting = TypeVar("Setting", bound=Hashable)
Rates = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class OperatingPoints(Generic[Setting]):
    """What every setting of a system gives on every patient; NaN where a rate is undefined.

    Parameters
    ----------
    settings
        The S settings, each once.
    patients
        The P patients.
    dice, fnr, fpr
        ``(S, P)``: of each patient the mean over its cases.
    """

    settings: tuple[Setting, ...]
    patients: tuple[str, ...]
    dice: Rates
    fnr: Rates
    fpr: Rates

    def mean(self, name: str) -> Rates:
        """Mean of ``"dice"``, ``"fnr"`` or ``"fpr"`` over the patients who have one, ``(S,)``; NaN if none has."""
        rates: Rates = getattr(self, name)
        known = ~np.isnan(rates)
        counts = known.sum(axis=1)
        return np.where(counts, np.where(known, rates, 0).sum(axis=1) / np.maximum(counts, 1), np.nan)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FairPoint(Generic[Setting]):
    """A setting that was chosen on some patients, and what it gives on others.

    Parameters
    ----------
    setting
        The one chosen.
    patients
        Those it was applied to.
    dice, fnr, fpr
        ``(P,)``, NaN where undefined.
    """

    setting: Setting
    patients: tuple[str, ...]
    dice: Rates
    fnr: Rates
    fpr: Rates


def threshold_overlaps(
    probability: NDArray[np.floating], truth: Mask, thresholds: Sequence[float], *, within: Mask | None = None
) -> list[Overlap]:
    """Compare ``probability >= threshold`` with the truth for every threshold, in one pass over the voxels.

    Parameters
    ----------
    probability
        Any shape; the larger, the likelier.
    truth
        Bool, same shape.
    thresholds
        In any order.
    within
        Count only the voxels of this mask, for example the foreground, so that the false positive rate means something.

    Raises
    ------
    ValueError
        If a mask is not bool, or the shapes differ.
    """
    check_masks(truth, *(() if within is None else (within,)))
    if probability.shape != truth.shape:
        message = f"probability and truth must be of one shape; got {probability.shape} and {truth.shape}"
        raise ValueError(message)
    if within is not None:
        probability, truth = probability[within], truth[within]
    ascending, places = np.unique(np.asarray(thresholds, np.float64), return_inverse=True)
    # How many thresholds each voxel reaches, counted apart for truth and background, and summed up from the highest.
    reached = np.searchsorted(ascending, probability.ravel(), side="right")
    marked = {
        value: np.bincount(reached[truth.ravel() == value], minlength=ascending.size + 1)[::-1].cumsum()[::-1][1:]
        for value in (True, False)
    }
    positives = int(np.count_nonzero(truth))
    return [
        Overlap(
            true_positives=int(marked[True][place]),
            false_positives=int(marked[False][place]),
            false_negatives=positives - int(marked[True][place]),
            true_negatives=truth.size - positives - int(marked[False][place]),
        )
        for place in places
    ]


def gather(settings: Sequence[Setting], cases: Sequence[Sequence[Overlap]], patients: Sequence[str]) -> OperatingPoints[Setting]:
    """Bring the comparisons of all cases at all settings together.

    Parameters
    ----------
    settings
        S different settings.
    cases
        For each case, the comparison at each setting.
    patients
        Whose each case is; a patient counts once.
    """
    names = tuple(dict.fromkeys(patients))
    owner = np.array([names.index(patient) for patient in patients])

    def rates(name: str) -> Rates:
        table = np.array([[getattr(overlap, name) for overlap in case] for case in cases], np.float64).T  # None becomes NaN
        known = ~np.isnan(table)
        sums, counts = (
            np.stack([np.bincount(owner, row, minlength=len(names)) for row in values]) for values in (np.where(known, table, 0), known)
        )
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    return OperatingPoints(settings=tuple(settings), patients=names, dice=rates("dice"), fnr=rates("fnr"), fpr=rates("fpr"))


def dice_optimal(points: OperatingPoints[Setting]) -> Setting:
    """The setting with the highest mean Dice, the first of equals.

    Raises
    ------
    ValueError
        If no patient has the target.
    """
    means = points.mean("dice")
    if np.isnan(means).all():
        raise ValueError("the Dice is defined for no patient: none has the target")
    return points.settings[int(np.nanargmax(means))]


def at_matched_fpr(points: OperatingPoints[Setting], *, fpr: float) -> Setting:
    """The setting that misses least among those with a mean false positive rate of at most ``fpr``, the first of equals.

    Raises
    ------
    ValueError
        If every setting has more false positives, or no patient has the target.
    """
    allowed = points.mean("fpr") <= fpr
    means = np.where(allowed, points.mean("fnr"), np.nan)
    if np.isnan(means).all():
        message = f"no setting has a mean false positive rate of at most {fpr:g}; the lowest is {np.nanmin(points.mean('fpr')):g}"
        raise ValueError(message)
    return points.settings[int(np.nanargmin(means))]


def transfer(
    validation: OperatingPoints[Setting], test: OperatingPoints[Setting], *, rule: Callable[[OperatingPoints[Setting]], Setting]
) -> FairPoint[Setting]:
    """Choose a setting on validation patients and apply it to test patients.

    Parameters
    ----------
    validation, test
        One system, at the same settings, on different patients.
    rule
        :func:`dice_optimal`, or ``lambda points: at_matched_fpr(points, fpr=0.01)``.

    Raises
    ------
    ValueError
        If the settings differ or a patient is on both sides.
    """
    if validation.settings != test.settings:
        raise ValueError("validation and test must be measured at the same settings")
    if shared := set(validation.patients) & set(test.patients):
        message = f"patients are on both sides: {', '.join(sorted(shared)[:5])}"
        raise ValueError(message)
    setting = rule(validation)
    place = test.settings.index(setting)
    return FairPoint(setting=setting, patients=test.patients, dice=test.dice[place], fnr=test.fnr[place], fpr=test.fpr[place])


def curve(points: OperatingPoints[Setting]) -> tuple[Rates, Rates]:
    """The lowest mean FNR that can be had at each mean FPR: a staircase that only falls.

    Returns
    -------
    fpr, fnr
        The corners, FPR ascending; the first is (0, 1), which marking nothing gives. From one corner to the next the FNR
        stays as it is: no setting in between was tried.

    Raises
    ------
    ValueError
        If no patient has the target.
    """
    fpr, fnr = points.mean("fpr"), points.mean("fnr")
    known = ~(np.isnan(fpr) | np.isnan(fnr))
    if not known.any():
        raise ValueError("the false negative rate is defined for no patient: none has the target")
    order = np.lexsort((fnr[known], fpr[known]))
    fpr, fnr = np.concatenate([[0.0], fpr[known][order]]), np.concatenate([[1.0], fnr[known][order]])
    lowest = np.minimum.accumulate(fnr)
    corner = np.concatenate([[True], lowest[1:] < lowest[:-1]])
    return fpr[corner], lowest[corner]


def area(points: OperatingPoints[Setting], *, up_to: float) -> float:
    """Mean FNR over all FPRs from 0 to ``up_to``: the area under :func:`curve`, divided by its width. 0 is best, 1 is worst.

    For rare lesions only small FPRs matter; ``up_to`` is to be the same for all systems.
    """
    fpr, fnr = curve(points)
    edges = np.append(np.minimum(fpr, up_to), up_to)
    return float((np.diff(edges) * fnr).sum() / up_to)
