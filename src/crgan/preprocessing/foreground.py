"""Which voxels of an image show the patient, and the box around them."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The mode must hold this share of the voxels to be taken for a background.
_MODE_SHARE = 0.2
# Of the voxels of a background so many have another one beside them. A grey level amid the noise of an 8-bit picture can
# hold a fifth of the pixels too, but it is scattered (docs/method.md has the measurement).
_COHERENCE = 0.99
# A voxel is foreground when it differs from the mode by more than this share of the robust intensity range.
_TOLERANCE = 1e-3
# Voxels drawn to find the mode and the percentiles: 1,000 of them lie in each tail, and a value held by
# 20 % of the voxels cannot be missed.
_SAMPLE = 200_000


def foreground_mask(image: NDArray[Any]) -> NDArray[np.bool_]:
    """Tell the patient from a constant background, whatever value that background has.

    The modal value is a background if at least 20 % of the voxels hold exactly this value and it is coherent:
    99 % of these voxels have another one beside them along the longest axis, where everything beyond the border
    counts as background. Voxels that differ from it by more than 1/1000 of the range between the 0.5th and the
    99.5th percentile are then foreground. Without such a background the whole image is foreground. Of two values
    that are equally frequent the lower one is the mode.

    Parameters
    ----------
    image
        ``(Z, Y, X)``, or any other shape; integers or floats, finite.

    Returns
    -------
    NDArray
        Bool, of the same shape. A constant image has no foreground; an empty one gives an empty mask.

    Notes
    -----
    Images of more than 200,000 voxels have their percentiles, and the candidates for the mode, taken from
    that many voxels at fixed random places, so that equal images give equal masks; the share of the mode
    is always counted over all voxels.
    """
    if image.size == 0:
        return np.zeros(image.shape, bool)
    sample = _sample(image)
    values, counts = np.unique(sample, return_counts=True)
    mode, held = values[0], 0
    for candidate in values[counts >= 0.5 * _MODE_SHARE * sample.size]:  # at most ten values
        count = int(np.count_nonzero(image == candidate))
        if count > held:
            mode, held = candidate, count
    if held < _MODE_SHARE * image.size or not _coherent(image == mode):
        return np.ones(image.shape, bool)
    low, high = np.percentile(sample, (0.5, 99.5))
    tolerance = _TOLERANCE * (float(high) - float(low))
    # Two comparisons against exact bounds, of the image's own kind of numbers, need no float copy of it.
    above, below = float(mode) + tolerance, float(mode) - tolerance
    if image.dtype.kind in "iu":
        above, below = math.floor(above), math.ceil(below)
    foreground = np.asarray(image > above)
    foreground |= image < below
    return foreground


def bounding_box(mask: NDArray[np.bool_], margin_voxels: int = 0) -> tuple[slice, slice, slice]:
    """Give the smallest box that holds the mask, widened on all sides.

    Parameters
    ----------
    mask
        Bool ``(Z, Y, X)``.
    margin_voxels
        Voxels to add on every side, as far as the array reaches.

    Returns
    -------
    tuple[slice, slice, slice]
        Slices along Z, Y and X; the whole array if the mask is empty.
    """
    box = []
    for axis, plane in zip((2, 1, 0), combinations(range(3), 2), strict=True):
        hit = np.flatnonzero(mask.any(axis=plane))
        size = mask.shape[axis]
        box.append(slice(max(int(hit[0]) - margin_voxels, 0), min(int(hit[-1]) + 1 + margin_voxels, size)) if hit.size else slice(0, size))
    return box[2], box[1], box[0]


def _coherent(same: NDArray[np.bool_]) -> bool:
    """Whether hardly any voxel of a mask stands alone along the longest axis."""
    lines = np.moveaxis(same, int(np.argmax(same.shape)), 0)
    beside = lines.copy()
    beside[1:-1] &= lines[2:] | lines[:-2]
    return bool(np.count_nonzero(beside) >= _COHERENCE * np.count_nonzero(lines))


def _sample(image: NDArray[Any]) -> NDArray[Any]:
    """Draw voxels at places that depend on the image's size alone; all of them if there are few."""
    flat = image.reshape(-1)
    if flat.size <= _SAMPLE:
        return flat
    return flat[np.random.default_rng(0).integers(flat.size, size=_SAMPLE)]
