"""From a file's own axes to working arrays (Z, Y, X) and back, without interpolation."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from crgan.cases.volume import Geometry, Volume


def to_canonical(volume: Volume) -> tuple[NDArray[np.generic], tuple[float, float, float]]:
    """Turn a volume so that its axes run nearest to Superior, Anterior and Right, in this order.

    Parameters
    ----------
    volume
        ``(C, I, J, K)`` on any invertible grid: oblique, flipped, permuted, sheared.

    Returns
    -------
    array
        ``(C, Z, Y, X)``, contiguous, of the same type; a picture is ``(C, 1, rows, columns)`` and not turned. It
        shares memory with the volume where nothing had to be moved.
    spacing_mm
        Edge lengths of a voxel along ``(Z, Y, X)``.
    """
    axes, flipped = _axes(volume.geometry)
    array = volume.array.transpose(0, *(1 + axis for axis in axes))
    array = np.flip(array, tuple(1 + position for position in range(3) if flipped[position]))
    return np.ascontiguousarray(array), canonical_spacing(volume.geometry)


def canonical_spacing(geometry: Geometry) -> tuple[float, float, float]:
    """Edge lengths in millimetres of a voxel along the ``(Z, Y, X)`` that :func:`to_canonical` would give."""
    axes, _ = _axes(geometry)
    spacing = geometry.spacing_mm
    return spacing[axes[0]], spacing[axes[1]], spacing[axes[2]]


def from_canonical(array: NDArray[np.generic], geometry: Geometry) -> NDArray[np.generic]:
    """Turn a working array back to the axes of the file it came from; undoes :func:`to_canonical` exactly.

    Parameters
    ----------
    array
        ``(C, Z, Y, X)``, with any number of channels.
    geometry
        The grid of the file.

    Returns
    -------
    ndarray
        ``(C, I, J, K)``, of the same type; a view.
    """
    axes, flipped = _axes(geometry)
    array = np.flip(array, tuple(1 + position for position in range(3) if flipped[position]))
    return array.transpose(0, *(1 + axes.index(axis) for axis in range(3)))


def _axes(geometry: Geometry) -> tuple[list[int], list[bool]]:
    """For Z, Y and X: the file's axis nearest to it, and whether it runs the other way. Pictures stay as they are."""
    if geometry.dimensions == 2:
        return [2, 0, 1], [False, False, False]
    orientation = nib.orientations.io_orientation(geometry.affine)  # type: ignore[no-untyped-call]
    axes = [int(np.flatnonzero(orientation[:, 0] == world)[0]) for world in (2, 1, 0)]
    return axes, [bool(orientation[axis, 1] < 0) for axis in axes]
