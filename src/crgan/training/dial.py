"""Where the dial should stand, and what other places cost, on whole validation volumes.

The refiner's probability moves a voxel in only where the generator left it out, and out only where the generator took it in. So
the counts of both kinds of voxels by their probability (:mod:`crgan.evaluation.tally`) tell of every setting of a target at once
what it would miss and falsely mark. Targets compete with each other or take each other in afterwards; therefore each target is
chosen alone, and the few settings that are worth anything are then measured in the common decision, with their lesions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import cc3d
import numpy as np
from numpy.typing import NDArray

from crgan.cases.labels import LabelScheme
from crgan.dial import Curve, Dial, Point, Setting
from crgan.evaluation.surface import bounding_box
from crgan.evaluation.tally import Tally, tally
from crgan.preprocessing.stored import StoredCase
from crgan.sweep.decision import decide_corrected
from crgan.training.validation import truth_masks

_STEPS = (0.001, 0.003, 0.01, 0.03, *(step / 20 for step in range(1, 20)), 0.97, 0.99, 0.997, 0.999)
# Of settings whose Dice differs by no more than this the one nearest to the neutral one is taken: the rest is chance.
_AS_GOOD = 0.001
# Points of a curve, besides the neutral and the best: each is 15 to 20 % of the misses away from the next.
_MOST_POINTS = 24
_LEAST_FNR = 0.005

_Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answer:
    """What a system says of a validation case.

    Parameters
    ----------
    case
        The case, with its label.
    decided
        ``(K, Z, Y, X)`` bool, the generator's decision.
    corrected
        ``(K, Z, Y, X)``, the corrected probability, or what a generator without a refiner has in its place.
    """

    case: StoredCase
    decided: NDArray[np.bool_]
    corrected: NDArray[np.floating]


def find_dial(answers: Iterable[Answer], labels: LabelScheme, *, refined: bool) -> Dial:
    """Find the setting of each target with the best Dice, and measure others to choose from.

    Parameters
    ----------
    answers
        What the system says of the validation cases; taken one at a time.
    labels
        What the targets are.
    refined
        Whether p and q are two settings. Without a refiner they are one threshold t of the generator's probability, p = t and
        q = 1 − t.

    Returns
    -------
    Dial
        Neutral for a target that no patient has, and everywhere if the settings found do no better together than the neutral one.
    """
    settings = [Setting(p=p, q=q) for p, q in product(_STEPS, _STEPS)] if refined else [Setting(p=p, q=round(1 - p, 3)) for p in _STEPS]
    cases = [_Case(answer, labels) for answer in answers]
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
    return Dial(settings=dict(zip(labels.targets, best, strict=True)), curves=curves)


class _Case:
    """A validation case, cut down to the voxels that some setting may mark or miss."""

    def __init__(self, answer: Answer, labels: LabelScheme) -> None:
        truth, known = truth_masks(answer.case, labels), answer.case.known
        self.patient = answer.case.patient_id
        self.exclusive = labels.exclusive
        self.tallies: list[Tally] = [
            tally(values, true, decided=decided, within=known)
            for values, true, decided in zip(answer.corrected, truth, answer.decided, strict=True)
        ]
        matters = np.asarray((answer.decided | truth | (answer.corrected >= min(_STEPS))).any(axis=0))
        if known is not None:
            matters &= known
        box = bounding_box(matters) if matters.any() else (slice(0, 1),) * 3
        self._matters = matters[box].copy()
        self._decided = answer.decided[:, *box][:, self._matters]
        self._corrected = answer.corrected[:, *box][:, self._matters]
        self.truth = truth[:, *box][:, self._matters]
        self._lesions = [_components(self._dense(true)) for true in self.truth]

    def decide(self, settings: Sequence[Setting]) -> NDArray[np.bool_]:
        """The masks of all targets ``(K, N)`` at the voxels that matter."""
        p, q = [setting.p for setting in settings], [setting.q for setting in settings]
        return decide_corrected(self._decided, self._corrected, p=p, q=q, exclusive=self.exclusive)

    def lesions(self, mask: NDArray[np.bool_], number: int) -> tuple[int, float]:
        """False lesions in the mask ``(N,)`` of a target, and the share of its lesions that the mask touches; NaN without any."""
        lesions, marks = self._lesions[number], _components(self._dense(mask))
        both = (marks > 0) & (lesions > 0)
        touching, found = (np.unique(objects[both]).size for objects in (marks, lesions))
        count = int(lesions.max(initial=0))
        return int(marks.max(initial=0)) - touching, found / count if count else np.nan

    def _dense(self, values: NDArray[np.bool_]) -> NDArray[np.bool_]:
        dense = np.zeros(self._matters.shape, bool)
        dense[self._matters] = values
        return dense


class _Alone:
    """All settings of one target, before it meets the others."""

    def __init__(self, cases: Sequence[_Case], settings: Sequence[Setting], number: int) -> None:
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
            means = _patient_mean(np.stack(dice), owners)
            good = np.flatnonzero(means >= means.max() - _AS_GOOD)
            self.best = settings[good[turn[good].argmin()]]
            self.frontier = [settings[place] for place in _frontier(_patient_mean(np.stack(fnr), owners), false / true, turn)]


def _frontier(fnr: _Values, false: _Values, turn: _Values) -> list[int]:
    """The settings that nothing beats, in misses and in false voxels at once, thinned out; of equals the nearest to neutral."""
    kept: list[int] = []
    for place in np.lexsort((turn, false, fnr)):
        if not kept or false[place] < false[kept[-1]]:
            kept.append(int(place))
    misses = fnr[kept]
    wanted = np.geomspace(max(misses[0], _LEAST_FNR), max(misses[-1], _LEAST_FNR), _MOST_POINTS)
    return [kept[place] for place in np.unique(np.searchsorted(misses, wanted, side="right") - 1)]


def _measure(cases: Sequence[_Case], settings: Sequence[Setting], number: int) -> Point:
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


def _joint_dice(cases: Sequence[_Case], settings: Sequence[Setting]) -> float:
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
    rows = [_known_mean(values[[owner == patient for owner in owners]]) for patient in dict.fromkeys(owners)]
    return _known_mean(np.stack(rows))


def _known_mean(values: _Values) -> _Values:
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    return np.where(counts > 0, np.where(known, values, 0).sum(axis=0) / np.maximum(counts, 1), np.nan)


def _components(mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    return np.asarray(cc3d.connected_components(mask.view(np.uint8), connectivity=26))
