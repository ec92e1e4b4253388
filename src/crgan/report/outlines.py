"""Outlines of masks as paths of an SVG, in whole numbers of half a pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.measure import find_contours


def outline(mask: NDArray[np.bool_]) -> str:
    """Draw the border of a mask halfway between the pixels inside and those outside.

    Parameters
    ----------
    mask
        Bool ``(rows, columns)``.

    Returns
    -------
    str
        The ``d`` of an SVG path, closed lines around every part and every hole; a unit is half a pixel, and the picture's corner
        is 0, 0. Empty for an empty mask.
    """
    if not mask.any():
        return ""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    # With a margin all around, lines close at the picture's edge too.
    part = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1].astype(np.float64), 1)
    corner = np.array([2 * top - 1, 2 * left - 1])
    return "".join(_path(np.rint(2 * line).astype(np.int64) + corner) for line in find_contours(part, 0.5))


def _path(line: NDArray[np.int64]) -> str:
    """A closed line through points (row, column), by steps from corner to corner."""
    steps = np.diff(line, axis=0)
    corner = (steps != np.roll(steps, 1, axis=0)).any(axis=1)  # points at which the direction changes
    points = line[:-1][corner]
    moves = np.diff(points, axis=0)
    words = " ".join(f"{across} {down}" for down, across in moves.tolist())
    return f"M{points[0, 1]} {points[0, 0]}l{words}z"
