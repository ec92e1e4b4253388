"""Faults of an image file: what its voxels and its header show by themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crgan.cases.case import Case
from crgan.cases.reading import COLOURS
from crgan.cases.summary import ChannelSummary
from crgan.cases.volume import Volume
from crgan.errors import Problem

_SHEAR_DEGREES = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageFile:
    """An image file that was read, and what was measured on the way.

    Parameters
    ----------
    case, path, volume
        Whose file it is, where it lies, and what it holds.
    modalities
        Channel names of the data set.
    channels
        Intensities of each channel.
    finite
        Whether no voxel is NaN or infinite.
    blank
        bool ``(C, K)``: whether all voxels of a slice along the file's last axis are equal.
    """

    case: Case
    path: Path
    volume: Volume
    modalities: Sequence[str]
    channels: Sequence[ChannelSummary]
    finite: bool
    blank: NDArray[np.bool_]


def other_channels(image: ImageFile) -> Problem | None:
    """Another number of channels than the data set's, most often a 4-D file."""
    found = image.volume.array.shape[0]
    expected = len(image.modalities) if len(image.case.images) == 1 else 1
    if found == expected or (found == 1 and tuple(image.modalities) == COLOURS):
        return None
    picture = image.volume.geometry.dimensions == 2
    one = "a grey picture" if picture else "a 3-D volume"
    many = f"a picture of {found} channels" if picture else f"a 4-D file of {found} volumes"
    return Problem(
        kind="channels",
        what=f"Case {image.case.case_id} holds {found} channels where {expected} {'was' if expected == 1 else 'were'} meant.",
        where=image.path,
        expected=one if expected == 1 else f"{expected} channels: {', '.join(image.modalities)}",
        got=one if found == 1 else many,
        fix="give every case the same channels"
        if picture
        else "split the series into one file per time point, or give every case the same channels",
    )


def not_numbers(image: ImageFile) -> Problem | None:
    """Voxels that are NaN or infinite."""
    array = image.volume.array
    if image.finite:
        return None
    nan, infinite = int(np.isnan(array).sum()), int(np.isinf(array).sum())
    return Problem(
        kind="not-numbers",
        what=f"The image of case {image.case.case_id} holds voxels that are not numbers.",
        where=image.path,
        expected="finite intensities",
        got=f"{nan} NaN and {infinite} infinite voxels of {array.size}",
        fix="replace them, for example by the background's value",
    )


def constant(image: ImageFile) -> Problem | None:
    """Channels that show nothing."""
    flat = [number for number, channel in enumerate(image.channels) if channel.minimum == channel.maximum]
    if not flat or not image.finite:
        return None
    everything = len(flat) == len(image.channels)
    name = image.case.case_id
    return Problem(
        kind="constant",
        what=f"The image of case {name} is constant."
        if everything
        else f"{len(flat)} of {len(image.channels)} channels of case {name} are constant.",
        where=image.path,
        expected="an image",
        got=f"the value {image.channels[flat[0]].minimum:g} everywhere",
        fix="export it again, or leave the case out",
        severity="error" if everything else "warning",
    )


def repeated_slice(image: ImageFile) -> Problem | None:
    """One slice stored again and again in place of a volume."""
    array = image.volume.array
    for axis in (1, 2, 3) if image.volume.geometry.dimensions == 3 else ():
        if array.shape[axis] < 3:
            continue
        first, middle = (array[(slice(None),) * axis + (slice(k, k + 1),)] for k in (0, array.shape[axis] // 2))
        if (first == middle).all() and first.min() != first.max() and (array == first).all():
            return Problem(
                kind="repeated-slice",
                what=f"All slices of case {image.case.case_id} are the same.",
                where=image.path,
                expected="a volume",
                got=f"one slice, {array.shape[axis]} times along axis {'IJK'[axis - 1]}",
                fix="export the series again; most often the same file was read for every slice",
            )
    return None


def blank_slices(image: ImageFile) -> Problem | None:
    """Slices without content between slices with content, as dropped ones leave them."""
    blank = np.asarray(image.blank.all(axis=0))
    filled = np.flatnonzero(~blank)
    between = [] if filled.size == 0 else [int(k) for k in np.flatnonzero(blank) if filled[0] < k < filled[-1]]
    if not between:
        return None
    shown = ", ".join(map(str, between[:10])) + (" …" if len(between) > 10 else "")
    return Problem(
        kind="blank-slices",
        what=f"{len(between)} slices amid the image of case {image.case.case_id} are blank.",
        where=image.path,
        expected="slices that show something, but for those at the ends",
        got=f"one value all over in slices {shown} of 0 to {blank.size - 1}",
        fix="export the series again; slices got lost",
        severity="warning",
    )


def sheared(image: ImageFile) -> Problem | None:
    """A grid whose axes are not at right angles; told of the first file, with whose grid the others are compared."""
    if image.path != image.case.images[0]:
        return None
    directions = image.volume.geometry.affine[:3, :3] / np.array(image.volume.geometry.spacing_mm)
    cosine = float(np.abs(directions.T @ directions - np.eye(3)).max())
    degrees = float(np.degrees(np.arcsin(min(cosine, 1.0))))
    if degrees <= _SHEAR_DEGREES:
        return None
    return Problem(
        kind="sheared",
        what=f"The grid of case {image.case.case_id} is sheared.",
        where=image.path,
        expected="axes at right angles",
        got=f"axes {degrees:.1f}° off, as a tilted gantry or a wrong header makes them",
        fix="resample the image to a straight grid, or correct the header; distances and sizes are off otherwise",
        severity="warning",
    )


IMAGE_CHECKS: tuple[Callable[[ImageFile], Problem | None], ...] = (
    other_channels,
    not_numbers,
    constant,
    repeated_slice,
    blank_slices,
    sheared,
)
"""What is looked for in every image file; a new check is a function and a line here."""
