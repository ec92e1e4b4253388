"""How far the surfaces of two masks lie apart, in millimetres.

The surface of a mask is its border voxels: those with a neighbour outside (6 neighbours in 3-D, 4 in 2-D; beyond
the grid is outside). The distance of a border voxel to a surface is the one between voxel centres to the nearest
border voxel of it. This is the definition of MedPy and MONAI; surface-distance instead weighs surface elements
between voxels by their area, which differs by a fraction of a voxel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

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
    spacing = np.array([spacing_mm[axis] for axis in kept], np.float64)
    predicted, true = (_border_mm(mask[box].reshape(shape), spacing) for mask in (prediction, truth))
    return SurfaceDistances(to_truth=_nearest_mm(predicted, true), to_prediction=_nearest_mm(true, predicted))


def _bounding_box(mask: Mask) -> tuple[slice, ...]:
    """The smallest box that holds every voxel of a mask that is not empty."""
    (box,) = ndimage.find_objects(mask.view(np.uint8), max_label=1)
    return tuple(box)


def _border_mm(mask: Mask, spacing_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the border voxels of a mask lie, ``(n, axes)`` in mm."""
    return np.asarray(np.argwhere(mask & ~ndimage.binary_erosion(mask)) * spacing_mm, np.float64)


def _nearest_mm(points: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance of each of ``points`` to the nearest of ``others``, both ``(n, axes)`` in mm.

    A tree, not a distance transform: surfaces are thin, and lesions that lie far apart have large boxes. Measured on
    one core: 0.3 s instead of 3.4 s for scattered lesions, 2.5 s instead of 3.7 s for a liver of 170,000 border voxels.
    """
    tree = KDTree(others, balanced_tree=False, compact_nodes=False)  # regular grids make exact medians slow
    return np.asarray(tree.query(points)[0], np.float64)
