"""PNG by Pillow and TIFF (with stacks of pages) by tifffile.

A picture is ``(C, rows, columns, 1)``. Rows run along y, columns along x and the pages of a stack along z, each
1 mm: pictures are measured in pixels, and a TIFF's printing resolution says nothing about the object. Pages that are
moments make up a movie.
"""

from __future__ import annotations

import logging
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.cases.formats.itk import LARGEST_COMPRESSION, load_itk
from crgan.cases.volume import Geometry, Volume
from crgan.errors import fail

logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong with a file is told once, by its error
FRAME_STEP = 10.0
_ROWS_COLUMNS_PAGES = np.array([[0.0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def picture_geometry(rows: int, columns: int, pages: int = 1) -> Geometry:
    """The grid of a picture (one page) or a stack of pages."""
    return Geometry((rows, columns, pages), _ROWS_COLUMNS_PAGES.copy(), dimensions=2 if pages == 1 else 3)


def movie_geometry(rows: int, columns: int, frames: int) -> Geometry:
    """The grid of pictures of several moments; a single one is a picture.

    Frames lie :data:`FRAME_STEP` pixels apart: like thick slices they are seen as sequences, and never from the side.
    """
    if frames == 1:
        return picture_geometry(rows, columns)
    return Geometry((rows, columns, frames), _ROWS_COLUMNS_PAGES @ np.diag([1, 1, FRAME_STEP, 1]), dimensions=2)


class Png:
    """``.png``: grey or colour, 1 to 16 bit; alpha is dropped."""

    suffixes = (".png",)
    errors: tuple[type[Exception], ...] = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)

    def read(self, path: Path, *, labels: bool) -> Volume:
        """Read a picture; a palette gives its colours for an image, its indices for a label map."""
        with _open_png(path) as picture:
            if _is_deep_colour(picture):
                pixels = _read_with_itk(path)
            else:
                step = _grey_step(picture) if labels else 1
                pixels = np.array(picture.convert("RGB") if picture.mode == "P" and not labels else picture)
                pixels = pixels // step if step > 1 else pixels
        if pixels.dtype == bool:
            pixels = pixels.astype(np.uint8)
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels[..., : 1 if pixels.shape[-1] == 2 else 3]
        if pixels.dtype == np.int32:  # Pillow's mode I: 16-bit grey in a wider type
            pixels = pixels.astype(np.uint16)
        return Volume(np.moveaxis(pixels, -1, 0)[..., None], picture_geometry(*pixels.shape[:2]))

    def header(self, path: Path) -> tuple[Geometry, int]:
        """Read the grid and the number of channels."""
        with _open_png(path) as picture:
            channels = 3 if picture.mode in ("RGB", "RGBA", "P") or _is_deep_colour(picture) else 1
            return picture_geometry(picture.height, picture.width), channels

    def write(self, path: Path, array: NDArray[np.generic], geometry: Geometry, *, suffix: str) -> None:
        """Write an 8- or 16-bit grey picture."""
        from PIL import Image

        if geometry.shape[2] != 1 or array.dtype not in (np.uint8, np.uint16):
            got = f"{array.dtype} of shape {array.shape}"
            raise fail(
                "A PNG cannot hold this.", where=path, expected="one page of whole numbers 0 to 65535", got=got, fix="write .nii.gz or .tif"
            )
        Image.fromarray(np.ascontiguousarray(array[..., 0])).save(path, format=suffix[1:].upper())


class Tiff:
    """``.tif`` and ``.tiff``: a picture, or a stack whose pages become the third axis; a movie if that axis is named time."""

    suffixes = (".tif", ".tiff")
    # tifffile takes a header at its word, so a damaged one can lead it anywhere.
    errors: tuple[type[Exception], ...] = (
        OSError,
        ValueError,
        RuntimeError,
        LookupError,
        ArithmeticError,
        AssertionError,
        AttributeError,
        TypeError,
        MemoryError,
        struct.error,
        zlib.error,
    )

    def read(self, path: Path, *, labels: bool) -> Volume:
        """Read a picture or stack; a palette gives its colours for an image, its indices for a label map."""
        import tifffile

        with tifffile.TiffFile(path) as file:
            series, page = _first_series(path, file)
            white_is_zero = page.photometric == tifffile.PHOTOMETRIC.MINISWHITE
            try:
                stored = series.asarray()
            except ValueError as error:
                if "imagecodecs" not in str(error):
                    raise
                stored, white_is_zero = _decode(path, page), False
            pixels, colours = _pages_last(path, stored.reshape(series.shape), series.axes, page)
            if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None and not labels:
                pixels, colours = np.moveaxis((page.colormap >> 8).astype(np.uint8)[:, pixels[..., 0]], 0, -1), 3
            elif white_is_zero:
                pixels = ~pixels if pixels.dtype == bool else np.iinfo(pixels.dtype).max - pixels
        if pixels.dtype == bool:
            pixels = pixels.astype(np.uint8)
        return Volume(np.moveaxis(pixels[..., :colours], -1, 0), _geometry(series, pixels.shape))

    def header(self, path: Path) -> tuple[Geometry, int]:
        """Read the grid and the number of channels."""
        import tifffile

        with tifffile.TiffFile(path) as file:
            series, page = _first_series(path, file)
            # An array of that shape without memory, to be laid out like the voxels.
            empty = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), series.shape, [0] * len(series.shape))
            pixels, colours = _pages_last(path, empty, series.axes, page)
            palette = page.photometric == tifffile.PHOTOMETRIC.PALETTE
            return _geometry(series, pixels.shape), 3 if palette else colours

    def write(self, path: Path, array: NDArray[np.generic], geometry: Geometry, *, suffix: str) -> None:  # noqa: ARG002
        """Write a deflated grey picture, or a stack of pages, which are named time where they are frames."""
        import tifffile

        stack = geometry.shape[2] > 1
        pages = array.transpose(2, 0, 1) if stack else array[..., 0]
        axes = "TYX" if geometry.is_movie else "ZYX" if stack else "YX"
        tifffile.imwrite(path, np.ascontiguousarray(pages), photometric="minisblack", compression="zlib", metadata={"axes": axes})


def _open_png(path: Path) -> Any:
    from PIL.PngImagePlugin import PngImageFile

    # Opened directly: Image.open refuses whatever has many pixels, however many bytes they take.
    picture: Any = PngImageFile(path)
    size = path.stat().st_size
    if picture.width * picture.height // 8 > LARGEST_COMPRESSION * size:  # a pixel may be a bit
        got = f"{picture.width} x {picture.height} pixels in a file of {size} bytes"
        picture.close()
        raise fail(
            "The picture says it is larger than its file can hold.", where=path, got=got, fix="it is damaged: get it again from its source"
        )
    return picture


def _is_deep_colour(picture: Any) -> bool:
    """Whether Pillow would cut 16-bit colours (or grey with alpha) down to 8 bits."""
    tiles = picture.tile
    return bool(tiles) and picture.mode in ("RGB", "RGBA", "LA") and "16" in str(tiles[0][3])


def _grey_step(picture: Any) -> int:
    """By how much Pillow stretches grey of 2 and 4 bits, which some programs shrink label maps to; asked before loading."""
    raw_mode = str(picture.tile[0][3]) if picture.tile else ""
    return {"L;2": 85, "L;4": 17}.get(raw_mode, 1)


def _read_with_itk(path: Path) -> NDArray[Any]:
    """Pixels ``([pages,] rows, columns[, channels])`` by ITK's own decoders."""
    sitk = load_itk()
    return np.asarray(sitk.GetArrayFromImage(sitk.ReadImage(str(path))))


def _decode(path: Path, page: Any) -> NDArray[Any]:
    """Pixels of all pages of a TIFF whose compression (LZW, JPEG, fax) tifffile has no decoder for; black is zero.

    Pillow has one, and keeps bits and palettes as they are. Colours of more than 8 bits, which it would cut, go to ITK.
    """
    from PIL import Image, ImageSequence

    if page.samplesperpixel >= 3 and page.bitspersample > 8:
        return _read_with_itk(path)
    with Image.open(path, formats=("TIFF",)) as picture:
        return np.stack([np.array(frame) for frame in ImageSequence.Iterator(picture)])


def _first_series(path: Path, file: Any) -> tuple[Any, Any]:
    """The pages that make up the image, and the one that describes them all."""
    series = file.series[0]
    largest = LARGEST_COMPRESSION * file.filehandle.size
    segments = math.prod(-(-n // max(m, 1)) for n, m in zip(series.keyframe.shape, series.keyframe.chunks, strict=False))
    if series.nbytes > largest or segments > file.filehandle.size:
        got = f"shape {series.shape}"
        raise fail(
            "The TIFF says it is larger than its file can hold.", where=path, got=got, fix="it is damaged: get it again from its source"
        )
    return series, series.keyframe


def _geometry(series: Any, shape: tuple[int, ...]) -> Geometry:
    """The grid of pixels ``(rows, columns, pages, channels)``: of a movie if the file names the pages' axis time.

    ImageJ's names do not count: it calls slices frames when nobody told it better.
    """
    rows, columns, pages = shape[:3]
    times = dict(zip(series.axes, series.shape, strict=False)).get("T", 1)
    return (movie_geometry if times > 1 and series.kind in ("ome", "shaped") else picture_geometry)(rows, columns, pages)


def _pages_last(path: Path, stored: NDArray[Any], axes: str, page: Any) -> tuple[NDArray[Any], int]:
    """Lay pixels out as ``(rows, columns, pages, channels)`` and count the channels that are not alpha.

    Parameters
    ----------
    stored
        Pixels as tifffile gives them.
    axes
        One letter an axis: ``Y``, ``X``, ``S`` (samples) or ``C`` (channels), any other is a stack of pages.
    page
        A page of the series, which tells colour from alpha.
    """
    channel_axes = [position for position, letter in enumerate(axes) if letter in "CS"]
    page_axes = [position for position, letter in enumerate(axes) if letter not in "YXCS"]
    if len([p for p in page_axes if stored.shape[p] > 1]) > 1 or len([p for p in channel_axes if stored.shape[p] > 1]) > 1:
        got = f"axes {axes} of shape {stored.shape}"
        raise fail(
            "The TIFF has more axes than a volume.",
            where=path,
            expected="rows, columns, pages, channels",
            got=got,
            fix="store a volume, or a movie of pictures, a file",
        )
    pixels = stored.transpose(axes.index("Y"), axes.index("X"), *page_axes, *channel_axes)
    rows, columns = pixels.shape[:2]
    pages = math.prod(stored.shape[p] for p in page_axes)
    channels = math.prod(stored.shape[p] for p in channel_axes)
    alpha = len(page.extrasamples) if "S" in axes and channels in (2, 4) else 0
    return pixels.reshape(rows, columns, pages, channels), channels - alpha
