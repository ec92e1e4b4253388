"""A case as working arrays: all modalities and the label codes on the canonical grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crgan.cases.canonical import to_canonical
from crgan.cases.case import Case, Dataset
from crgan.cases.reading import read_case, read_case_labels
from crgan.cases.volume import Geometry
from crgan.preprocessing.prepared import Spacing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorkingCase:
    """What was read from a case's files.

    Parameters
    ----------
    image
        float32 ``(M, Z, Y, X)``.
    label
        uint8 codes ``(Z, Y, X)``; None if the case has no label or the data set no label scheme.
    spacing_mm
        Voxel size, ``(Z, Y, X)``.
    source
        The grid of the image file.
    """

    image: NDArray[np.float32]
    label: NDArray[np.uint8] | None
    spacing_mm: Spacing
    source: Geometry


def read_working(case: Case, dataset: Dataset) -> WorkingCase:
    """Read a case onto the canonical grid.

    Raises
    ------
    CrganError
        If a file cannot be read, or the files of the case do not fit together.
    """
    volume = read_case(case, dataset.modalities)
    label: NDArray[np.uint8] | None = None
    if case.label is not None and dataset.labels is not None:
        (values,), _ = to_canonical(read_case_labels(case, volume))
        label = dataset.labels.encode(values)
    image, spacing = to_canonical(volume)
    return WorkingCase(image=image.astype(np.float32, copy=False), label=label, spacing_mm=spacing, source=volume.geometry)
