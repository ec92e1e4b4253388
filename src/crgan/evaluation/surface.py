"""How far the surfaces of two masks lie apart, in millimetres.

The surface of a mask is its border voxels: those with a neighbour outside (6 neighbours in 3-D, 4 in 2-D; beyond
the grid is outside). The distance of a border voxel to a surface is the one between voxel centres to the nearest
border voxel of it. This is the definition of MedPy and MONAI; surface-distance instead weighs surface elements
between voxels by their area, which differs by a fraction of a voxel.

References: Heimann et al., "Comparison and evaluation of methods for liver segmentation from CT datasets", 2009 (ASSD,
MSSD); Nikolov et al., "Deep learning to achieve clinically applicable segmentation of head and neck anatomy", 2018 (NSD).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crgan.evaluation.nearest import distances_mm
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

    @property
    def mssd_mm(self) -> float:
        """Maximum symmetric surface distance: another name for the Hausdorff distance, which LiTS uses."""
        return self.hausdorff_mm

    def nsd(self, tolerance_mm: float) -> float:
        """Normalised surface Dice: the share of the border voxels of both masks that lie within a tolerance of the other surface.

        Parameters
        ----------
        tolerance_mm
            How far apart two surfaces may lie and still count as one; that distance itself counts.
        """
        # Distances are roots of sums of squares: one that equals the tolerance must not miss it by a rounding error.
        within = tolerance_mm * (1 + 1e-9)
        close = np.count_nonzero(self.to_truth <= within) + np.count_nonzero(self.to_prediction <= within)
        return float(close / (self.to_truth.size + self.to_prediction.size))


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
    box = bounding_box(prediction | truth)
    # A slice is no body: along an axis of length 1 every voxel would be border.
    kept = [axis for axis, length in enumerate(truth.shape) if length > 1] or [0]
    shape = [box[axis].stop - box[axis].start for axis in kept]
    spacing = [spacing_mm[axis] for axis in kept]
    predicted, true = (_border(mask[box].reshape(shape)) for mask in (prediction, truth))
    return SurfaceDistances(
        to_truth=distances_mm(predicted, true, spacing_mm=spacing), to_prediction=distances_mm(true, predicted, spacing_mm=spacing)
    )


def bounding_box(mask: Mask) -> tuple[slice, ...]:
    """The smallest box that holds every voxel of a mask that is not empty."""
    if mask.flags.f_contiguous and not mask.flags.c_contiguous:
        return bounding_box(mask.T)[::-1]  # memory is read in its own order
    if mask.ndim == 1:
        hit = np.flatnonzero(mask)
        return (slice(int(hit[0]), int(hit[-1]) + 1),)
    rest = bounding_box(np.asarray(np.logical_or.reduce(mask, axis=0)))
    return bounding_box(np.asarray(mask[(slice(None), *rest)].any(axis=tuple(range(1, mask.ndim))))) + rest


def _border(mask: Mask) -> Mask:
    """The voxels of a mask that have a neighbour outside it or at the edge of the grid."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        along, inside = np.moveaxis(mask, axis, 0), np.moveaxis(inner, axis, 0)
        inside[1:] &= along[:-1]
        inside[:-1] &= along[1:]
        inside[[0, -1]] = False
    return mask & ~inner
