"""Which patients are pictured, and their pictures: best, median and worst, then those that failed, as far as the page may grow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crgan.cases.canonical import to_canonical
from crgan.cases.labels import LabelScheme
from crgan.cases.reading import COLOURS, read_image
from crgan.cases.volume import Volume
from crgan.evaluation.evidence import Evaluation
from crgan.evaluation.failures import Failure
from crgan.evaluation.images import Imaged
from crgan.evaluation.pairs import Pair
from crgan.evaluation.reading import Schemes, read_pair
from crgan.evaluation.tables import number
from crgan.report.viewer import Pictured, Viewer, make_viewer

MOST_BYTES = 8_000_000
"""Of a page, for pictures."""
MOST_SLICES = 600
"""Of a page: each takes a few milliseconds."""
FAVOURITE = "flair"
"""The modality that is shown where a case has it, because most lesions show in it; else the first."""
FURTHER = ("Second worst", "Third worst")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A case to be pictured, and why."""

    case: str
    why: str


def anchors(evaluation: Evaluation) -> dict[str, str]:
    """The place of each case on the page, whatever its id is made of."""
    return {case: f"case-{index}" for index, case in enumerate(evaluation.scores.cases, start=1)}


def choose(evaluation: Evaluation, failures: Sequence[Failure]) -> list[Choice]:
    """Order the cases by how much there is to be learnt from them.

    The patients with the lowest, the middle and the highest Dice, each shown by the case with the lowest; then further low ones, and
    whatever failed. Dice is the mean over the targets that a case has.
    """
    dice = {case: np.mean(values) for case, targets in evaluation.scores.cases.items() if (values := _dice(targets))}
    by_patient: dict[str, list[str]] = {}
    for case in dice:
        by_patient.setdefault(evaluation.scores.patients[case], []).append(case)
    ranked = sorted(by_patient, key=lambda patient: float(np.mean([dice[case] for case in by_patient[patient]])))
    lowest = [min(by_patient[patient], key=lambda case: dice[case]) for patient in ranked]
    places = {0: "Worst patient", len(ranked) // 2: "Median patient", len(ranked) - 1: "Best patient"}
    if len(ranked) < 3:
        places = dict(enumerate(("Worst patient", "Best patient") if len(ranked) == 2 else ("Only patient",)))
    chosen = [Choice(case=lowest[place], why=why) for place, why in places.items() if ranked]
    if len(ranked) > 2 * len(FURTHER):
        chosen += [Choice(case=case, why=why) for case, why in zip(lowest[1:], FURTHER, strict=False)]
    chosen += [Choice(case=failure.case, why="Failed") for failure in failures]
    first: dict[str, Choice] = {}
    for choice in chosen:
        first.setdefault(choice.case, choice)
    return list(first.values())


def draw(evaluation: Evaluation, choices: Sequence[Choice]) -> list[Viewer]:
    """Draw the cases in their order, as many as the page may hold; the first three always."""
    pairs, places = {pair.case_id: pair for pair in evaluation.pairs}, anchors(evaluation)
    viewers: list[Viewer] = []
    size = slices = 0
    for position, choice in enumerate(choices):
        if position >= 3 and (size > MOST_BYTES or slices > MOST_SLICES):
            break
        imaged = evaluation.imaged.get(choice.case)
        pictured = read_pictured(pairs[choice.case], evaluation.schemes, imaged)
        verdict = f"{choice.why}: {_verdict(evaluation, choice.case)}"
        viewer = make_viewer(pictured, anchor=places[choice.case], name=choice.case, verdict=verdict)
        size, slices = size + viewer.size, slices + len(viewer.slices)
        viewers.append(viewer)
    return viewers


def shown_modality(imaged: Imaged) -> str:
    """Name of the modality that is shown."""
    names = imaged.modalities
    if names == COLOURS:
        return "mean of the colours"
    return next((name for name in names if name.lower() == FAVOURITE), names[0])


def read_pictured(pair: Pair, schemes: Schemes, imaged: Imaged | None) -> Pictured:
    """Read what a viewer shows of a case, as working arrays."""
    mask, label = read_pair(pair, schemes)
    found, spacing_mm = to_canonical(mask)
    image = None
    if imaged is not None:
        volume = read_image(imaged.case, imaged.modalities)
        channels = slice(None) if imaged.modalities == COLOURS else [imaged.modalities.index(shown_modality(imaged))]
        image = to_canonical(Volume(volume.array[channels], volume.geometry))[0].astype(np.float32).mean(axis=0)
    return Pictured(
        truth=_targets(to_canonical(label)[0][0], schemes.truth),
        mask=_targets(found[0], schemes.mask),
        spacing_mm=spacing_mm,
        image=image,
        flat=mask.geometry.dimensions == 2,
    )


def _targets(values: NDArray[np.generic], scheme: LabelScheme) -> NDArray[np.bool_]:
    """Masks of the targets; objects that touch are parted by a line of one pixel, or they could not be told apart."""
    if not scheme.instances:
        return scheme.masks(scheme.encode(values))
    objects = np.maximum(values.astype(np.int64), 0)
    inside = objects > 0
    for axis in range(1, objects.ndim):
        here, there = (np.moveaxis(objects, axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        np.moveaxis(inside, axis, 0)[:-1] &= ~((here != there) & (here > 0) & (there > 0))
    return inside[None]


def _dice(targets: Mapping[str, Mapping[str, float | None]]) -> list[float]:
    return [value for metrics in targets.values() if (value := metrics["dice"]) is not None]


def _verdict(evaluation: Evaluation, case: str) -> str:
    """``WT Dice 0.812, 14 % missed``, of each target that is there."""
    words = []
    for target, metrics in evaluation.scores.cases[case].items():
        if metrics["fnr"] is not None and metrics["dice"] is not None:
            words.append(f"{target} Dice {number(metrics['dice'])}, {100 * metrics['fnr']:.0f} % missed")
        elif metrics["false_positive_mm3"]:
            words.append(f"{target} marked, not there")
    return "; ".join(words) or "nothing to find, nothing marked"
