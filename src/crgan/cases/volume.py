"""Voxels and where they lie in space."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import nibabel as nib
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Geometry:
    """The grid of a volume: its size and the map from voxel indices to millimetres.

    Parameters
    ----------
    shape
        Voxels along the file's own axes, ``(I, J, K)``; a 2-D image is ``(rows, columns, 1)``, a movie of such images
        ``(rows, columns, frames)``.
    affine
        ``(4, 4)`` float64 matrix from voxel indices to RAS+ millimetres, as in NIfTI.
    dimensions
        Of space: 2 for an image without a third axis, and for a movie, whose third axis is time; else 3.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    dimensions: int = 3

    @property
    def is_movie(self) -> bool:
        """Whether the third axis is time: 2-D images of several moments."""
        return self.dimensions == 2 and self.shape[2] > 1

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Edge lengths of a voxel along ``(I, J, K)`` in millimetres."""
        i, j, k = np.sqrt((self.affine[:3, :3] ** 2).sum(axis=0))
        return float(i), float(j), float(k)

    @property
    def orientation(self) -> str:
        """The anatomical direction each axis runs to, nearest to, for example ``"RAS"``."""
        return _orientation(np.asarray(self.affine, np.float64).tobytes())

    def matches(self, other: Geometry, *, tolerance_mm: float = 1e-2) -> bool:
        """Whether both grids put every voxel at the same place, within ``tolerance_mm`` at the far corners."""
        if self.shape != other.shape:
            return False
        corners = np.array(np.meshgrid(*[(0, n - 1) for n in self.shape], indexing="ij")).reshape(3, -1)
        homogeneous = np.vstack([corners, np.ones(corners.shape[1])])
        difference = (self.affine - other.affine) @ homogeneous
        return bool(np.abs(difference).max() <= tolerance_mm)


@lru_cache(maxsize=256)  # it is asked for at every comparison of grids, and takes a millisecond
def _orientation(affine: bytes) -> str:
    return "".join(nib.orientations.aff2axcodes(np.frombuffer(affine).reshape(4, 4)))  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """An image or a label map together with its grid.

    Parameters
    ----------
    array
        ``(C, I, J, K)``: channels first, then the file's own axes. A label map has ``C = 1``.
    geometry
        The grid of the last three axes.
    """

    array: NDArray[np.generic]
    geometry: Geometry

    def __post_init__(self) -> None:
        if self.array.ndim != 4 or self.array.shape[1:] != self.geometry.shape:
            message = f"array of shape {self.array.shape} does not fit a grid of shape {self.geometry.shape}; expected (C, I, J, K)"
            raise ValueError(message)
