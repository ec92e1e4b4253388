"""What phantoms are drawn with: grids in millimetres, smooth noise, ellipsoids, tubes and rough balls.

A phantom is a formula of the position in a body (x to the right, y to the front, z up, in mm), so that one patient can be
drawn on any grid, and a large one slab by slab. Arrays run along z, y, x. Depths are positive inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]
Point = tuple[float, float, float]
Box = tuple[slice, slice, slice]

HALF_NOISE_MM = 108.0  # noise covers a cube of twice this edge, whatever the grid, unless told otherwise


@dataclass(frozen=True, slots=True)
class Grid:
    """Voxel centres of a box, in the body's coordinates (mm).

    Parameters
    ----------
    axes
        Coordinates along z, y and x.
    spacing_mm
        Distance of neighbouring voxels along z, y and x.
    """

    axes: tuple[Field, Field, Field]
    spacing_mm: tuple[float, float, float]

    @classmethod
    def centred(cls, shape: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Grid:
        """A grid with the origin in its middle."""
        z, y, x = (
            (np.arange(n, dtype=np.float32) - np.float32((n - 1) / 2)) * np.float32(s) for n, s in zip(shape, spacing_mm, strict=True)
        )
        return cls((z, y, x), spacing_mm)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along z, y and x."""
        return self.axes[0].size, self.axes[1].size, self.axes[2].size

    @property
    def position(self) -> tuple[Field, Field, Field]:
        """Coordinates ``(x, y, z)`` of every voxel, each ``(Z, Y, X)``."""
        z, y, x = np.meshgrid(*self.axes, indexing="ij", copy=True)
        return x, y, z

    def crop(self, box: Box) -> Grid:
        """Cut out the part inside ``box``, given in voxels."""
        z, y, x = (axis[part] for axis, part in zip(self.axes, box, strict=True))
        return Grid((z, y, x), self.spacing_mm)

    def box(self, low: Point, high: Point) -> Box:
        """Voxels between two corners ``(x, y, z)``; empty slices where the grid does not reach."""
        z, y, x = (
            slice(*(int(end) for end in np.searchsorted(axis, (start, stop))))
            for axis, start, stop in zip(self.axes, reversed(low), reversed(high), strict=True)
        )
        return z, y, x

    def around(self, centre: Point, reach_mm: float) -> Box:
        """Voxels of a cube around a point ``(x, y, z)``."""
        return self.box(
            (centre[0] - reach_mm, centre[1] - reach_mm, centre[2] - reach_mm),
            (centre[0] + reach_mm, centre[1] + reach_mm, centre[2] + reach_mm),
        )


@dataclass(frozen=True, slots=True)
class Noise:
    """A random field of mean 0 and variance 1 that belongs to a body, not to a grid: a finer grid or a slab shows the same field.

    Random numbers on a lattice are blended by cubic B-splines, one axis after the other.

    Parameters
    ----------
    lattice
        The random numbers, float32 ``(nodes, nodes, nodes)``.
    pitch_mm
        Distance of the nodes.
    half_mm
        Half the edge of the cube that the lattice covers, around the origin.
    """

    lattice: Field
    pitch_mm: float
    half_mm: float

    @classmethod
    def draw(cls, wavelength_mm: float, rng: np.random.Generator, *, half_mm: float = HALF_NOISE_MM) -> Noise:
        """Draw a field that changes over about ``wavelength_mm``."""
        pitch = wavelength_mm / 2
        nodes = int(np.ceil(2 * half_mm / pitch)) + 4
        return cls(rng.standard_normal((nodes, nodes, nodes), dtype=np.float32), pitch, half_mm)

    def on(self, grid: Grid) -> Field:
        """Look at the field on a grid; float32 ``(Z, Y, X)``."""
        field = self.lattice
        nodes = len(field)
        weights = [_spline_weights((axis + self.half_mm) / self.pitch_mm + 1, nodes) for axis in grid.axes]
        for axis in sorted(range(3), key=grid.shape.__getitem__):  # the shortest first: the field stays small for long
            field = np.moveaxis(np.tensordot(field, weights[axis], axes=(axis, 1)), -1, axis)
        # The mean square of a spline's four weights is 151/315; the variance shrinks by it once for each axis.
        return np.ascontiguousarray(field * np.float32((315 / 151) ** 1.5))


def smooth_noise(grid: Grid, wavelength_mm: float, rng: np.random.Generator) -> Field:
    """Draw :class:`Noise` that is looked at on one grid only; float32 ``(Z, Y, X)``."""
    return Noise.draw(wavelength_mm, rng).on(grid)


def _spline_weights(positions: Field, nodes: int) -> Field:
    """Cubic B-spline weights ``(len(positions), nodes)`` of lattice nodes at 0, 1, 2, …; rows sum to 1 inside the lattice."""
    distance = np.abs(np.clip(positions, 1, nodes - 2)[:, None] - np.arange(nodes, dtype=np.float32))
    near = 2 / 3 - distance**2 + distance**3 / 2
    far = np.clip(2 - distance, 0, None) ** 3 / 6
    return np.where(distance < 1, near, far).astype(np.float32)


def step(depth_mm: Field, softness_mm: float) -> Field:
    """Smooth step from 0 outside (``depth_mm`` below 0) to 1 inside, over about ±2 ``softness_mm``."""
    return np.asarray(0.5 * (1 + np.tanh(depth_mm / np.float32(softness_mm))), np.float32)


def ellipsoid_depth(position: tuple[Field, Field, Field], centre: tuple[float, ...], half_axes: tuple[float, ...]) -> Field:
    """Depth below the surface of an ellipsoid in mm (negative outside), exact in direction of the shortest half axis; all in (x, y, z)."""
    square = sum(((p - np.float32(c)) / np.float32(a)) ** 2 for p, c, a in zip(position, centre, half_axes, strict=True))
    return np.asarray((1 - np.sqrt(square)) * np.float32(min(half_axes)), np.float32)


def tube_mm(x: Field, y: Field, z: Field, start: tuple[float, ...], end: tuple[float, ...], size: float) -> Field:
    """Distance to a straight tube whose radius changes from ``start`` to ``end``, each ``(x, y, z, radius)``."""
    along = np.subtract(end[:3], start[:3]).astype(np.float32)
    share = (x - start[0]) * along[0] + (y - start[1]) * along[1] + (z - start[2]) * along[2]
    share = np.clip(share / np.float32(along @ along), 0, 1)
    square = sum((p - np.float32(s) - share * a) ** 2 for p, s, a in zip((x, y, z), start[:3], along, strict=True))
    return np.asarray(np.sqrt(square) - np.float32(size) * (np.float32(start[3]) + share * np.float32(end[3] - start[3])), np.float32)


def rough_distance(grid: Grid, centre: Point, radius_mm: float, rng: np.random.Generator) -> Field:
    """Distance to a point, as a stretched, turned and rough ball of ``radius_mm`` around it sees it: below the radius is inside."""
    z, y, x = np.meshgrid(*(axis - np.float32(c) for axis, c in zip(grid.axes, reversed(centre), strict=True)), indexing="ij")
    stretch = np.exp(rng.uniform(-0.2, 0.2, 3))
    stretch /= np.prod(stretch) ** (1 / 3)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    along = [(turn[i, 0] * x + turn[i, 1] * y + turn[i, 2] * z) / stretch[i] for i in range(3)]
    distance = np.sqrt(along[0] ** 2 + along[1] ** 2 + along[2] ** 2).astype(np.float32)
    if radius_mm > 2.5:
        # Rough outlines; noise of a fixed lattice says nothing about a ball smaller than its pitch.
        distance = distance + np.float32(0.17 * radius_mm) * smooth_noise(grid, max(1.2 * radius_mm, 4.0), rng)
    return np.asarray(distance, np.float32)


def free_place(
    places: Field, radius_mm: float, taken: Sequence[tuple[Point, float]], *, gap_mm: float, rng: np.random.Generator
) -> Point | None:
    """Choose one of ``places``, ``(n, 3)`` as x, y, z, where a ball lies apart from those that are there.

    Parameters
    ----------
    places
        Where its middle may be.
    radius_mm
        Of the ball.
    taken
        Middle and radius of the others.
    gap_mm
        Least distance to each of them, beyond a margin of 30 % of both radii.
    rng
        Chooses.

    Returns
    -------
    Point | None
        None if forty tries found no room: then there is one ball fewer.
    """
    for _ in range(40):
        x, y, z = (float(coordinate) for coordinate in places[rng.integers(len(places))])
        gaps = [float(np.linalg.norm(np.subtract((x, y, z), centre))) - 1.3 * (other + radius_mm) for centre, other in taken]
        if min(gaps, default=np.inf) > gap_mm:
            return x, y, z
    return None
