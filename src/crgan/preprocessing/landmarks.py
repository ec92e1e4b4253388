"""One scale of intensities for all patients: MR has no units, so that the same tissue is 300 in one image and 900 in the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (1, *range(10, 100, 10), 99)
"""The landmarks: the ends of the intensities of interest, and the deciles between."""

# The standard scale's ends; any would do, because z-scores follow.
_SCALE = (0.0, 100.0)


def find_landmarks(voxels: NDArray[Any]) -> NDArray[np.float64] | None:
    """Give the intensities of one image's landmarks, shape ``(11,)``; None for no voxels, or voxels without contrast."""
    if voxels.size == 0:
        return None
    found = np.percentile(voxels, PERCENTILES)
    return np.asarray(found, np.float64) if found[0] < found[-1] else None


def fit_landmarks(found: Sequence[NDArray[np.float64]]) -> tuple[float, ...] | None:
    """Learn the standard scale: each image's first and last landmark are brought to its ends, and all are averaged.

    Parameters
    ----------
    found
        What :func:`find_landmarks` gave for each training image.

    Returns
    -------
    tuple of float or None
        The landmarks on the standard scale, increasing; None if there is no image to learn from.

    References
    ----------
    .. [1] L. G. Nyúl, J. K. Udupa, X. Zhang, "New variants of a method of MRI scale standardization", IEEE Transactions
       on Medical Imaging 19(2), 2000.
    """
    if not found:
        return None
    low, high = _SCALE
    scaled = [low + (high - low) * (own - own[0]) / (own[-1] - own[0]) for own in found]
    return tuple(np.mean(scaled, axis=0).tolist())


def standardise(image: NDArray[np.generic], foreground: NDArray[np.bool_], landmarks: Sequence[float]) -> NDArray[np.float32]:
    """Bring the foreground of an image to the standard scale, linearly between its own landmarks and beyond the outermost.

    Parameters
    ----------
    image
        Any shape.
    foreground
        Bool, of the same shape.
    landmarks
        What :func:`fit_landmarks` gave.

    Returns
    -------
    NDArray
        float32, same shape; the order of intensities is kept, and background stays as it is. Landmarks that coincide in
        this image go to the middle of where they would go. A foreground that is empty or without contrast stays as it is.
    """
    result = image.astype(np.float32)
    voxels = result[foreground]
    own = find_landmarks(voxels)
    if own is None:
        return result
    places, first, together = np.unique(own, return_index=True, return_counts=True)
    standard = np.add.reduceat(np.asarray(landmarks, np.float64), first) / together
    mapped = np.interp(voxels, places, standard)
    for beyond, end, inner in ((voxels < places[0], 0, 1), (voxels > places[-1], -1, -2)):
        slope = (standard[end] - standard[inner]) / (places[end] - places[inner])
        mapped[beyond] = standard[end] + slope * (voxels[beyond] - places[end])
    result[foreground] = mapped
    return result
