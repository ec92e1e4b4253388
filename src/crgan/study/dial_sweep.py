"""What the dial does on test patients: shown, and used to choose nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crgan.evaluation.means import known_mean
from crgan.evaluation.overlap import Overlap, compare
from crgan.evaluation.predicted import Predicted
from crgan.sweep.volumes import decide

DIAL = tuple(number / 10 for number in range(1, 10))
"""Values of p and q at which the dial is tried."""


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
    means = {target: known_mean(np.stack([case[target] for case in cases])) for target in cases[0]}
    dice, fnr = ({target: _plain(mean[index]) for target, mean in means.items()} for index in (0, 1))
    return DialSweep(dice=dice, fnr=fnr)


def _plain(table: NDArray[np.float64]) -> list[list[float | None]]:
    return [[None if np.isnan(value) else round(float(value), 4) for value in row] for row in table]


def _sum(kept: Overlap, more: Overlap) -> Overlap:
    """The overlap of two masks that have no voxel in common, taken together."""
    true, false = kept.true_positives + more.true_positives, kept.false_positives + more.false_positives
    return Overlap(
        true_positives=true,
        false_positives=false,
        false_negatives=kept.true_positives + kept.false_negatives - true,
        true_negatives=kept.false_positives + kept.true_negatives - false,
    )
