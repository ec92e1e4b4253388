"""What every threshold of a system gives: the counts that fair operating points are found from.

Systems differ in how sure they are, so that thresholds that serve one are too coarse for another. Each has its own, found on its
validation patients: as close together as false positive rates can be matched by where its Dice is best, and wider apart further off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crgan.evaluation.operating_points import OperatingPoints
from crgan.evaluation.operating_points import gather as gather_points
from crgan.evaluation.overlap import Overlap
from crgan.evaluation.predicted import Predicted
from crgan.evaluation.tally import VALUES, Tally, tally

NOTHING = 2.0
"""The setting that marks nothing, so that there is one for every false positive rate."""

# False positive rates that thresholds are sought for, in octaves of the rate where the Dice is best.
_OCTAVES = np.concatenate([np.arange(-6, -1), np.arange(-1, 1, 1 / 16), np.arange(1, 7)])

Counts = tuple[tuple[int, ...], tuple[int, ...]]
"""Of the voxels of the truth, and of all others: how many lie below the first threshold, between the first two, and so on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What every threshold gives of some cases.

    Parameters
    ----------
    thresholds
        By target, ascending: a voxel is marked if its probability is at least this.
    patients
        Whose each case is, by case id.
    counts
        By target and case id.
    """

    thresholds: Mapping[str, Sequence[float]]
    patients: Mapping[str, str]
    counts: Mapping[str, Mapping[str, Counts]]

    def points(self, target: str, *, patient: str | None = None) -> OperatingPoints[float]:
        """Rates at every threshold, of all patients or of one."""
        cases = [case for case, owner in self.patients.items() if patient in {None, owner}]
        overlaps = [_overlaps(self.counts[target][case]) for case in cases]
        return gather_points((*self.thresholds[target], NOTHING), overlaps, [self.patients[case] for case in cases])

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        counts = {target: {case: [list(part) for part in both] for case, both in cases.items()} for target, cases in self.counts.items()}
        thresholds = {target: list(values) for target, values in self.thresholds.items()}
        return {"thresholds": thresholds, "patients": dict(self.patients), "counts": counts}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Sweep:
        """Read what :meth:`to_json` gave."""
        counts = {
            target: {case: (tuple(true), tuple(other)) for case, (true, other) in cases.items()} for target, cases in data["counts"].items()
        }
        thresholds = {target: tuple(values) for target, values in data["thresholds"].items()}
        return cls(thresholds=thresholds, patients=data["patients"], counts=counts)


def tally_case(case: Predicted) -> dict[str, Tally]:
    """Count a case by the probability of its voxels, target by target, where masks are compared."""
    nothing = np.zeros(case.truth.shape[1:], bool)
    found = zip(case.targets, case.maps("probability"), case.truth, strict=True)
    return {target: tally(values, truth, decided=nothing, within=case.judged) for target, values, truth in found}


def choose_thresholds(tallies: Iterable[Tally]) -> tuple[float, ...]:
    """Find the thresholds of one target, from what its validation cases show together; ascending, each once.

    Returns
    -------
    tuple of float
        The one of the best Dice and those around it, whose false positive rates lie 1/16 of an octave apart up to twice and down
        to half its rate, and an octave up to 64 times and down to 1/64. Without voxels of the target those of 1 % stand
        for the best.
    """
    other, true = np.sum([each.counts[0] for each in tallies], axis=0)
    # Voxels that reach each level, and none beyond the last.
    marked_true, marked_other = (np.append(part[::-1].cumsum()[::-1], 0) for part in (true, other))
    positives, negatives = int(marked_true[0]), max(int(marked_other[0]), 1)
    best = int(np.argmax(2 * marked_true / np.maximum(marked_true + marked_other + positives, 1)))
    rates = marked_other / negatives
    centre = max(float(rates[best]), 1 / negatives) if positives else 0.01
    # The lowest level at which no more than the rate is marked: rates fall as levels rise.
    levels = np.searchsorted(-rates, -np.minimum(centre * 2.0**_OCTAVES, 1), side="left")
    found = {*levels.tolist(), *([best] if positives else [])}
    return tuple(float(VALUES[level]) for level in sorted(found) if level < len(VALUES))


def count(tallied: Tally, thresholds: Sequence[float]) -> Counts:
    """Count the voxels of a case between thresholds."""
    levels = np.searchsorted(VALUES, np.asarray(thresholds, np.float32), side="left")
    below = np.pad(tallied.counts[0].cumsum(axis=1), ((0, 0), (1, 0)))  # of each level, the voxels that do not reach it
    other, true = (tuple(np.diff(part[[0, *levels, len(VALUES)]]).tolist()) for part in below)
    return true, other


def _overlaps(counts: Counts) -> list[Overlap]:
    """The comparison at every threshold, and at the one that marks nothing."""
    true, other = (np.cumsum(part[::-1])[::-1].tolist() for part in counts)
    return [
        Overlap(true_positives=tp, false_positives=fp, false_negatives=true[0] - tp, true_negatives=other[0] - fp)
        for tp, fp in zip((*true[1:], 0), (*other[1:], 0), strict=True)
    ]
