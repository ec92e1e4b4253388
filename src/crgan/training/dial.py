"""Where the dial should stand, and what other places cost, on whole validation volumes.

The refiner's probability moves a voxel in only where the generator left it out, and out only where the generator took it in. So
the counts of both kinds of voxels by their probability (:mod:`crgan.evaluation.tally`) tell of every setting of a target at once
what it would miss and falsely mark. Targets compete with each other or take each other in afterwards; therefore each target is
chosen alone, and the few settings that are worth anything are then measured in the common decision, with their lesions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from crgan.cases.labels import LabelScheme
from crgan.dial import Curve, Dial, Point, Setting, Smallest
from crgan.evaluation.means import known_mean
from crgan.training.judged import LEAST, Judged, Pieces

_STEPS = (LEAST, 0.003, 0.01, 0.03, *(step / 20 for step in range(1, 20)), 0.97, 0.99, 0.997, 0.999)
# So much Dice is chance, whatever its standard error.
_AS_GOOD = 0.001
# Points of a curve, besides the neutral and the best: each is 15 to 20 % of the misses away from the next.
_MOST_POINTS = 24
_LEAST_FNR = 0.005
# From the largest piece that is to be dropped to the smallest that stays: no larger than need be.
_JUST_ABOVE = 1.0001
# Of something whole, a second piece of this size may be its other part, and a smaller one is something else.
_OF_THE_LARGEST = 1 / 3

_Values = NDArray[np.float64]


def find_dial(cases: Sequence[Judged], labels: LabelScheme, *, refined: bool, whole: Collection[str] = ()) -> Dial:
    """Find the setting of each target for the best Dice, and measure others to choose from.

    Of the settings that are as good as the best one, by one standard error over the patients, it is the one nearest to neutral.

    Parameters
    ----------
    cases
        What the system says of the validation cases.
    labels
        What the targets are.
    refined
        Whether p and q are two settings. Without a refiner they are one threshold t of the generator's probability, p = t and
        q = 1 − t.
    whole
        The targets that a patient has in one piece, if at all.

    Returns
    -------
    Dial
        Neutral for a target that no patient has, and everywhere if the settings found do no better together than the neutral one.
    """
    settings = [Setting(p=p, q=q) for p, q in product(_STEPS, _STEPS)] if refined else [Setting(p=p, q=round(1 - p, 3)) for p in _STEPS]
    alone = [_Alone(cases, settings, number) for number in range(len(labels.targets))]
    best = [found.best for found in alone]
    neutral = [Setting()] * len(best)
    if _joint_dice(cases, best) <= _joint_dice(cases, neutral):
        best = neutral
    curves = {}
    for number, (target, found) in enumerate(zip(labels.targets, alone, strict=True)):
        wanted = [Setting(), best[number], *found.frontier] if found.patients else []
        points = [_measure(cases, [*best[:number], setting, *best[number + 1 :]], number) for setting in dict.fromkeys(wanted)]
        points.sort(key=lambda point: (point.fnr, point.false_volume))
        curves[target] = Curve(patients=found.patients, points=tuple(points))
    smallest = find_smallest(cases, labels, best, whole=whole)
    return Dial(settings=dict(zip(labels.targets, best, strict=True)), curves=curves, smallest=smallest)


def find_smallest(
    cases: Sequence[Judged], labels: LabelScheme, settings: Sequence[Setting], *, whole: Collection[str] = ()
) -> dict[str, Smallest]:
    """Find the size below which the pieces of a target's mask had better be dropped.

    Of targets that are whole in the patients who have them, what is smaller than a third of the largest piece is dropped, unless
    that costs Dice. Of others what is smaller than a volume: of the volumes that are as good as the best the smallest, if it raises
    Dice by more than chance, and such that no lesion that is found, of any validation patient, would be lost.

    Parameters
    ----------
    cases
        What the system says of the validation cases.
    labels
        What the targets are; objects that are instances are never dropped.
    settings
        Where the dial stands.
    whole
        The targets that a patient has in one piece, if at all.

    Returns
    -------
    dict
        By target; those of which nothing is to be dropped are left out.
    """
    if labels.instances:
        return {}
    masks, owners = [case.decide(settings) for case in cases], [case.patient for case in cases]
    found = {}
    for number, target in enumerate(labels.targets):
        pieces = [case.pieces(mask[number], number) for case, mask in zip(cases, masks, strict=True)]
        holding = np.concatenate([each.holding_mm3 for each in pieces]) if pieces else np.empty(0)
        if not len(holding):
            continue
        positives = [case.tallies[number].positives for case in cases]
        if target in whole:
            shares = np.array([0.0, _OF_THE_LARGEST])
            stay = [each.mm3[:, None] >= shares * each.mm3.max(initial=0) for each in pieces]
            everything, large = _patient_mean(_dice_of_pieces(pieces, positives, stay), owners)
            if large >= everything - _AS_GOOD:
                found[target] = Smallest(share=_OF_THE_LARGEST)
                continue
        volumes = np.unique(np.concatenate([[0.0], *(each.mm3 for each in pieces)]))
        volumes = volumes[volumes < holding.min()]
        means = _patient_mean(_dice_of_pieces(pieces, positives, [each.mm3[:, None] > volumes for each in pieces]), owners)
        if means.max() > means[0] + _AS_GOOD:
            largest = volumes[np.flatnonzero(means >= means.max() - _AS_GOOD)[0]]
            found[target] = Smallest(mm3=round(float(largest) * _JUST_ABOVE, 6))
    return found


def _dice_of_pieces(pieces: Sequence[Pieces], positives: Sequence[int], stay: Sequence[NDArray[np.bool_]]) -> _Values:
    """Dice ``(cases, S)`` of the pieces of each case that stay, of ``(pieces, S)``."""
    table = []
    for each, true, kept in zip(pieces, positives, stay, strict=True):
        hits = (each.hits[:, None] * kept).sum(axis=0)
        table.append(_dice(hits, (each.voxels[:, None] * kept).sum(axis=0) - hits, true))
    return np.stack(table)


class _Alone:
    """All settings of one target, before it meets the others."""

    def __init__(self, cases: Sequence[Judged], settings: Sequence[Setting], number: int) -> None:
        p, q = [setting.p for setting in settings], [setting.q for setting in settings]
        dice, fnr, false, true = [], [], np.zeros(len(settings)), 0
        for case in cases:
            counts = case.tallies[number]
            hits, alarms = counts.marked(p, q)
            dice.append(_dice(hits, alarms, counts.positives))
            fnr.append(1 - hits / counts.positives if counts.positives else np.full(len(settings), np.nan))
            false, true = false + alarms, true + counts.positives
        owners = [case.patient for case in cases]
        self.patients = len({case.patient for case in cases if case.tallies[number].positives})
        self.best, self.frontier = Setting(), list[Setting]()
        if self.patients:
            turn = np.array([abs(setting.p - 0.5) + abs(setting.q - 0.5) for setting in settings])
            good = np.flatnonzero(_as_good_as_the_best(_by_patient(np.stack(dice), owners)))
            self.best = settings[good[turn[good].argmin()]]
            self.frontier = [settings[place] for place in _frontier(_patient_mean(np.stack(fnr), owners), false / true, turn)]


def _as_good_as_the_best(dice: _Values) -> NDArray[np.bool_]:
    """Which settings of ``(patients, S)``, NaN without truth, are behind the best one by no more than the standard error of that.

    The best setting of a few patients fits them and not new ones: this rule of one standard error (Breiman et al., 1984) leaves the
    dial where it is unless turning it pays in most of them. Of a single patient nothing is believed.
    """
    known = dice[~np.isnan(dice).any(axis=1)]
    if len(known) == 1:
        return np.ones(dice.shape[1], bool)
    behind = known[:, [known.mean(axis=0).argmax()]] - known
    error = behind.std(axis=0, ddof=1) / np.sqrt(len(known))
    return np.asarray(behind.mean(axis=0) <= np.maximum(error, _AS_GOOD))


def _frontier(fnr: _Values, false: _Values, turn: _Values) -> list[int]:
    """The settings that nothing beats, in misses and in false voxels at once, thinned out; of equals the nearest to neutral."""
    kept: list[int] = []
    for place in np.lexsort((turn, false, fnr)):
        if not kept or false[place] < false[kept[-1]]:
            kept.append(int(place))
    misses = fnr[kept]
    wanted = np.geomspace(max(misses[0], _LEAST_FNR), max(misses[-1], _LEAST_FNR), _MOST_POINTS)
    return [kept[place] for place in np.unique(np.searchsorted(misses, wanted, side="right") - 1)]


def _measure(cases: Sequence[Judged], settings: Sequence[Setting], number: int) -> Point:
    """Measure one target in the common decision at some settings; some case has it."""
    dice, fnr, alarms, found = [], [], [], []
    false = true = 0
    for case in cases:
        mask, truth = case.decide(settings)[number], case.truth[number]
        hits, positives = int((mask & truth).sum()), int(truth.sum())
        wrong = int(mask.sum()) - hits
        dice.append(float(_dice(hits, wrong, positives)))
        fnr.append(1 - hits / positives if positives else np.nan)
        false_lesions, share = case.lesions(mask, number)
        alarms.append(float(false_lesions))
        found.append(share)
        false, true = false + wrong, true + positives
    owners = [case.patient for case in cases]
    means = [float(_patient_mean(np.array(values)[:, None], owners)[0]) for values in (dice, fnr, alarms, found)]
    return Point(
        p=settings[number].p,
        q=settings[number].q,
        dice=means[0],
        fnr=means[1],
        false_volume=false / true,
        false_lesions=means[2],
        lesions_found=means[3],
    )


def _joint_dice(cases: Sequence[Judged], settings: Sequence[Setting]) -> float:
    """Mean Dice over patients, then over targets, of the common decision; 0 if no case has a target."""
    table = []
    for case in cases:
        masks = case.decide(settings)
        counts = ((values.sum(axis=1)) for values in (masks & case.truth, masks & ~case.truth, case.truth))
        table.append([_dice(*voxels) for voxels in zip(*counts, strict=True)])
    if not table:
        return 0.0
    means = _patient_mean(np.array(table, np.float64), [case.patient for case in cases])
    return float(np.nanmean(means)) if not np.isnan(means).all() else 0.0


def _dice(hits: NDArray[np.int64] | int, false: NDArray[np.int64] | int, positives: int) -> _Values:
    """2 TP / (2 TP + FP + FN); NaN without truth."""
    hits, false = np.asarray(hits), np.asarray(false)
    return 2 * hits / (hits + false + positives) if positives else np.full(hits.shape, np.nan)


def _patient_mean(values: _Values, owners: Sequence[str]) -> _Values:
    """Mean over the cases of each patient, then over patients ``(cases, S)`` to ``(S,)``; NaN counts for nothing, and is left if alone."""
    return known_mean(_by_patient(values, owners))


def _by_patient(values: _Values, owners: Sequence[str]) -> _Values:
    """Mean over the cases of each patient: ``(cases, S)`` to ``(patients, S)``."""
    return np.stack([known_mean(values[[owner == patient for owner in owners]]) for patient in dict.fromkeys(owners)])
