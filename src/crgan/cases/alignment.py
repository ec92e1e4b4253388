"""Modalities of one examination that lie on different grids, brought onto the grid of one of them.

Scanners write each sequence on a grid of its own, in one common frame of the patient. Where that frame is right, linear
interpolation puts voxel on voxel. It is no registration: what moved in between stays moved.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crgan.cases.grids import compare_grids
from crgan.cases.volume import Geometry, Volume

_LEAST_SHARED = 0.5
_POINTS = 24  # along an axis, to measure what two grids share


def choose_reference(geometries: Sequence[Geometry], label: Geometry | None) -> int:
    """Which modality's grid all are brought onto: the one that the label was drawn on, else the first."""
    if label is not None:
        for number, geometry in enumerate(geometries):
            if not compare_grids(geometry, label):
                return number
    return 0


def can_be_aligned(reference: Geometry, other: Geometry) -> bool:
    """Whether two volumes show the same place: at least half of one of them lies within the other. Pictures never do."""
    if 2 in (reference.dimensions, other.dimensions):
        return False
    return max(shared(reference, other), shared(other, reference)) >= _LEAST_SHARED


def shared(geometry: Geometry, other: Geometry) -> float:
    """The share of a grid's extent that lies within another's, from 0 to 1, measured at evenly spaced points."""
    points = np.stack(np.meshgrid(*[(np.arange(_POINTS) + 0.5) / _POINTS * n - 0.5 for n in geometry.shape], indexing="ij"))
    voxels = _to_voxels(geometry, other)
    places = np.tensordot(voxels[:3, :3], points, axes=1) + voxels[:3, 3].reshape(3, 1, 1, 1)
    size = np.reshape(other.shape, (3, 1, 1, 1))
    return float(((places >= -0.5) & (places <= size - 0.5)).all(axis=0).mean())


def align(volume: Volume, reference: Geometry) -> Volume:
    """Resample a volume linearly onto another grid.

    Where voxels of the grid are larger than the volume's, the volume is averaged over them first, so that fine structure fades
    instead of turning into patterns. Beyond the volume's outermost voxels stands its lowest value.

    Parameters
    ----------
    volume
        ``(C, I, J, K)``.
    reference
        The grid wanted.

    Returns
    -------
    Volume
        float32 ``(C, I', J', K')`` on ``reference``.
    """
    from scipy import ndimage  # takes a fifth of a second to load, and most modalities lie on one grid

    voxels = _to_voxels(reference, volume.geometry)
    matrix, offset = voxels[:3, :3], voxels[:3, 3]
    steps = np.abs(matrix).max(axis=1)  # the volume's voxels along each of its axes that make one of the grid's
    sizes = [2 * int(step // 2) + 1 for step in steps]
    inside = _inside(matrix, offset, reference.shape, volume.geometry.shape)
    result = np.empty((len(volume.array), *reference.shape), np.float32)
    for channel, source in zip(result, volume.array, strict=True):
        values = source.astype(np.float32)
        lowest = values.min()
        if max(sizes) > 1:
            values = ndimage.uniform_filter(values, sizes, mode="nearest")
        ndimage.affine_transform(values, matrix, offset, output_shape=reference.shape, output=channel, order=1, mode="nearest")
        channel[~inside] = lowest
    return Volume(result, reference)


def _to_voxels(geometry: Geometry, other: Geometry) -> NDArray[np.float64]:
    """The map from voxel indices of one grid to those of another, ``(4, 4)``."""
    return np.asarray(np.linalg.solve(other.affine, geometry.affine))


def _inside(
    matrix: NDArray[np.float64], offset: NDArray[np.float64], shape: tuple[int, int, int], size: tuple[int, int, int]
) -> NDArray[np.bool_]:
    """Which voxels of the grid lie within the volume, outer half of its outermost voxels included."""
    i, j, k = np.ogrid[: shape[0], : shape[1], : shape[2]]
    inside = np.ones(shape, bool)
    for row, start, count in zip(matrix, offset, size, strict=True):
        place = row[0] * i + row[1] * j + row[2] * k + start
        inside &= (place >= -0.5) & (place <= count - 0.5)
    return inside
