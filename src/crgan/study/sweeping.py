"""How many voxels reach which probability, and what each setting of the dial gives: all that fair operating points are found from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.evaluation.operating_points import OperatingPoints, threshold_overlaps
from crgan.evaluation.operating_points import gather as gather_points
from crgan.evaluation.overlap import Overlap, compare
from crgan.evaluation.predicted import Predicted
from crgan.sweep.volumes import decide

THRESHOLDS = (
    *(0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04),
    *(number / 40 for number in range(2, 39)),
    *(0.96, 0.97, 0.98, 0.985, 0.99, 0.995, 0.998, 0.999),
)
"""What is marked at a setting: the voxels whose probability is at least this. Close enough to match false positive rates by."""
NOTHING = 2.0
"""The setting that marks nothing, so that there is one for every false positive rate."""
DIAL = tuple(number / 10 for number in range(1, 10))
"""Values of p and q at which the dial is tried."""

Counts = tuple[tuple[int, ...], tuple[int, ...]]
"""Of the voxels of the truth, and of all others: how many lie below the first threshold, between the first two, and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What every threshold gives of some cases.

    Parameters
    ----------
    patients
        Whose each case is, by case id.
    counts
        By target and case id.
    """

    patients: Mapping[str, str]
    counts: Mapping[str, Mapping[str, Counts]]

    def points(self, target: str, *, patient: str | None = None) -> OperatingPoints[float]:
        """Rates at every threshold, of all patients or of one."""
        cases = [case for case, owner in self.patients.items() if patient in {None, owner}]
        overlaps = [_overlaps(self.counts[target][case]) for case in cases]
        return gather_points((*THRESHOLDS, NOTHING), overlaps, [self.patients[case] for case in cases])

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        counts = {target: {case: [list(part) for part in both] for case, both in cases.items()} for target, cases in self.counts.items()}
        return {"patients": dict(self.patients), "counts": counts}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sweep:
        """Read what :meth:`to_json` gave."""
        counts = {
            target: {case: (tuple(true), tuple(other)) for case, (true, other) in cases.items()} for target, cases in data["counts"].items()
        }
        return cls(patients=data["patients"], counts=counts)


def sweep_case(case: Predicted) -> dict[str, Counts]:
    """Count a case by the probability of its voxels, target by target, where masks are compared."""
    found = zip(case.targets, case.maps("probability"), case.truth, strict=True)
    return {target: _counts(threshold_overlaps(values, truth, THRESHOLDS, within=case.judged)) for target, values, truth in found}


@dataclass(frozen=True, slots=True, kw_only=True)
class DialSweep:
    """Means over cases at every (p, q) of :data:`DIAL`, each target decided alone.

    Parameters
    ----------
    dice, fnr
        By target: rows of p, columns of q; None where no case has the target.
    """

    dice: Mapping[str, Sequence[Sequence[float | None]]]
    fnr: Mapping[str, Sequence[Sequence[float | None]]]


def sweep_dial(generator: Predicted, system: Predicted) -> dict[str, NDArray[np.float64]]:
    """Dice and FNR of a case at every setting of the dial: by target ``(2, p, q)``, NaN where undefined.

    Parameters
    ----------
    generator, system
        The same case, by the generator alone and with the refiner's maps.
    """
    inside, found = system.judged, {}
    # The refiner corrects the generator's decision by the likeliest class, not its mask, which has a threshold of its own.
    first = decide(generator.maps_by_class("probability"), exclusive=system.scheme.exclusive)
    if system.scheme.instances:  # a voxel that goes from inside to border stays in its object
        first, corrected = np.asarray(first.any(axis=0, keepdims=True)), system.maps("probability")
        missed, added = corrected * ~first, (1 - corrected) * first
    else:
        missed, added = system.maps("fn"), system.maps("fp")
        first = (first | (added > 0)) & (missed == 0)  # calibration, class by class, may have let another class be the likeliest
    for target, decided, fn, fp, truth in zip(system.targets, first, missed, added, system.truth, strict=True):
        # What is kept depends on q alone, what is added on p alone (Eq. 7), so that they can be counted apart.
        kept = [compare(decided & (fp <= q), truth, within=inside) for q in DIAL]
        more = [compare(~decided & (fn >= p), truth, within=inside) for p in DIAL]
        rates = [[_sum(one, other) for one in kept] for other in more]
        found[target] = np.array([[[getattr(rate, name) for rate in row] for row in rates] for name in ("dice", "fnr")], np.float64)
    return found


def mean_dial(cases: Sequence[Mapping[str, NDArray[np.float64]]]) -> DialSweep:
    """Average what :func:`sweep_dial` gave of each case over those that have the target."""
    means = {target: _nan_mean(np.stack([case[target] for case in cases])) for target in cases[0]}
    dice, fnr = ({target: _plain(mean[index]) for target, mean in means.items()} for index in (0, 1))
    return DialSweep(dice=dice, fnr=fnr)


def _nan_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    return np.where(counts > 0, np.where(known, values, 0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def _plain(table: NDArray[np.float64]) -> list[list[float | None]]:
    return [[None if np.isnan(value) else round(float(value), 5) for value in row] for row in table]


def _sum(kept: Overlap, more: Overlap) -> Overlap:
    """The overlap of two masks that have no voxel in common, taken together."""
    true, false = kept.true_positives + more.true_positives, kept.false_positives + more.false_positives
    return Overlap(
        true_positives=true,
        false_positives=false,
        false_negatives=kept.true_positives + kept.false_negatives - true,
        true_negatives=kept.false_positives + kept.true_negatives - false,
    )


def _counts(overlaps: Sequence[Overlap]) -> Counts:
    first = overlaps[0]
    marked_true = (first.true_positives + first.false_negatives, *(overlap.true_positives for overlap in overlaps), 0)
    marked_false = (first.false_positives + first.true_negatives, *(overlap.false_positives for overlap in overlaps), 0)
    true, other = (tuple(more - fewer for more, fewer in pairwise(marked)) for marked in (marked_true, marked_false))
    return true, other


def _overlaps(counts: Counts) -> list[Overlap]:
    """The comparison at every threshold, and at the one that marks nothing."""
    true, other = (np.cumsum(part[::-1])[::-1].tolist() for part in counts)
    return [
        Overlap(true_positives=tp, false_positives=fp, false_negatives=true[0] - tp, true_negatives=other[0] - fp)
        for tp, fp in zip((*true[1:], 0), (*other[1:], 0), strict=True)
    ]
