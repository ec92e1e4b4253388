"""What a trained system says of its validation cases, as far as the dial and the temperatures are chosen by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import cc3d
import numpy as np
from numpy.typing import NDArray

from crgan.cases.labels import LabelScheme
from crgan.dial import Setting
from crgan.evaluation.surface import bounding_box
from crgan.evaluation.tally import Counts, Tally, tally
from crgan.model import Model
from crgan.preprocessing.stored import StoredCase
from crgan.sweep.decision import against_rivals, decide_corrected
from crgan.sweep.volumes import decide
from crgan.training.validation import truth_masks

LEAST = 0.001
"""Voxels that are given less are marked at no setting of the dial that is tried."""


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
    probabilities
        ``(K, Z, Y, X)``, what is to be calibrated: the generator's probabilities, or the corrected ones.
    seen
        Where it is, bool ``(Z, Y, X)``; None for everywhere.
    """

    case: StoredCase
    decided: NDArray[np.bool_]
    corrected: NDArray[np.floating]
    probabilities: NDArray[np.floating]
    seen: NDArray[np.bool_] | None = None


class Judged:
    """A validation case, cut down to what choosing needs: counts of all voxels, and those that some setting may mark or miss.

    Parameters
    ----------
    answer
        What a system says of the case.
    labels
        What the targets are.
    """

    def __init__(self, answer: Answer, labels: LabelScheme) -> None:
        truth, known = truth_masks(answer.case, labels), answer.case.known
        self.patient = answer.case.patient_id
        self._voxel_mm3 = prod(answer.case.spacing_mm)
        self.exclusive = labels.exclusive
        self.tallies: list[Tally] = [
            tally(values, true, decided=decided, within=known)
            for values, true, decided in zip(answer.corrected, truth, answer.decided, strict=True)
        ]
        within = answer.seen if known is None else known if answer.seen is None else known & answer.seen
        self.levels: list[Counts] = [
            tally(values, true, decided=decided, within=within).counts.sum(axis=0)
            for values, true, decided in zip(answer.probabilities, truth, answer.decided, strict=True)
        ]
        matters = np.asarray((answer.decided | truth | (answer.corrected >= LEAST)).any(axis=0))
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

    def pieces(self, mask: NDArray[np.bool_], number: int) -> Pieces:
        """Take the mask ``(N,)`` of a target to pieces, and hold them against its lesions."""
        lesions, marks = self._lesions[number].ravel(), _components(self._dense(mask)).ravel()
        voxels = np.bincount(marks)
        touching = lesions[(marks > 0) & (lesions > 0)], voxels[marks[(marks > 0) & (lesions > 0)]]
        largest = np.zeros(int(lesions.max(initial=0)) + 1, np.int64)
        np.maximum.at(largest, *touching)
        return Pieces(
            mm3=voxels[1:] * np.float64(self._voxel_mm3),
            voxels=voxels[1:],
            hits=np.bincount(marks[lesions > 0], minlength=len(voxels))[1:],
            holding_mm3=largest[largest > 0] * np.float64(self._voxel_mm3),
        )

    def _dense(self, values: NDArray[np.bool_]) -> NDArray[np.bool_]:
        dense = np.zeros(self._matters.shape, bool)
        dense[self._matters] = values
        return dense


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pieces:
    """The pieces of a mask, 26-connected.

    Parameters
    ----------
    mm3, voxels, hits
        The volume of each, its voxels, and how many of them are right.
    holding_mm3
        Of each lesion that is touched, the volume of the largest piece that does.
    """

    mm3: NDArray[np.float64]
    voxels: NDArray[np.int64]
    hits: NDArray[np.int64]
    holding_mm3: NDArray[np.float64]


def judge(model: Model, case: StoredCase) -> tuple[Judged, Judged | None]:
    """What the generator alone says of a case, and what the system does; None without a refiner."""
    exclusive = model.labels.exclusive
    estimate = model.estimate(case.image, case_id=case.case_id)
    said, decided = estimate.generator, decide(estimate.generator, exclusive=exclusive)
    rivals = against_rivals(said, decided, exclusive=exclusive)
    alone = Judged(Answer(case=case, decided=decided, corrected=rivals, probabilities=said), model.labels)
    if estimate.corrected is None:
        return alone, None
    answer = Answer(case=case, decided=decided, corrected=estimate.corrected, probabilities=estimate.corrected, seen=estimate.seen)
    return alone, Judged(answer, model.labels)


def _components(mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    return np.asarray(cc3d.connected_components(mask.view(np.uint8), connectivity=26))
