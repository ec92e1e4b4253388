"""The images behind the labels: they tell where the body is, so that false alarms need not be diluted by empty air."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from crgan.cases.case import Case
from crgan.cases.files import read_geometry
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import open_dataset
from crgan.cases.reading import label_grid_problems, read_image
from crgan.cases.volume import Geometry
from crgan.errors import CrganError, Problem
from crgan.evaluation.overlap import Mask
from crgan.evaluation.pairs import Pair, some
from crgan.preprocessing.foreground import foreground_mask


@dataclass(frozen=True, slots=True, kw_only=True)
class Imaged:
    """The image of a case, and the names of its channels."""

    case: Case
    modalities: tuple[str, ...]


def find_images(images: Path, pairs: Sequence[Pair], *, labels: Path, layout: str | None, pattern: str | None) -> dict[str, Imaged]:
    """Find the image of every case to score, by case id.

    Parameters
    ----------
    images
        A folder in any layout.
    pairs
        The cases to score.
    labels, layout, pattern
        Where the labels come from: if the images lie in the same folder, they are laid out as they are.

    Raises
    ------
    CrganError
        With every case that has no image or one on another grid than its label.
    """
    same = images.resolve() == labels.resolve()
    # What labels mean does not matter here: nothing need be read to find out.
    dataset = open_dataset(
        images, layout=layout if same else None, pattern=pattern if same else None, labels=LabelScheme(classes={}), ignore_labels=True
    )
    known = {case.case_id: case for case in dataset.cases}
    problems = [
        Problem(
            what=f"Case {pair.case_id} has no image.",
            where=images,
            got=some(known),
            fix="give the folder of the images of these labels, or leave --images out",
        )
        for pair in pairs
        if pair.case_id not in known
    ]
    if problems:
        raise CrganError(problems)
    return {
        pair.case_id: Imaged(case=replace(known[pair.case_id], label=pair.label), modalities=tuple(dataset.modalities)) for pair in pairs
    }


def read_foreground(imaged: Imaged, label: Geometry) -> Mask:
    """Tell the body from the background: the voxels that are foreground in any modality, on the label's grid.

    Raises
    ------
    CrganError
        If the image cannot be read, or lies on another grid than the label.
    """
    geometry, _ = read_geometry(imaged.case.images[0])
    problems = label_grid_problems(imaged.case, geometry, label)
    if problems:
        raise CrganError(problems)
    image = read_image(imaged.case, imaged.modalities).array
    return np.asarray(np.logical_or.reduce([foreground_mask(channel) for channel in image]))
