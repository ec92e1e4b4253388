"""Dots set by hand in a ``.mat`` file, made into regions: what CellDetect (PhC-HeLa) has in place of masks.

A dot tells that there is a cell, not where it ends. The regions are derived: foreground is where the picture is uneven, as
cells are in phase contrast, and a watershed with the dots as markers parts it, in the middle between them. (Along edges of the
picture it parted worse: the strongest ones lie within cells.) Scores against such regions say how well cells are found, and
little about their outlines; ``benchmarks/dots_to_regions.py`` measures how far they are from masks.

References: Arteta et al., "Learning to detect cells using non-overlapping extremal regions", MICCAI 2012 (the data); Meyer and
Beucher, "Morphological segmentation", Journal of Visual Communication and Image Representation 1 (1990) (the watershed).
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.cases.files import IMAGE_SUFFIXES, is_image, read_volume
from crgan.cases.volume import Geometry, Volume
from crgan.errors import fail

VARIABLE = "gt"
"""Name of the matrix of dots: a row a cell, x and y (column and row), counted from 1 as MATLAB does."""

_TEXTURE_PIXELS = 5  # side of the window in which unevenness is measured
_FLOOR = 0.1  # of the median unevenness: what is even altogether is as even as this
_GAP_PIXELS = 4  # even places in a cell that are closed, half their width
_DOT_RADIUS = 3  # pixels around a dot that are the cell whatever they look like
_REACH = 1.0  # a region ends at this many median distances between neighbouring dots, or crowded images set the size
_MOST_BYTES = 50_000_000


class Dots:
    """A ``.mat`` file beside a picture of the same name, whose regions it gives."""

    def read(self, path: Path, image: Geometry) -> Volume:
        """Derive the regions of the picture beside the file; a dot outside the picture is an error."""
        dots = read_dots(path)
        picture = read_volume(_picture(path), dtype=np.float32)
        rows, columns, _ = image.shape
        outside = ((dots < 0) | (dots >= (rows, columns))).any(axis=1)
        if outside.any():
            raise fail(
                "A dot lies outside the picture.",
                where=path,
                expected=f"x up to {columns} and y up to {rows}",
                got=f"x, y = {', '.join(f'{value + 1:g}' for value in dots[outside][0][::-1])}",
                fix="check that file and picture belong together",
            )
        ids = regions_of_dots(picture.array[..., 0].mean(axis=0), dots)
        return Volume(ids[None, ..., None], picture.geometry)

    def parts(self, path: Path) -> tuple[Path, ...]:
        """The file itself: the picture is among the case's images."""
        return (path,)


def regions_of_dots(picture: NDArray[np.floating], dots: NDArray[np.floating]) -> NDArray[np.int32]:
    """Grow a region around each dot.

    Parameters
    ----------
    picture
        ``(rows, columns)``, any intensities.
    dots
        ``(N, 2)`` rows and columns within the picture, counted from 0.

    Returns
    -------
    NDArray
        int32 ``(rows, columns)``: for the n-th dot the id n + 1. Every dot has a region, but for those that share a pixel with
        an earlier one. All 0 without dots.
    """
    from scipy import ndimage
    from scipy.spatial import KDTree
    from skimage.segmentation import watershed

    markers = np.zeros(picture.shape, np.int32)
    if not len(dots):
        return markers
    places = np.minimum(np.rint(dots).astype(np.intp), np.array(picture.shape) - 1)
    for number, (row, column) in reversed(list(enumerate(places, start=1))):
        markers[row, column] = number
    distance = ndimage.distance_transform_edt(markers == 0)
    reach = _REACH * float(np.median(KDTree(dots).query(dots, k=2)[0][:, 1])) if len(dots) > 1 else np.inf
    cells = (_uneven(picture.astype(np.float64)) & (distance <= reach)) | (distance <= _DOT_RADIUS)
    return np.asarray(watershed(distance, markers, mask=cells), np.int32)


def _uneven(picture: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Where the picture is uneven: Otsu's threshold on the logarithm of the local standard deviation, gaps and holes closed."""
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    mean = ndimage.uniform_filter(picture, _TEXTURE_PIXELS)
    deviation = np.sqrt(np.maximum(ndimage.uniform_filter(picture**2, _TEXTURE_PIXELS) - mean**2, 0))
    texture = np.log(deviation + _FLOOR * float(np.median(deviation)) + np.finfo(np.float64).tiny)
    uneven = np.pad(texture > threshold_otsu(texture), _GAP_PIXELS)
    closed = ndimage.binary_closing(uneven, iterations=_GAP_PIXELS)[_GAP_PIXELS:-_GAP_PIXELS, _GAP_PIXELS:-_GAP_PIXELS]
    return np.asarray(ndimage.binary_fill_holes(closed))


def read_dots(path: Path) -> NDArray[np.float64]:
    """Read the dots of a ``.mat`` file as rows and columns counted from 0, ``(N, 2)``.

    Raises
    ------
    CrganError
        If the file cannot be read or holds no such matrix.
    """
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"{path.stat().st_size} bytes")
        values: Any = loadmat(path, variable_names=[VARIABLE]).get(VARIABLE)
    except (
        *(OSError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, NotImplementedError, MemoryError),
        *(MatReadError, struct.error, zlib.error),
    ) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise fail(
            "The file of dots cannot be read.",
            where=path,
            expected=f"a MATLAB file before version 7.3 with the matrix {VARIABLE}",
            got=" ".join(reason.split())[:200],
            fix="get it again from its source",
        ) from error
    if values is None or values.dtype.kind not in "uif" or values.ndim != 2 or (values.size and values.shape[1] != 2):
        got = "no such matrix" if values is None else f"{values.dtype} of shape {values.shape}"
        raise fail("The file holds no dots.", where=path, expected=f"a matrix {VARIABLE} with a row (x, y) for each cell", got=got)
    dots = values.reshape(-1, 2).astype(np.float64)[:, ::-1] - 1
    if not np.isfinite(dots).all():
        raise fail("A dot has no place.", where=path, expected="finite numbers", got="NaN or infinity")
    return np.asarray(dots)


def _picture(path: Path) -> Path:
    """The picture that the dots were set on: the one of the same name beside them."""
    for suffix in IMAGE_SUFFIXES:
        picture = path.with_suffix(suffix)
        if picture.is_file() and is_image(picture):
            return picture
    raise fail("The picture of the dots is missing.", where=path, expected=f"{path.stem}.pgm or another picture beside it")
