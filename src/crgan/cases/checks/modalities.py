"""Modalities that were exchanged: the T1 image under the name of the FLAIR image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crgan.cases.case import Case, Dataset
from crgan.cases.summary import Inspection
from crgan.errors import Problem

_ENOUGH = 5  # cases that are needed to say what a modality looks like
_FAR = 4.0  # how unlike its own name a modality must be, in usual deviations, …
_NEARER = 0.4  # … and how much nearer to the other name
_CODES = 8  # of the label scheme whose brightness is compared, the outside included
_FLOOR = 0.05  # the least deviation that is taken for usual; features run from 0 to 1


def exchanged_modalities(dataset: Dataset, cases: Sequence[Case], inspections: Sequence[Inspection]) -> dict[int, Problem]:
    """Find cases two of whose modality files would look more like the others' if they changed places, by the number of the case.

    What is compared is the shape of the histogram and, where there is a label, how bright each class is: neither depends on the
    scanner's scale.
    """
    count = len(dataset.modalities)
    known = [n for n, inspection in enumerate(inspections) if len(cases[n].images) == count > 1 and _complete(inspection, count)]
    if len(known) < _ENOUGH:
        return {}
    features = np.stack([_features(inspections[n]) for n in known])  # (cases, modalities, features)
    problems: dict[int, Problem] = {}
    for row, number in enumerate(known):
        others = np.delete(features, row, axis=0)
        usual = np.median(others, axis=0)
        spread = np.maximum(1.5 * np.median(np.abs(others - usual), axis=0), _FLOOR)
        own = features[row]
        # distance[a, b]: how unlike the image under name a is to what is usual under name b.
        distance = np.sqrt(np.mean(((own[:, None] - usual[None]) / spread[None]) ** 2, axis=-1))
        for a in range(count):
            for b in range(a + 1, count):
                as_named, exchanged = distance[a, a] + distance[b, b], distance[a, b] + distance[b, a]
                if min(distance[a, a], distance[b, b]) > _FAR / 2 and as_named > _FAR and exchanged < _NEARER * as_named:
                    problems[number] = _problem(dataset, cases[number], a, b)
    return problems


def _problem(dataset: Dataset, case: Case, a: int, b: int) -> Problem:
    names = f"{dataset.modalities[a]} and {dataset.modalities[b]}"
    return Problem(
        kind="exchanged-modalities",
        what=f"The modalities {names} of case {case.case_id} seem to be exchanged.",
        where=f"{case.images[a]}, {case.images[b]}",
        expected="images that look like those of the same name in the other cases",
        got="each looks like those of the other name",
        fix="look at them, and exchange the names of the two files",
        severity="warning",
    )


def _complete(inspection: Inspection, count: int) -> bool:
    return inspection.summary is not None and len(inspection.summary.channels) == count


def _features(inspection: Inspection) -> NDArray[np.float64]:
    """What a modality looks like, ``(modalities, features)``: the inner percentiles of its foreground, and the rank of each class."""
    assert inspection.summary is not None  # noqa: S101 - only complete cases are asked for
    percentiles = np.array([channel.foreground for channel in inspection.summary.channels])
    low, width = percentiles[:, :1], np.maximum(percentiles[:, -1:] - percentiles[:, :1], 1e-12)
    shape = ((percentiles - low) / width)[:, 1:-1]
    ranks = np.full((len(shape), _CODES), 0.5)  # neither dark nor bright, where there is no such class
    if inspection.evidence.contrast is not None:
        found = inspection.evidence.contrast[:, :_CODES]
        ranks[:, : found.shape[1]] = np.nan_to_num(found, nan=0.5)
    return np.concatenate([shape, ranks], axis=1)
