"""In what two grids differ: shape, spacing, orientation or place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crgan.cases.volume import Geometry

_SAME_PLACE_VOXELS = 0.5  # headers are rounded by every program that writes them; half a voxel is no rounding


@dataclass(frozen=True, slots=True)
class Difference:
    """One property in which a grid differs from the one it should equal.

    Parameters
    ----------
    what
        ``"shape"``, ``"spacing"``, ``"orientation"`` or ``"place"``.
    expected, got
        Both values, ready to be shown.
    """

    what: str
    expected: str
    got: str


def compare_grids(reference: Geometry, other: Geometry) -> tuple[Difference, ...]:
    """List the differences of ``other`` from ``reference``; empty if voxel lies on voxel.

    Shape, spacing (1 % tolerance) and orientation are each told; only if these agree, a shift or
    rotation that moves a corner by more than half of the smallest voxel edge.
    """
    found = []
    if reference.shape != other.shape:
        found.append(Difference("shape", _by(reference.shape), _by(other.shape)))
    if not np.allclose(reference.spacing_mm, other.spacing_mm, rtol=1e-2):
        found.append(Difference("spacing", _mm(reference), _mm(other)))
    if reference.orientation != other.orientation:
        found.append(Difference("orientation", reference.orientation, other.orientation))
    if not found and not reference.matches(other, tolerance_mm=_SAME_PLACE_VOXELS * min(reference.spacing_mm)):
        found.append(Difference("place", f"first voxel at {_first(reference)}", f"at {_first(other)}, or turned against it"))
    return tuple(found)


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(str(n) for n in shape)


def _mm(geometry: Geometry) -> str:
    return " x ".join(f"{value:.4g}" for value in geometry.spacing_mm) + " mm"


def _first(geometry: Geometry) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in geometry.affine[:3, 3]) + ") mm"
