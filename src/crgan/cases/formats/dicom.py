"""DICOM: the files of a series, in whatever order they lie in a folder, become one volume.

Slices are sorted by their position along the normal of the image plane, never by name or number. SimpleITK reads
and decompresses them and applies each one's own rescale slope and intercept. Files that hold a whole volume
("enhanced") are read by highdicom, an optional dependency.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crgan.cases.formats.dicom_frames import read_frames, read_frames_grid
from crgan.cases.formats.dicom_headers import Header, headers_in, is_dicom, open_reader, unreadable
from crgan.cases.formats.dicom_stack import sort_slices, stack_geometry
from crgan.cases.formats.itk import load_itk
from crgan.cases.volume import Geometry, Volume
from crgan.errors import CrganError, fail


class Dicom:
    """A folder that holds one series, or any one file of a series, which stands for all of it.

    A single image without a position in space, such as an X-ray, is a picture: ``(rows, columns, 1)``.
    """

    suffixes: tuple[str, ...] = ()  # many DICOM files have none; :func:`accepts` decides
    errors: tuple[type[Exception], ...] = (OSError, RuntimeError, ValueError)

    def accepts(self, path: Path) -> bool:
        """Whether it is a folder with DICOM files, or one of them."""
        if path.is_dir():
            return any(is_dicom(child) for child in path.iterdir() if child.is_file())
        return path.is_file() and is_dicom(path)

    def parts(self, path: Path) -> tuple[Path, ...]:
        """The files of the series, sorted by position; all files of the folder if they make up no volume."""
        try:
            return tuple(header.path for header in series_of(path))
        except CrganError:
            return tuple(sorted(child for child in (path if path.is_dir() else path.parent).iterdir() if child.is_file()))

    def read(self, path: Path, *, labels: bool) -> Volume:  # noqa: ARG002 - a label map is stored like an image
        """Read a series with its rescale slope and intercept applied."""
        headers = series_of(path)
        if headers[0].enhanced:
            return read_frames(headers[0].path)
        geometry = _geometry(headers)
        stacked = np.stack([_pixels(header) for header in headers])  # (K, J, I, channels)
        if stacked.dtype == np.float64:
            stacked = stacked.astype(np.float32)
        if geometry.dimensions == 2:
            return Volume(stacked.transpose(3, 1, 2, 0), geometry)
        return Volume(stacked.transpose(3, 2, 1, 0), geometry)

    def header(self, path: Path) -> tuple[Geometry, int]:
        """Read the grid and the number of channels."""
        headers = series_of(path)
        if headers[0].enhanced:
            return read_frames_grid(headers[0].path), 1
        return _geometry(headers), headers[0].channels

    def write(self, path: Path, array: NDArray[np.generic], geometry: Geometry, *, suffix: str) -> None:  # noqa: ARG002
        """Refuse: masks are written as NIfTI, or as DICOM-SEG together with the series they belong to."""
        raise fail("An image cannot be written as a DICOM series.", where=path, expected=".nii.gz", got=suffix, fix="name the file .nii.gz")


def all_series(folder: Path) -> list[tuple[Header, ...]]:
    """The series whose files lie right in a folder, sorted by the name of their first file, each in the order of names.

    Overviews that slices were planned on (scouts) are left out, unless there is nothing else.

    Raises
    ------
    CrganError
        If a DICOM image cannot be read.
    """
    by_id: dict[str, list[Header]] = defaultdict(list)
    for header in headers_in(folder):
        by_id[header.series].append(header)
    images = [members for members in by_id.values() if not all(header.scout for header in members)]
    found: list[tuple[Header, ...]] = []
    for members in images or by_id.values():
        planes = [header for header in members if not header.scout]  # some scanners put the scout into the series
        if members[0].enhanced:
            found += [(header,) for header in planes or members]  # each file is a volume of its own
        else:
            found.append(tuple(planes or members))
    return found


def series_of(path: Path) -> tuple[Header, ...]:
    """The files of a series, sorted by position.

    Parameters
    ----------
    path
        The folder of a single series, or any file of a series.

    Raises
    ------
    CrganError
        If there are several series in the folder, or the slices do not make up one regular volume.
    """
    folder = path if path.is_dir() else path.parent
    found = all_series(folder)
    if path.is_file():
        found = [series for series in found if any(header.path.name == path.name for header in series)]
    if not found:
        raise fail("There is no DICOM image.", where=path, expected="the files of a series", fix="check the path")
    if len(found) > 1:
        sizes = ", ".join(f"{len(series)} images from {series[0].path.name} on" for series in found[:5])
        raise fail(
            "The folder holds several DICOM series where one image was meant.",
            where=folder,
            expected="the files of one series",
            got=f"{len(found)} series: {sizes}{' …' if len(found) > 5 else ''}",
            fix="name a file of the one that is meant, or move each series to a folder of its own",
        )
    return found[0] if found[0][0].enhanced else sort_slices(folder, found[0])


def _geometry(headers: Sequence[Header]) -> Geometry:
    first = headers[0]
    if len(headers) == 1 and (first.position_mm is None or first.directions is None):
        columns, rows, _ = first.shape
        affine = np.zeros((4, 4))
        affine[0, 1], affine[1, 0], affine[2, 2], affine[3, 3] = *first.spacing_mm, 1.0, 1.0
        return Geometry((rows, columns, 1), affine, dimensions=2)
    return stack_geometry(headers)


def _pixels(header: Header) -> NDArray[np.generic]:
    """Pixels of one slice after rescaling, ``(rows, columns, channels)``."""
    try:
        pixels: NDArray[np.generic] = load_itk().GetArrayFromImage(open_reader(header.path).Execute())
    except (RuntimeError, MemoryError) as error:
        raise unreadable(header.path) from error
    columns, rows, _ = header.shape
    return pixels.reshape(rows, columns, header.channels)
