"""Correction of the slow change in brightness that the coils of an MR scanner leave in its images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

# An axis is made coarser only as far as so many voxels are left to fit the field to.
_FEWEST_VOXELS = 8
# Where intensities reach down to 0 or below, their smallest is lifted to this share of their range: N4 works on logarithms.
_LIFT = 0.01


def correct_bias_field(image: NDArray[np.generic], foreground: NDArray[np.bool_], *, shrink: int = 4) -> NDArray[np.float32]:
    """Divide the foreground by a smooth field, estimated by N4.

    The field is a cubic B-spline over the foreground's logarithms, estimated on a coarser grid with SimpleITK's own
    settings (up to 50 iterations on each of four levels) and evaluated at full resolution. Background stays as it is.

    Parameters
    ----------
    image
        ``(Z, Y, X)``; one slice or several. Where the foreground reaches 0 or negative values it is lifted above 0
        for the division and lowered again.
    foreground
        Bool, of the same shape.
    shrink
        How many times coarser the grid is, along each axis long enough for it.

    Returns
    -------
    NDArray
        float32, same shape. An empty or constant foreground and an image that is but a line of voxels stay as they are.
        ITK adds up in another order on another number of cores, which changes the sixth digit or so.

    References
    ----------
    .. [1] N. J. Tustison et al., "N4ITK: improved N3 bias correction", IEEE Transactions on Medical Imaging 29(6), 2010.
    """
    corrected = image.astype(np.float32)
    voxels = corrected[foreground]
    sizes = [size for size in image.shape if size > 1]
    if voxels.size == 0 or voxels.min() == voxels.max() or len(sizes) < 2:
        return corrected
    low, high = float(voxels.min()), float(voxels.max())
    lift = 0.0 if low > 0 else _LIFT * (high - low) - low
    # SimpleITK wants two axes of a single slice.
    field = np.exp(_log_field((corrected + np.float32(lift)).reshape(sizes), foreground.reshape(sizes), shrink)).reshape(image.shape)
    corrected[foreground] = (voxels + np.float32(lift)) / field[foreground] - np.float32(lift)
    return corrected


def _log_field(image: NDArray[np.float32], foreground: NDArray[np.bool_], shrink: int) -> NDArray[np.float32]:
    """Estimate the field's logarithm, float32 of the image's shape."""
    import SimpleITK as sitk  # noqa: N813 - its own name for itself

    picture = sitk.GetImageFromArray(image)
    mask = sitk.GetImageFromArray(foreground.astype(np.uint8))
    factors = [max(1, min(shrink, size // _FEWEST_VOXELS)) for size in picture.GetSize()]
    # Every nth voxel, not their mean: a mean across the border of the foreground would mix in the background.
    estimate = sitk.N4BiasFieldCorrectionImageFilter()
    small_mask = sitk.Shrink(mask, factors)
    if not np.any(sitk.GetArrayViewFromImage(small_mask)):
        return np.zeros_like(image)
    estimate.Execute(sitk.Shrink(picture, factors), small_mask)
    field: NDArray[Any] = sitk.GetArrayFromImage(estimate.GetLogBiasFieldAsImage(picture))
    return field.astype(np.float32, copy=False)
