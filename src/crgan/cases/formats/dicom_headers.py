"""What the header of a DICOM file tells about its image, and nothing about its patient.

Headers are read by SimpleITK, a file in two milliseconds. Names, dates and ids of patients are never looked at; the
series' own id is used to tell series apart, and is shown to nobody.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.cases.formats.itk import load_itk
from crgan.errors import fail

SUFFIXES = (".dcm", ".dicom", ".ima")
"""Usual file name endings, in lower case; most archives write none."""

_PREAMBLE, _MAGIC = 128, b"DICM"
_STORAGE = "1.2.840.10008.5.1.4.1.1."
SEGMENTATION = _STORAGE + "66.4"
# Storage classes without an image of their own: presentation states, waveforms, registrations and segmentations, reports, documents, plans.
_NO_IMAGES = ("1.2.840.10008.1.3.10", *(_STORAGE + part for part in ("9.", "11.", "66", "88.", "104.", "481.")))
_ENHANCED = tuple(_STORAGE + part for part in ("2.1", "2.2", "4.1", "4.3", "4.4", "128.1", "130"))
_UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
_IMPLICIT, _BIG_ENDIAN = _UNCOMPRESSED[0], _UNCOMPRESSED[2]
# The types of elements whose length has four bytes, and of those with two.
_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
_UNDEFINED, _PIXELS = 0xFFFFFFFF, 0x7FE0
_LARGEST_COMPRESSION = 2000  # bytes from one, for an image that shows nothing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Header:
    """One DICOM file.

    Parameters
    ----------
    path
        The file.
    series
        What is equal in all files of a series; never shown.
    series_number
        The number that viewers show, or None.
    shape
        Columns, rows and frames.
    channels
        1, or 3 for colours.
    spacing_mm
        Distance of pixel centres along a row and along a column.
    directions
        ``(2, 3)`` unit vectors (LPS) along which columns and rows are counted, or None.
    position_mm
        Centre of the first pixel (LPS), or None.
    scout
        Whether it is an overview that slices were planned on.
    enhanced
        Whether its frames have positions of their own, which takes more to read than this header.
    """

    path: Path
    series: str
    series_number: int | None
    shape: tuple[int, int, int]
    channels: int
    spacing_mm: tuple[float, float]
    directions: NDArray[np.float64] | None
    position_mm: NDArray[np.float64] | None
    scout: bool
    enhanced: bool


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM, by its first bytes or, if it has no preamble, by its name; hidden files are not."""
    if path.name.startswith("."):
        return False
    try:
        with path.open("rb") as file:
            return file.read(_PREAMBLE + 4)[_PREAMBLE:] == _MAGIC or path.suffix.lower() in SUFFIXES
    except OSError:
        return False


def natural(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sorting key of file names in which ``slice2`` comes before ``slice10``."""
    parts = re.split(r"(\d+)", path.name)
    return tuple((1, int(part), part) if part.isdecimal() and len(part) < 20 else (0, 0, part.lower()) for part in parts)


def storage_class(path: Path) -> str:
    """The kind of object that a DICOM file says to be, a UID; ``""`` if it does not say."""
    return _meta(path, b"\x02\x00\x02\x00UI")


def holds_image(path: Path) -> bool:
    """Whether a file is DICOM and not a segmentation, a report, a plan or an index."""
    return is_dicom(path) and not storage_class(path).startswith(_NO_IMAGES)


def headers_in(folder: Path) -> tuple[Header, ...]:
    """The images right in a folder in the order of their names; what is no DICOM image is left out.

    Raises
    ------
    CrganError
        If a DICOM image cannot be read.
    """
    return _headers_in(folder, folder.stat().st_mtime_ns)


@lru_cache(maxsize=4)  # a folder of thousands of one-image series is asked for each of them
def _headers_in(folder: Path, _changed: int) -> tuple[Header, ...]:
    paths = sorted((path for path in folder.iterdir() if path.is_file() and holds_image(path)), key=natural)
    return tuple(read_header(path) for path in paths)


def read_header(path: Path) -> Header:
    """Read the header of one file.

    Raises
    ------
    CrganError
        If it is no readable DICOM image, or says that it is larger than its file can hold.
    """
    reader = open_reader(path)
    size, channels = reader.GetSize(), int(reader.GetNumberOfComponents())
    shape = (int(size[0]), int(size[1]), int(size[2]) if len(size) > 2 else 1)
    bits = _numbers(reader, "0028|0100")
    declared = math.prod(shape) * channels * int(bits[0] if bits else 8) // 8
    ratio = 1 if _meta(path, b"\x02\x00\x10\x00UI") in _UNCOMPRESSED else _LARGEST_COMPRESSION
    if declared > ratio * path.stat().st_size:
        raise fail(
            "The DICOM file says it is larger than it is.",
            where=path,
            expected=f"{declared} bytes for an image of {' x '.join(map(str, shape))}",
            got=f"a file of {path.stat().st_size} bytes",
            fix="it is damaged or cut short: export the series again",
        )
    spacing = _numbers(reader, "0028|0030") or _numbers(reader, "0018|1164")
    orientation, position, number = (_numbers(reader, tag) for tag in ("0020|0037", "0020|0032", "0020|0011"))
    return Header(
        path=path,
        series=_text(reader, "0020|000e"),
        series_number=int(number[0]) if number else None,
        shape=shape,
        channels=channels,
        spacing_mm=(spacing[1], spacing[0]) if len(spacing) == 2 and min(spacing) > 0 else (1.0, 1.0),  # stored rows first
        directions=_unit(path, orientation) if len(orientation) == 6 else None,
        position_mm=np.array(position) if len(position) == 3 else None,
        scout="LOCALIZER" in _text(reader, "0008|0008").upper(),
        enhanced=storage_class(path) in _ENHANCED,
    )


def open_reader(path: Path) -> Any:
    """A SimpleITK reader that has read the header of a file.

    Raises
    ------
    CrganError
        If it has none.
    """
    sitk = load_itk()
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    if not _lengths_fit(path):
        raise unreadable(path)  # the library would first take as much memory as a damaged element says it needs
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise unreadable(path) from error
    return reader


def unreadable(path: Path) -> Exception:
    """The error for a damaged file; what the decoder says is left out, since it may quote the header."""
    return fail(
        "The DICOM file cannot be read.",
        where=path,
        expected="an image with a complete header",
        got=f"a file of {path.stat().st_size} bytes" if path.is_file() else "nothing",
        fix="it is damaged or cut short, or compressed in an unknown way: export the series again, uncompressed",
    )


def _meta(path: Path, element: bytes) -> str:
    """A UID of the file's meta information, which is always written as explicit little endian at its start."""
    with path.open("rb") as file:
        start = file.read(1024)
    place = start.find(element, _PREAMBLE)
    if place < 0 or len(start) < place + 8:
        return ""
    (length,) = struct.unpack_from("<H", start, place + 6)
    return start[place + 8 : place + 8 + length].rstrip(b"\0 ").decode("ascii", "replace")


def _lengths_fit(path: Path) -> bool:
    """Whether a file begins as DICOM does, and no element before the pixels says that it is longer than the file.

    Elements of undefined length (sequences), all after them and big-endian files are not looked at.
    """
    syntax = _meta(path, b"\x02\x00\x10\x00UI")
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(_PREAMBLE + 4)[_PREAMBLE:] != _MAGIC or not syntax:
            return False
        while len(start := file.read(8)) == 8:
            group = int.from_bytes(start[:2], "little")
            explicit = group == 2 or syntax != _IMPLICIT
            if group > 2 and syntax == _BIG_ENDIAN:
                return True
            if explicit and start[4:6] not in _LONG | _SHORT:
                return False
            if explicit and start[4:6] in _LONG:
                length = int.from_bytes(file.read(4), "little")
            else:
                length = int.from_bytes(start[6:8] if explicit else start[4:8], "little")
            fits = length == _UNDEFINED or file.tell() + length <= size
            if not fits or length == _UNDEFINED or group >= _PIXELS:
                return fits
            file.seek(length, 1)
    return True


def _text(reader: Any, tag: str) -> str:
    return str(reader.GetMetaData(tag)).strip("\0 ") if reader.HasMetaDataKey(tag) else ""


def _numbers(reader: Any, tag: str) -> tuple[float, ...]:
    """The finite numbers of an element; none if it is missing, empty or damaged."""
    try:
        values = tuple(float(part) for part in _text(reader, tag).split("\\"))
    except ValueError:
        return ()
    return values if all(map(math.isfinite, values)) else ()


def _unit(path: Path, orientation: tuple[float, ...]) -> NDArray[np.float64]:
    """The two directions with length 1, which rounding changed; they must be at right angles."""
    directions = np.reshape(orientation, (2, 3))
    lengths = np.linalg.norm(directions, axis=1)
    if np.abs(lengths - 1).max() > 1e-2 or abs(directions[0] @ directions[1]) > 1e-2:
        got = " ".join(f"{value:g}" for value in orientation)
        raise fail(
            "The DICOM file gives directions that are not at right angles.",
            where=path,
            expected="two unit vectors (ImageOrientationPatient)",
            got=got,
            fix="export the series again from its source",
        )
    unit: NDArray[np.float64] = directions / lengths[:, None]
    return unit
