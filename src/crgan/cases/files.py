"""Image files in and out, with spacing, orientation and affine preserved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from crgan.cases.formats import Format, unreadable
from crgan.cases.formats.dicom import Dicom
from crgan.cases.formats.frames import Frames
from crgan.cases.formats.itk import Itk
from crgan.cases.formats.nifti import Nifti
from crgan.cases.formats.pgm import Pgm
from crgan.cases.formats.pictures import Png, Tiff
from crgan.cases.volume import Geometry, Volume
from crgan.errors import CrganError, fail
from crgan.files import atomic_write

FORMATS: tuple[Format, ...] = (Nifti(), Itk(), Png(), Tiff(), Pgm())

_FOLDERS = (Dicom(), Frames())  # told by content: a series is a folder of files that seldom have a name ending

IMAGE_SUFFIXES: tuple[str, ...] = tuple(suffix for format_ in FORMATS for suffix in format_.suffixes)
"""File name endings that can be read, in lower case; ``".nii.gz"`` is one suffix."""

_LONGEST_SUFFIX_FIRST = sorted(IMAGE_SUFFIXES, key=len, reverse=True)
_NOISE = 0.2  # how far from whole numbers noise may be, for the advice to round it
_WHOLE_NUMBER_TOLERANCE = 1e-3  # slopes are stored in float32: 255 times 0.003921569 is not quite 1


def split_suffix(path: str | Path) -> tuple[str, str]:
    """Split a file name into stem and image suffix.

    Parameters
    ----------
    path
        A path or a file name.

    Returns
    -------
    tuple of str
        ``("patient1_t1", ".nii.gz")``; the suffix is as in :data:`IMAGE_SUFFIXES`, or ``""`` if the file is no image.
    """
    name = Path(path).name
    for suffix in _LONGEST_SUFFIX_FIRST:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)], suffix
    return name, ""


def is_image(path: Path) -> bool:
    """Whether the name is that of an image file; hidden files (macOS leaves ``._name`` ones) are not."""
    return split_suffix(path)[1] != "" and not path.name.startswith(".")


def image_parts(path: Path) -> tuple[Path, ...]:
    """The files that an image is read from: those of a DICOM series, the frames of a movie, else the file itself."""
    if not split_suffix(path)[1]:
        for format_ in _FOLDERS:
            if format_.accepts(path):
                return format_.parts(path)
    return (path,)


def read_volume(path: Path, *, dtype: DTypeLike | None = None) -> Volume:
    """Read an image.

    Parameters
    ----------
    path
        A file whose name ends in one of :data:`IMAGE_SUFFIXES`, the folder of a DICOM series, or any file of one,
        which stands for its series, or the folder of a movie's frames.
    dtype
        Type of the voxels; by default the file's own, or float32 where the header scales the values.

    Returns
    -------
    Volume
        ``(C, I, J, K)`` in the file's own axes; the fourth axis of a NIfTI file, the components of a pixel and
        the colours of a picture become channels. The array may be written to.

    Raises
    ------
    CrganError
        If the file is missing, truncated, not what its name says, or of a shape that is no volume.
    """
    volume = _read(path, labels=False)
    return volume if dtype is None else Volume(volume.array.astype(dtype, order="K", copy=False), volume.geometry)


def read_labels(path: Path) -> Volume:
    """Read a label map as whole numbers.

    Parameters
    ----------
    path
        A file whose name ends in one of :data:`IMAGE_SUFFIXES`.

    Returns
    -------
    Volume
        ``(1, I, J, K)`` of the file's integer type, int32 where it holds floating-point or scaled numbers.

    Raises
    ------
    CrganError
        As :func:`read_volume`; also if the values are not whole numbers or there are several different channels.
    """
    volume = _read(path, labels=True)
    array = volume.array
    if array.shape[0] > 1 and (array[1:] == array[:1]).all():
        array = array[:1]  # a grey picture stored as RGB
    if array.shape[0] != 1:
        raise fail(
            "The label file has several channels.",
            where=path,
            expected="one value per voxel",
            got=f"{array.shape[0]} channels of shape {volume.geometry.shape}",
            fix="store the labels as one channel, a number per class",
        )
    if array.dtype.kind == "f":
        array = _whole_numbers(path, array)
    return Volume(array, volume.geometry)


def read_geometry(path: Path) -> tuple[Geometry, int]:
    """Read a file's grid and number of channels from its header, without its voxels.

    Raises
    ------
    CrganError
        If the file is missing or its header cannot be read.
    """
    format_ = _format_of(path)
    try:
        return format_.header(path)
    except format_.errors as error:
        raise unreadable(path, error) from error


def write_labels(path: Path, labels: NDArray[np.integer], geometry: Geometry, *, least_bits: Literal[8, 16] = 8) -> None:
    """Write a label map on exactly the grid it was made for, in the smallest integer type that holds it.

    Parameters
    ----------
    path
        Where to; the suffix chooses the format. It is written beside and moved into place.
    labels
        ``(I, J, K)`` whole numbers.
    geometry
        The grid of the image that was segmented.
    least_bits
        Use a type of at least so many bits: readers of instance ids expect 16.

    Raises
    ------
    CrganError
        If the format cannot hold the values or the grid, or the file cannot be written.
    """
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    kinds = (np.uint8, np.uint16, np.int32)[least_bits == 16 :]
    fitting = (kind for kind in kinds if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    _write(path, labels.astype(next(fitting, np.int64)), geometry)


def write_map(path: Path, array: NDArray[np.floating], geometry: Geometry) -> None:
    """Write a map of real numbers, such as a probability, as float32.

    Parameters
    ----------
    path, geometry
        As in :func:`write_labels`; a PNG cannot hold real numbers.
    array
        ``(I, J, K)`` real numbers.

    Raises
    ------
    CrganError
        As :func:`write_labels`.
    """
    _write(path, array.astype(np.float32), geometry)


def _read(path: Path, *, labels: bool) -> Volume:
    format_ = _format_of(path)
    try:
        return format_.read(path, labels=labels)
    except format_.errors as error:
        raise unreadable(path, error) from error


def _write(path: Path, array: NDArray[np.generic], geometry: Geometry) -> None:
    if array.shape != geometry.shape:
        message = f"array of shape {array.shape} does not fit a grid of shape {geometry.shape}"
        raise ValueError(message)
    format_ = _format_of(path, must_exist=False)
    suffix = split_suffix(path)[1]
    with atomic_write(path, suffix=suffix) as temporary:
        try:
            format_.write(temporary, array, geometry, suffix=suffix)
        except CrganError as error:  # tells of the temporary file
            raise CrganError([replace(problem, where=path) for problem in error.problems]) from error
        except RuntimeError as error:  # what ITK raises where others raise OSError
            raise OSError(str(error)) from error


def _format_of(path: Path, *, must_exist: bool = True) -> Format:
    suffix = split_suffix(path)[1]
    if must_exist and not suffix:
        for found in _FOLDERS:
            if found.accepts(path):
                return found
    if must_exist and not path.is_file():
        got = "a folder without DICOM images or frames" if path.is_dir() else "nothing"
        raise fail("There is no such image file.", where=path, got=got, fix="check the path; it may have been moved or renamed")
    for format_ in FORMATS:
        if suffix in format_.suffixes:
            return format_
    raise fail(
        "This kind of file is not known.",
        where=path,
        expected=", ".join(IMAGE_SUFFIXES),
        got="".join(path.suffixes[-2:]) or "no file name ending",
        fix="convert the file to NIfTI (.nii.gz)",
    )


def _whole_numbers(path: Path, array: NDArray[Any]) -> NDArray[np.int32]:
    rounded = np.rint(array)
    with np.errstate(invalid="ignore"):  # infinity minus infinity is no number, which is then off too
        off = ~(np.abs(array - rounded) <= _WHOLE_NUMBER_TOLERANCE) | ~(np.abs(rounded) < 2**31)
    if off.any():
        finite = bool(np.isfinite(array).all())
        if finite and float(np.abs(array - rounded).max()) <= _NOISE:
            fix = "it is noise on class numbers: round them and store them as integers"
        elif finite and array.min() >= 0 and array.max() <= 1:
            fix = "it holds shares or probabilities: decide them, for example 1 from 0.5 on, and store whole numbers"
        else:
            fix = "store class numbers; if it was resampled, do it again with nearest-neighbour interpolation"
        raise fail(
            "The label file holds values that are not whole numbers.",
            where=path,
            expected="a whole number per voxel",
            got=f"{int(off.sum())} other voxels, for example {float(array[off][0]):g}",
            fix=fix,
        )
    whole: NDArray[np.int32] = rounded.astype(np.int32)
    return whole
