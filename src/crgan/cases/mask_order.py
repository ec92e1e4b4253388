"""Masks paired with the slices of an image the wrong way round, first with last: told from the image alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_FEWEST_VOXELS = 500
_FEWEST_SLICES = 5
_MORE_EVEN = 0.5
_SHARPER = 1.5
_OFTEN = 0.75


def masks_run_backwards(image: NDArray[Any], mask: NDArray[Any]) -> bool:
    """Whether a mask fits its image clearly better with the order of its slices reversed.

    What an expert outlined has an edge where the outline runs, and is more even inside than what an outline from another
    slice cuts out. Both must speak for the reversed order: intensities inside spread half as far or less, and the image
    changes 1.5 times as much across the outline, in the mean and on three of four slices. So a reversed mask that falls on
    empty background, which is even but has no edge, raises no alarm, nor does a mask that looks the same both ways.

    Parameters
    ----------
    image
        ``(I, J, K)`` real numbers, slices along the last axis.
    mask
        ``(I, J, K)``; what is not 0 is outlined.

    Returns
    -------
    bool
        False for a mask that is empty, small (under 500 voxels) or on fewer than five slices.
    """
    inside = mask != 0
    slices = np.flatnonzero(inside.any(axis=(0, 1)))
    if inside.sum() < _FEWEST_VOXELS or slices.size < _FEWEST_SLICES:
        return False
    spread, edges = _fit(image, inside, slices)
    spread_reversed, edges_reversed = _fit(image[..., ::-1], inside, slices)
    sharper = edges_reversed > edges
    return bool(spread_reversed <= _MORE_EVEN * spread and edges_reversed.mean() >= _SHARPER * edges.mean() and sharper.mean() >= _OFTEN)


def _fit(image: NDArray[Any], inside: NDArray[np.bool_], slices: NDArray[np.intp]) -> tuple[float, NDArray[np.float64]]:
    """How far intensities inside the mask spread, and per slice how much the image changes across the outline."""
    values = image[inside].astype(np.float64)
    low, high = np.percentile(values, (5, 95))
    return float(high - low), np.array([_edge(image[..., k], inside[..., k]) for k in slices])


def _edge(image: NDArray[Any], inside: NDArray[np.bool_]) -> float:
    """Mean absolute difference of neighbouring pixels of which one is inside; 0 if the outline has none."""
    total, count = 0.0, 0
    for axis in (0, 1):
        across = np.diff(inside, axis=axis)
        total += float(np.abs(np.diff(image.astype(np.float32), axis=axis))[across].sum(dtype=np.float64))
        count += int(across.sum())
    return total / max(count, 1)
