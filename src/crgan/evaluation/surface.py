"""How far the surfaces of two masks lie apart, in millimetres.

The surface of a mask is its border voxels: those with a neighbour outside (6 neighbours in 3-D, 4 in 2-D; beyond
the grid is outside). The distance of a border voxel to a surface is the one between voxel centres to the nearest
border voxel of it. This is the definition of MedPy and MONAI; surface-distance instead weighs surface elements
between voxels by their area, which differs by a fraction of a voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import edt
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from crgan.evaluation.overlap import Mask, check_masks


@dataclass(frozen=True, slots=True, eq=False)
class SurfaceDistances:
    """Distances between two surfaces, of which neither is empty, and the measures made of them.

    Parameters
    ----------
    to_truth
        Distance of each border voxel of the prediction to the truth's surface, float64 mm.
    to_prediction
        Distance of each border voxel of the truth to the prediction's surface, float64 mm.
    """

    to_truth: NDArray[np.float64]
    to_prediction: NDArray[np.float64]

    @property
    def hausdorff_mm(self) -> float:
        """The largest distance of any border voxel to the other surface."""
        return float(max(self.to_truth.max(), self.to_prediction.max()))

    @property
    def hd95_mm(self) -> float:
        """The larger of the two directed 95th percentiles (linear interpolation), as in MONAI and the BraTS challenge."""
        return float(max(np.percentile(self.to_truth, 95), np.percentile(self.to_prediction, 95)))

    @property
    def assd_mm(self) -> float:
        """Average symmetric surface distance: the mean over the border voxels of both masks together."""
        return float((self.to_truth.sum() + self.to_prediction.sum()) / (self.to_truth.size + self.to_prediction.size))


def surface_distances(prediction: Mask, truth: Mask, *, spacing_mm: Sequence[float]) -> SurfaceDistances | None:
    """Measure the distances between the surfaces of two masks.

    Parameters
    ----------
    prediction, truth
        Bool arrays of one shape, with 2 or 3 dimensions; an axis of length 1 counts as none.
    spacing_mm
        Distance of neighbouring voxels along each axis, positive.

    Returns
    -------
    SurfaceDistances or None
        None if either mask is empty: there is nothing to measure to.

    Raises
    ------
    ValueError
        If an array is not bool, the shapes differ, or ``spacing_mm`` has not one positive number per axis.
    """
    check_masks(prediction, truth)
    if len(spacing_mm) != truth.ndim or min(spacing_mm) <= 0:
        message = f"spacing_mm must be one positive number for each of {truth.ndim} axes; got {tuple(spacing_mm)}"
        raise ValueError(message)
    if not prediction.any() or not truth.any():
        return None
    box = _bounding_box(prediction | truth)
    # A slice is no body: along an axis of length 1 every voxel would be border.
    kept = [axis for axis, length in enumerate(truth.shape) if length > 1] or [0]
    shape = [box[axis].stop - box[axis].start for axis in kept]
    spacing = [float(spacing_mm[axis]) for axis in kept]
    predicted_border = _border(prediction[box].reshape(shape))
    true_border = _border(truth[box].reshape(shape))
    return SurfaceDistances(
        to_truth=_distance_mm(true_border, spacing)[predicted_border],
        to_prediction=_distance_mm(predicted_border, spacing)[true_border],
    )


def _bounding_box(mask: Mask) -> tuple[slice, ...]:
    """The smallest box that holds every voxel of a mask that is not empty."""
    (box,) = ndimage.find_objects(mask.view(np.uint8), max_label=1)
    return tuple(box)


def _border(mask: Mask) -> Mask:
    return np.asarray(mask & ~ndimage.binary_erosion(mask), bool)


def _distance_mm(border: Mask, spacing_mm: list[float]) -> NDArray[np.float64]:
    """Distance of every voxel of the grid to the nearest border voxel."""
    anisotropy = spacing_mm if len(spacing_mm) > 1 else spacing_mm[0]
    return np.asarray(edt.edt(np.ascontiguousarray(~border), anisotropy=anisotropy), np.float64)
