"""The three anatomical planes as views of one volume."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from crgan.config import Axis, Plane

_Scalar = TypeVar("_Scalar", bound=np.generic)

_AXIS: dict[Plane, int] = {"axial": -3, "coronal": -2, "sagittal": -1}

_ORDER: dict[Plane, tuple[Axis, Axis, Axis]] = {"axial": ("z", "y", "x"), "coronal": ("y", "z", "x"), "sagittal": ("x", "z", "y")}


def axes_of(plane: Plane) -> tuple[Axis, Axis, Axis]:
    """Name the axes of the volume along which a plane's slices, their rows and their columns are counted."""
    return _ORDER[plane]


def as_slices(volume: NDArray[_Scalar], plane: Plane) -> NDArray[_Scalar]:
    """View ``(..., Z, Y, X)`` as the slices of a plane, ``(..., S, H, W)``, without copying."""
    return np.moveaxis(volume, _AXIS[plane], -3)


def as_slice_index(index: NDArray[np.int64], plane: Plane) -> NDArray[np.int64]:
    """Turn a voxel index ``(..., 3)`` in (Z, Y, X) into (slice, row, column) of a plane."""
    order = {"axial": [0, 1, 2], "coronal": [1, 0, 2], "sagittal": [2, 0, 1]}[plane]
    return index[..., order]
