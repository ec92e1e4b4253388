"""The voxels of a case: all its modalities on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crgan.cases.canonical import to_canonical
from crgan.cases.case import Case, Dataset
from crgan.cases.files import read_volume
from crgan.cases.grids import compare_grids
from crgan.cases.label_formats import read_label
from crgan.cases.volume import Geometry, Volume
from crgan.errors import CrganError, Problem, fail

COLOURS = ("red", "green", "blue")
"""Modalities of a data set that holds colour pictures; grey ones among them stand in all three."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorkingCase:
    """The voxels of a case in working axes.

    Parameters
    ----------
    image
        float32 ``(M, Z, Y, X)``, the channels in the order of the data set's modalities.
    label
        uint8 codes ``(Z, Y, X)`` of the data set's label scheme, or None.
    spacing_mm
        Edge lengths of a voxel along ``(Z, Y, X)``.
    geometry
        The grid of the image file, which a mask goes back to.
    """

    image: NDArray[np.float32]
    label: NDArray[np.uint8] | None
    spacing_mm: tuple[float, float, float]
    geometry: Geometry


def read_case(case: Case, dataset: Dataset) -> WorkingCase:
    """Read image and label of a case as working arrays.

    The label is read if the case has one and the data set says what its values mean.

    Raises
    ------
    CrganError
        As :func:`read_image`; also if the label cannot be read or lies on another grid than the image.
    """
    volume = read_image(case, dataset.modalities)
    image, spacing_mm = to_canonical(volume)
    label = None
    if case.label is not None and dataset.labels is not None:
        labels = read_label(case.label, case.label_format, image=volume.geometry)
        problems = label_grid_problems(case, volume.geometry, labels.geometry)
        if problems:
            raise CrganError(problems)
        label = dataset.labels.encode(to_canonical(labels)[0][0])
    return WorkingCase(image=image.astype(np.float32, copy=False), label=label, spacing_mm=spacing_mm, geometry=volume.geometry)


def read_image(case: Case, modalities: Sequence[str]) -> Volume:
    """Read the image of a case in the axes of its files.

    Parameters
    ----------
    case
        Whose files to read.
    modalities
        The M channel names of the data set.

    Returns
    -------
    Volume
        float32 ``(M, I, J, K)`` on the grid of the first file.

    Raises
    ------
    CrganError
        If a file is missing or unreadable, the files of a case lie on different grids, or the number of
        channels is not M. Voxels that are NaN or infinite are left for the integrity check to report.
    """
    volumes = [read_volume(path, dtype=np.float32) for path in case.images]
    problems = modality_problems(case, [volume.geometry for volume in volumes])
    if problems:
        raise CrganError(problems)
    channels = sum(volume.array.shape[0] for volume in volumes)
    if channels == len(modalities) and len(volumes) == 1:
        return volumes[0]
    geometry = volumes[0].geometry
    # Memory in the order K, J, I, as in the files: turning it to working arrays then moves nothing for most of them.
    image = np.empty((len(modalities), *geometry.shape[::-1]), np.float32).transpose(0, 3, 2, 1)
    if channels == len(modalities):
        np.concatenate([volume.array for volume in volumes], axis=0, out=image)
    elif channels == 1 and tuple(modalities) == COLOURS:
        image[:] = volumes[0].array
    else:
        raise fail(
            f"Case {case.case_id} has another number of channels than the data set.",
            where=", ".join(path.name for path in case.images),
            expected=f"{len(modalities)} ({', '.join(modalities)})",
            got=f"{channels}",
            fix="give the same modalities for every case, in the same order",
        )
    return Volume(image, geometry)


def modality_problems(case: Case, geometries: Sequence[Geometry]) -> list[Problem]:
    """List the differences between the grids of the modality files of a case, the first taken as right."""
    return [
        Problem(
            what=f"Two modalities of case {case.case_id} differ in {difference.what}.",
            where=path,
            expected=f"{difference.expected}, as in {case.images[0].name}",
            got=difference.got,
            fix="register the modalities and resample them to one grid",
        )
        for path, geometry in zip(case.images[1:], geometries[1:], strict=True)
        for difference in compare_grids(geometries[0], geometry)
    ]


def label_grid_problems(case: Case, image: Geometry, label: Geometry) -> list[Problem]:
    """List the differences between the grids of image and label."""
    return [
        Problem(
            what=f"Image and label of case {case.case_id} differ in {difference.what}.",
            where=case.label,
            expected=f"{difference.expected}, as in {case.images[0].name}",
            got=difference.got,
            fix=_GRID_FIXES[difference.what],
        )
        for difference in compare_grids(image, label)
    ]


_GRID_FIXES = {
    "shape": "check that they belong together; resample the label to the image's grid with nearest-neighbour interpolation",
    "spacing": "copy the image's header to the label if the voxels match, else resample the label to the image's grid",
    "orientation": "store both in the same orientation; copy the image's header to the label only if the voxels match",
    "place": "copy the image's header to the label if the voxels match, else resample the label to the image's grid",
}
