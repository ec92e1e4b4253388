"""NIfTI-1 and NIfTI-2, plain or gzipped, by nibabel's headers (ITK refuses sheared ones).

A gzipped file is decompressed by ISA-L, twice as fast as by zlib, straight into the array that is given back; the checksum at
its end is checked, so that no truncated file passes.
"""

from __future__ import annotations

import io
import logging
import math
import zlib
from pathlib import Path
from typing import Any, BinaryIO, cast

import nibabel as nib
import numpy as np
from isal import igzip, isal_zlib
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from crgan.cases.volume import Geometry, Volume
from crgan.errors import CrganError, fail

# nibabel's classes carry no types. NIfTI-1 first: it is what all programs read.
_HEADERS: tuple[Any, Any] = (nib.Nifti1Header, nib.Nifti2Header)
_IMAGES: tuple[Any, Any] = (nib.Nifti1Image, nib.Nifti2Image)
logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # what is wrong with a file is told once, by its error
_ISAL_ERROR = cast("type[Exception]", isal_zlib.error)
_GZIP_MAGIC = b"\x1f\x8b"
_HEADER_BYTES = 540  # the longer of the two headers, NIfTI-2
_CHUNK = 1 << 20
_MOST_A_BYTE = 1032  # that deflate can make of one compressed byte
_NIFTI1_LONGEST_AXIS = 32767
_RESTORE = "get the file again from its source, or convert the original anew"


class Nifti:
    """``.nii`` and ``.nii.gz``."""

    suffixes = (".nii", ".nii.gz")
    errors: tuple[type[Exception], ...] = (OSError, EOFError, zlib.error, _ISAL_ERROR, ValueError, HeaderDataError)

    def read(self, path: Path, *, labels: bool) -> Volume:
        """Read a file; scaled values become float32 for images, float64 for labels."""
        if path.name.lower().endswith(".gz"):
            header, voxels = _decompressed(path)
        else:
            header, voxels = _mapped(path)
        geometry, channels = _grid(path, header)
        if voxels.dtype.names:  # RGB or RGBA: the colours become the last axis, alpha is dropped
            voxels = np.stack([voxels[name] for name in voxels.dtype.names[:3]], axis=-1)
        voxels = voxels.reshape((*geometry.shape, channels), order="F")
        return Volume(np.moveaxis(_scaled(voxels, header.get_slope_inter(), np.float64 if labels else np.float32), -1, 0), geometry)

    def header(self, path: Path) -> tuple[Geometry, int]:
        """Read the grid and the number of channels."""
        with path.open("rb") as file:
            start = file.read(_HEADER_BYTES)
            if path.name.lower().endswith(".gz"):
                _require_gzip(path, start)
                file.seek(0)
                with _gzip(file, "rb") as content:
                    start = content.read(_HEADER_BYTES)
        return _grid(path, _header(path, start))

    def write(self, path: Path, array: NDArray[np.generic], geometry: Geometry, *, suffix: str) -> None:
        """Write a file whose affine reads back bit for bit where NIfTI-1 can hold it."""
        version = 0 if max(array.shape) <= _NIFTI1_LONGEST_AXIS else 1
        header = _HEADERS[version]()
        header.set_xyzt_units("mm")
        image = _IMAGES[version](
            array[..., 0] if geometry.dimensions == 2 and not geometry.is_movie else array, None, header, dtype=array.dtype
        )
        _set_affine(image.header, geometry.affine)
        if suffix == ".nii.gz":
            with path.open("wb") as raw, _gzip(raw, "wb") as file:
                image.to_stream(file)
        else:
            with path.open("wb") as file:
                image.to_stream(file)


def _mapped(path: Path) -> tuple[Any, NDArray[Any]]:
    """The header and the voxels, which are read where they are used."""
    content = np.memmap(path, np.uint8, mode="r")
    header = _header(path, content[:_HEADER_BYTES].tobytes())
    dtype, shape, offset = _layout(path, header)
    needed = offset + math.prod(shape) * dtype.itemsize
    if len(content) < needed:
        raise _truncated(path, needed, len(content))
    return header, np.ndarray(shape, dtype, buffer=content.data, offset=offset, order="F")


def _decompressed(path: Path) -> tuple[Any, NDArray[Any]]:
    """The header and the voxels of a compressed file, in memory of their own."""
    with path.open("rb") as raw:
        _require_gzip(path, raw.read(_HEADER_BYTES))
        compressed = raw.seek(0, 2)
        raw.seek(0)
        try:
            with _gzip(raw, "rb") as content:
                start = content.read(_HEADER_BYTES)
                header = _header(path, start)
                dtype, shape, offset = _layout(path, header)
                size = math.prod(shape) * dtype.itemsize
                if offset + size > _MOST_A_BYTE * compressed:
                    raise _truncated(path, offset + size, _MOST_A_BYTE * compressed)
                voxels = np.empty(size, np.uint8)
                begun = start[offset : offset + size]
                voxels[: len(begun)] = np.frombuffer(begun, np.uint8)
                content.seek(max(offset, len(start)))
                filled = len(begun) + _fill(voxels.data[len(begun) :], content)
                if filled < size:
                    raise _truncated(path, offset + size, offset + filled)
                while content.read(_CHUNK):  # to the end, where the checksum is
                    pass
        except EOFError as error:
            got = f"it ends after {compressed} bytes, before the data do"
            raise fail("The compressed file is truncated.", where=path, expected="a complete gzip file", got=got, fix=_RESTORE) from error
    return header, voxels.view(dtype).reshape(shape, order="F")


def _gzip(file: BinaryIO, mode: str) -> BinaryIO:
    """The uncompressed side of a file; with no name and no time in its header, so that the same mask gives the same bytes."""
    return cast("BinaryIO", igzip.GzipFile("", mode, fileobj=file, mtime=0))  # type: ignore[no-untyped-call]


def _fill(memory: memoryview, content: BinaryIO) -> int:
    """Read until the memory is full or the file ends; gives the number of bytes."""
    filled = 0
    while filled < len(memory):
        count = content.readinto(memory[filled : filled + _CHUNK])  # type: ignore[attr-defined]
        if not count:
            break
        filled += count
    return filled


def _layout(path: Path, header: Any) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Type and shape of the voxels and where they begin in the file."""
    dtype = header.get_data_dtype()
    if dtype.kind == "c":
        raise fail("The image holds complex numbers.", where=path, expected="real numbers", got=str(dtype), fix="store the magnitude")
    _grid(path, header)
    return dtype, tuple(int(n) for n in header.get_data_shape()), int(header.get_data_offset())


def _truncated(path: Path, needed: int, found: int) -> CrganError:
    return fail("The file is truncated.", where=path, expected=f"{needed} bytes", got=f"{found} bytes", fix=_RESTORE)


def _require_gzip(path: Path, start: bytes) -> None:
    """Refuse a ``.gz`` file that is not gzip-compressed."""
    if start.startswith(_GZIP_MAGIC):
        return
    try:
        _header(path, start)
    except (CrganError, HeaderDataError, ValueError):
        fix = _RESTORE
    else:
        fix = f"it is an uncompressed NIfTI file: rename it to {path.name.removesuffix('.gz')}"
    raise fail(
        "The file is named .gz but is not gzip-compressed.",
        where=path,
        expected="a gzip file",
        got=f"it starts with {start[:4]!r}",
        fix=fix,
    )


def _header(path: Path, start: bytes) -> Any:
    """Parse the first bytes of an uncompressed file."""
    if start.startswith(_GZIP_MAGIC):
        raise fail(
            "The file is gzip-compressed but not named so.",
            where=path,
            expected="a name that ends in .gz",
            got=path.name,
            fix=f"rename it to {path.name}.gz",
        )
    for header_class in _HEADERS:
        if header_class.may_contain_header(start):
            return header_class.from_fileobj(io.BytesIO(start))
    raise fail("The file is not a NIfTI image.", where=path, expected="a NIfTI-1 or NIfTI-2 header", got=f"{start[:4]!r}", fix=_RESTORE)


def _grid(path: Path, header: Any) -> tuple[Geometry, int]:
    """Grid and number of channels: axes after the third are channels, and only one of them may be longer than 1."""
    stored = tuple(int(n) for n in header.get_data_shape())
    if not stored or min(stored) < 1 or len([n for n in stored[3:] if n > 1]) > 1:
        raise fail("The image has a shape that is no volume.", where=path, expected="2 to 4 axes", got=str(stored), fix=_RESTORE)
    shape = (*stored[:3], 1, 1)[:3]
    channels = math.prod(stored[3:]) * min(len(header.get_data_dtype().names or (1,)), 3)
    affine = np.asarray(header.get_best_affine(), np.float64)
    for axis in range(3):
        if shape[axis] == 1 and not affine[:3, axis].any():
            # A single slice without a thickness: give it 1 mm, at right angles to the others.
            normal = np.cross(affine[:3, axis - 2], affine[:3, axis - 1])
            affine[:3, axis] = normal / (np.linalg.norm(normal) or 1.0)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        got = np.array2string(affine[:3], precision=4, separator=", ").replace("\n", "")
        raise fail("The header places several voxels at one point.", where=path, expected="an invertible affine", got=got, fix=_RESTORE)
    return Geometry((shape[0], shape[1], shape[2]), affine, dimensions=2 if len(stored) < 3 else 3), channels


def _scaled(voxels: NDArray[Any], scaling: tuple[float | None, float | None], dtype: type) -> NDArray[Any]:
    """Apply the header's slope and intercept; unscaled values keep their type. The result may be written to."""
    slope, intercept = scaling
    if slope is None or (slope == 1 and not intercept):
        native = voxels.dtype.newbyteorder("=")
        # What is mapped from a file cannot be written to.
        return voxels.astype(np.float64 if native == np.longdouble else native, order="K", copy=not voxels.flags.writeable)
    exact = dtype is np.float64 or voxels.dtype.itemsize > 2  # float32 holds 8- and 16-bit integers, not longer ones
    values: NDArray[Any] = voxels.astype(np.float64 if exact else np.float32, order="K")
    values *= slope
    values += intercept or 0.0
    return values.astype(dtype, copy=False)


def _set_affine(header: Any, affine: NDArray[np.float64]) -> None:
    """Store the affine so that it reads back exactly, if there is a way.

    The sform holds any matrix, but rounds it to float32. An affine that came from a source's qform is in
    general no float32 matrix; then the qform alone gives it back (but for rare turns, off by 1e-8). Where the grid is not sheared both are
    written, since some programs read only one of them.
    """
    header.set_qform(affine, code=1)
    if np.array_equal(header.get_best_affine(), affine) and not np.array_equal(affine.astype(np.float32), affine):
        header.set_sform(affine, code=0)
        return
    if not np.allclose(header.get_qform(), affine, atol=1e-3):
        header["qform_code"] = 0
    header.set_sform(affine, code=1)
