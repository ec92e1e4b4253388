"""The voxels of a case: all its modalities on one grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crgan.cases.alignment import align, can_be_aligned, choose_reference
from crgan.cases.canonical import to_canonical
from crgan.cases.case import Case, Dataset
from crgan.cases.files import read_geometry, read_volume
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
        values = to_canonical(labels)[0][0]
        # What is an object, and where its border runs, is told in each frame of a movie for itself.
        encode = dataset.labels.encode
        label = np.stack([encode(frame) for frame in values]) if volume.geometry.is_movie else encode(values)
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
        ``(M, I, J, K)`` on the grid of the reference file; the others are resampled onto it where they differ. Integers of up to
        16 bits stay what they are if all files hold the same type; anything else becomes float32.

    Raises
    ------
    CrganError
        If a file is missing or unreadable, the files of a case do not show the same place, or the number of
        channels is not M. Voxels that are NaN or infinite are left for the integrity check to report.
    """
    volumes = [read_volume(path) for path in case.images]
    geometries = [volume.geometry for volume in volumes]
    reference = reference_of(case, geometries)
    problems = [problem for problem in modality_problems(case, geometries, reference) if problem.severity == "error"]
    if problems:
        raise CrganError(problems)
    channels = sum(volume.array.shape[0] for volume in volumes)
    geometry = geometries[reference]
    volumes = [align(volume, geometry) if compare_grids(geometry, volume.geometry) else volume for volume in volumes]
    dtype = _common_type([volume.array.dtype for volume in volumes])
    if channels == len(modalities) and len(volumes) == 1:
        return Volume(volumes[0].array.astype(dtype, order="K", copy=False), geometry)
    # Memory in the order K, J, I, as in the files: turning it to working arrays then moves nothing for most of them.
    image = np.empty((len(modalities), *geometry.shape[::-1]), dtype).transpose(0, 3, 2, 1)
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


def _common_type(types: Sequence[np.dtype[np.generic]]) -> np.dtype[np.generic]:
    """The type of voxels that come from files of these types: half of float32's memory where the files hold no more."""
    small = types[0].kind in "iu" and types[0].itemsize <= 2 and all(dtype == types[0] for dtype in types)
    return types[0] if small else np.dtype(np.float32)


def reference_of(case: Case, geometries: Sequence[Geometry]) -> int:
    """Which of a case's images lies on the grid that all are brought onto, given the grids of all of them."""
    if case.reference is not None:
        return case.reference
    if case.label is None or case.label_format is not None or not any(compare_grids(geometries[0], other) for other in geometries[1:]):
        return 0
    try:
        return choose_reference(geometries, read_geometry(case.label)[0])
    except CrganError:
        return 0  # a label that cannot be read is reported where it is read


def reference_geometry(case: Case) -> Geometry:
    """The grid that the images of a case are brought onto, by the headers alone (``CrganError`` if one cannot be read)."""
    if len(case.images) == 1:
        return read_geometry(case.images[0])[0]
    geometries = [read_geometry(path)[0] for path in case.images]
    return geometries[reference_of(case, geometries)]


def modality_problems(case: Case, geometries: Sequence[Geometry], reference: int) -> list[Problem]:
    """List the modality files of a case that lie on another grid than the reference.

    A warning for each that is resampled, an error for each that does not show the same place.
    """
    wanted, name = geometries[reference], case.images[reference].name
    problems = []
    for path, geometry in zip(case.images, geometries, strict=True):
        differences = compare_grids(wanted, geometry)
        if not differences:
            continue
        resampled = can_be_aligned(wanted, geometry)
        words = " and ".join(difference.what for difference in differences)
        problems.append(
            Problem(
                what=f"Two modalities of case {case.case_id} differ in {words}" + ("; one is resampled." if resampled else "."),
                where=path,
                expected=f"{', '.join(difference.expected for difference in differences)}, as in {name}",
                got=", ".join(difference.got for difference in differences),
                fix=f"nothing, if they are registered: it is brought onto the grid of {name} by linear interpolation"
                if resampled
                else "correct the header if the voxels match, else register the modalities: these do not show the same place",
                severity="warning" if resampled else "error",
                kind="resampled" if resampled else "grids",
            )
        )
    return problems


def label_grid_problems(case: Case, image: Geometry, label: Geometry) -> list[Problem]:
    """List the differences between the grids of image and label."""
    return [
        Problem(
            what=f"Image and label of case {case.case_id} differ in {difference.what}.",
            where=case.label,
            expected=f"{difference.expected}, as in {case.images[case.reference or 0].name}",
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
