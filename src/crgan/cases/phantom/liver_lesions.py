"""Lesions of the phantom liver: metastases, cysts and tumours rich in vessels, from three voxels to a fist."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import ndimage

from crgan.cases.phantom.liver_body import paint_body
from crgan.cases.phantom.liver_organs import paint_organs
from crgan.cases.phantom.liver_patient import Patient, open_slab
from crgan.cases.phantom.shapes import Box, Field, Grid, Point, free_place, rough_distance, step

FEWEST_VOXELS = 3
_COARSE_MM = (6.0, 6.0, 6.0)

Kind = Literal["metastasis", "cyst", "hypervascular"]


@dataclass(frozen=True, slots=True)
class Lesion:
    """One lesion on its grid.

    Parameters
    ----------
    kind
        ``"metastasis"``: darker than the liver, darkest in the middle, with a soft margin; ``"cyst"``: water, with a
        sharp one; ``"hypervascular"``: brighter, with a darker middle.
    contrast_hu
        How far it is from the liver around it.
    radius_mm
        Of a ball of about its size.
    box
        Where in the grid it is.
    depth_mm
        Depth below its surface in ``box``, float32.
    """

    kind: Kind
    contrast_hu: float
    radius_mm: float
    box: Box
    depth_mm: Field


def draw_lesions(patient: Patient, grid: Grid, rng: np.random.Generator) -> tuple[Lesion, ...]:
    """Draw up to two large lesions, some of medium size, some small ones and some tiny ones, apart from each other.

    A tiny one holds three voxels of ``grid`` or a few more.
    """
    voxel = float(np.prod(grid.spacing_mm)) ** (1 / 3)
    tiny = [float(rng.uniform(0.75, 1.1) * voxel) for _ in range(rng.integers(2, 6))]
    radii = [float(rng.uniform(12, 28)) for _ in range(rng.integers(0, 3))]
    radii += [float(max(rng.uniform(5, 11), 1.3 * voxel)) for _ in range(rng.integers(1, 5))]
    radii += [float(max(rng.uniform(2.4, 5), 1.3 * voxel)) for _ in range(rng.integers(2, 7))]
    places, depths = _inside_liver(patient, grid)
    lesions: list[Lesion] = []
    taken: list[tuple[Point, float]] = []
    # The tiny ones first: however full the liver gets, there are some.
    for radius in tiny + radii:
        deep = places[depths > (1.5 * max(grid.spacing_mm) + 3 if radius < 1.2 * voxel else 0.3 * radius + 2)]
        centre = free_place(deep, radius, taken, gap_mm=2 * max(grid.spacing_mm), rng=rng) if len(deep) else None
        if centre is not None:
            taken.append((centre, radius))
            lesions.append(_draw(centre, radius, grid, rng))
    return tuple(lesions)


def paint_lesion(lesion: Lesion, hu: Field, liver_mm: Field, planes: slice, *, softness_mm: float) -> tuple[Box, Field] | None:
    """Paint a lesion into the planes ``planes`` of its grid.

    Returns
    -------
    tuple[Box, Field] | None
        Where in these planes, and how deep below its surface and the liver's each voxel lies; None if it is in none of them.
    """
    z, y, x = lesion.box
    start, stop = max(z.start, planes.start), min(z.stop, planes.stop)
    if start >= stop:
        return None
    box = slice(start - planes.start, stop - planes.start), y, x
    depth = lesion.depth_mm[start - z.start : stop - z.start]
    share = np.clip(depth / lesion.radius_mm, 0, 1)
    view = hu[box]
    if lesion.kind == "cyst":
        value, softness = np.float32(8), softness_mm
    elif lesion.kind == "metastasis":
        value, softness = view - np.float32(lesion.contrast_hu) * (0.8 + 0.5 * share), softness_mm + min(0.12 * lesion.radius_mm, 1.2)
    else:
        value, softness = view + np.float32(lesion.contrast_hu) * (1 - 1.1 * share**2), softness_mm + min(0.08 * lesion.radius_mm, 0.8)
    depth = np.minimum(depth, liver_mm[box])
    view += (value - view) * step(depth, softness)
    return box, depth


def _inside_liver(patient: Patient, grid: Grid) -> tuple[Field, Field]:
    """Places in the liver ``(n, 3)``, as x, y, z, and their depths in mm, looked at on a coarse grid."""
    ends = [float(abs(axis[0]) + abs(axis[-1])) for axis in grid.axes]
    shape = [max(int(end / step_mm), 2) for end, step_mm in zip(ends, _COARSE_MM, strict=True)]
    coarse = Grid.centred((shape[0], shape[1], shape[2]), _COARSE_MM)
    coarse = coarse.crop(coarse.box((-110, -120, -120), (180, 120, 120)))
    slab = open_slab(patient, coarse, np.zeros(coarse.shape, np.float32))
    liver = paint_organs(slab, paint_body(slab))
    z, y, x = np.nonzero(liver > 0)
    return np.stack([coarse.axes[2][x], coarse.axes[1][y], coarse.axes[0][z]], axis=1), liver[z, y, x]


def _draw(centre: Point, radius: float, grid: Grid, rng: np.random.Generator) -> Lesion:
    kind: Kind = ("metastasis", "metastasis", "metastasis", "cyst", "hypervascular")[rng.integers(5)]
    contrast = float(rng.uniform(18, 60))
    box = grid.around(centre, 1.6 * radius + max(grid.spacing_mm))
    depth = radius - rough_distance(grid.crop(box), centre, radius, rng)
    # Between the voxels of a coarse grid a tiny one would be lost.
    least = float(np.partition(depth.ravel(), -FEWEST_VOXELS)[-FEWEST_VOXELS])
    if least <= 0:
        depth = depth + np.float32(1e-3 * radius - least)
    parts, _ = ndimage.label(depth > 0, np.ones((3, 3, 3)))  # without the crumbs of a rough outline
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    depth = np.where((parts > 0) & (parts != sizes.argmax()), -np.float32(radius), depth)
    return Lesion(kind, contrast, radius, box, depth)
