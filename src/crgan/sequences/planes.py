"""The three anatomical planes as views of one volume."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from crgan.config import Axis, Plane

_Scalar = TypeVar("_Scalar", bound=np.generic)

_AXES: tuple[Axis, Axis, Axis] = ("z", "y", "x")
# Which of them count a plane's slices, their rows and their columns.
_ORDER: dict[Plane, tuple[int, int, int]] = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}


def axes_of(plane: Plane) -> tuple[Axis, Axis, Axis]:
    """Name the axes of the volume along which a plane's slices, their rows and their columns are counted."""
    slices, rows, columns = _ORDER[plane]
    return _AXES[slices], _AXES[rows], _AXES[columns]


def as_slices(volume: NDArray[_Scalar], plane: Plane) -> NDArray[_Scalar]:
    """View ``(..., Z, Y, X)`` as the slices of a plane, ``(..., S, H, W)``, without copying."""
    return np.moveaxis(volume, _ORDER[plane][0] - 3, -3)


def as_slice_index(index: NDArray[np.int64], plane: Plane) -> NDArray[np.int64]:
    """Turn a voxel index ``(..., 3)`` in (Z, Y, X) into (slice, row, column) of a plane."""
    return index[..., _ORDER[plane]]
