"""The images of a data set in the order of the modalities that a model was trained on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from crgan.cases.case import Case, Dataset
from crgan.cases.reading import COLOURS
from crgan.errors import fail

_UNNAMED = re.compile(r"image|channel \d+")


def in_model_order(dataset: Dataset, cases: Sequence[Case], modalities: Sequence[str]) -> Dataset:
    """Give a data set of these cases with the model's modalities, matched by name whatever their order and case.

    Images of a single modality, and channels that nothing names, are matched by their position alone.

    Parameters
    ----------
    dataset
        Where the cases are from.
    cases
        The cases wanted.
    modalities
        What the model was trained on.

    Raises
    ------
    CrganError
        If the data set has more, fewer or other modalities than the model.
    """
    found, wanted = [name.lower() for name in dataset.modalities], [name.lower() for name in modalities]
    if tuple(wanted) == COLOURS and len(found) == 1:  # a grey picture is as red as it is green and blue
        return replace(dataset, cases=tuple(cases))
    by_position = len(found) == len(wanted) and (len(wanted) == 1 or found == wanted or any(map(_UNNAMED.fullmatch, [*found, *wanted])))
    if by_position:
        return replace(dataset, cases=tuple(cases), modalities=tuple(modalities))
    if sorted(found) != sorted(wanted) or any(len(case.images) == 1 for case in cases):
        raise fail(
            "The images do not have the modalities that the model was trained on.",
            where=dataset.root,
            expected=f"{len(wanted)}: {', '.join(modalities)}",
            got=f"{len(found)}: {', '.join(dataset.modalities)}",
            fix="give every case all of the model's modalities, in its order and named as in training",
        )
    order = [found.index(name) for name in wanted]
    turned = tuple(replace(case, images=tuple(case.images[number] for number in order)) for case in cases)
    return replace(dataset, cases=turned, modalities=tuple(modalities))


def on_model_grid(dataset: Dataset, reference: int) -> Dataset:
    """Bring cases of several files onto the grid of the modality that the model's training cases were brought onto.

    Labels say which that is, and there are none of them where masks are wanted.

    Parameters
    ----------
    dataset
        Cases in the model's order of modalities.
    reference
        The number of that modality.
    """
    cases = tuple(replace(case, reference=reference) if len(case.images) > reference else case for case in dataset.cases)
    return replace(dataset, cases=cases)
