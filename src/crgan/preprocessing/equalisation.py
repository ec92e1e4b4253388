"""Contrast spread over the whole range of grey levels, slice by slice (paper, section 3.1)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

# Share of a tile's pixels that one grey level may hold in "clahe", beyond which contrast is not raised further.
_CLIP_LIMIT = 0.01
_LEVELS = 256


def equalise_slices(
    image: NDArray[np.generic], foreground: NDArray[np.bool_], *, method: Literal["histogram", "clahe"]
) -> NDArray[np.float32]:
    """Equalise the histogram of each slice's foreground to the range from 0 to 1.

    Parameters
    ----------
    image
        ``(Z, Y, X)``.
    foreground
        Bool, of the same shape.
    method
        ``"histogram"``: a value becomes the share of the slice's foreground that is not above it, with the lowest
        brought to 0. ``"clahe"``: the same in tiles of an eighth of the slice's sides, with limited contrast,
        interpolated between tiles.

    Returns
    -------
    NDArray
        float32, same shape. Background, and a slice whose foreground has a single value or none, become 0.

    References
    ----------
    .. [1] K. Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics Gems IV, 1994.
    """
    result = np.zeros(image.shape, np.float32)
    for slice_, inside, equalised in zip(image, foreground, result, strict=True):
        values = slice_[inside].astype(np.float32)
        if values.size and values.min() < values.max():
            equalised[inside] = _equalise(slice_.astype(np.float32), inside, values, method)
    return result


def _equalise(slice_: NDArray[np.float32], inside: NDArray[np.bool_], values: NDArray[np.float32], method: str) -> NDArray[Any]:
    """The new values of the foreground pixels of a slice."""
    from skimage import exposure

    if method == "histogram":
        shares = exposure.equalize_hist(values, nbins=_LEVELS)
        lowest = shares.min()
        return np.asarray((shares - lowest) / (shares.max() - lowest))
    lowest, highest = values.min(), values.max()
    scaled = np.where(inside, (slice_ - lowest) / (highest - lowest), 0)
    return np.asarray(exposure.equalize_adapthist(scaled, clip_limit=_CLIP_LIMIT, nbins=_LEVELS)[inside])
