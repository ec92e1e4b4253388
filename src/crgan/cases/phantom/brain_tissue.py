"""Anatomy of the phantom brain: where its grey matter, white matter and fluid lie, in millimetres.

Everything is a formula of the position in a head whose origin is the middle of the brain (x to the right, y to the
front, z up), so one brain can be drawn on any grid. Shapes are ellipsoids and tubes; their surfaces are bent by smooth
noise, and the sheets on which a noise field changes sign, drawn along the rays from the middle, are the sulci.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from crgan.cases.phantom.shapes import HALF_NOISE_MM, Field, Grid, ellipsoid_depth, smooth_noise, step, tube_mm

TISSUES = ("csf", "gm", "wm")

# Lateral ventricle of the right side, mirrored to the left: (x, y, z, radius) in mm, from the frontal horn to the atrium,
# then its two branches, the temporal and the occipital horn.
_VENTRICLE = ((8, 34, 6, 3.0), (10, 22, 12, 5.0), (12, 0, 18, 4.5), (18, -22, 17, 5.0), (25, -36, 8, 6.5))
_BRANCHES = (((25, -36, 8, 5.5), (33, -20, -10, 3.0), (32, 4, -18, 1.8)), ((25, -36, 8, 5.5), (18, -62, 3, 1.8)))
# Centre and half axes in mm, on the right, and how grey it is: thalamus, head of the caudate, putamen, pallidum.
_DEEP_GREY = (
    ((11, -15, 5), (9, 15, 8), 0.75),
    ((14, 21, 9), (4.5, 10, 8), 0.95),
    ((27, 4, 3), (5, 19, 11), 0.95),
    ((20, 0, 1), (4, 11, 7), 0.45),
)


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The healthy brain on a grid of shape ``(Z, Y, X)``; all fields float32.

    Parameters
    ----------
    head
        Bool: inside the skull-stripped brain, fluid included.
    tissue
        ``(3, Z, Y, X)``: the shares of fluid, grey and white matter in each voxel; their sum is 1 everywhere.
    ventricle_mm
        Distance to the wall of the ventricles, negative inside.
    vessels
        Share of blood in each voxel: what lights up after contrast agent in a healthy head.
    """

    head: NDArray[np.bool_]
    tissue: Field
    ventricle_mm: Field
    vessels: Field


def draw_anatomy(grid: Grid, rng: np.random.Generator, *, mass_centre: tuple[float, float, float], mass_mm: float) -> Anatomy:
    """Draw a healthy brain, pushed aside around a mass.

    Parameters
    ----------
    grid
        Where to draw it.
    rng
        Decides all that differs between people.
    mass_centre
        ``(x, y, z)`` of the mass in head coordinates.
    mass_mm
        Radius of the mass; tissue moves away from it by up to a sixth of that.
    """
    size, elongation = 1.01 + 0.015 * rng.uniform(-1, 1), 1 + 0.03 * rng.uniform(-1, 1)
    ventricle_size, atrophy = rng.uniform(0.7, 1.35), rng.uniform(0.0, 1.0)
    softness = max(0.45, 0.4 * float(np.mean(grid.spacing_mm)))

    x, y, z = _bent_positions(grid, rng, mass_centre, mass_mm)
    x, y, z = x / np.float32(size / elongation), y / np.float32(size * elongation), z / np.float32(size)
    right = np.abs(x)

    cerebrum = _cerebrum_depth(right, y, z)
    vermis = ellipsoid_depth((x, y, z), (0, -50, -40), (16, 28, 23))
    cerebellum = np.maximum(ellipsoid_depth((right, y, z), (24, -52, -40), (29, 30, 24)), vermis)
    stem_radius = 10.5 + 0.1 * (z + 70)
    stem = stem_radius - np.hypot(x, y + 20 - 0.22 * (z + 30)) - 1.2 * np.clip(z - 2, 0, None) - 1.5 * np.clip(-67 - z, 0, None)
    head = np.maximum(np.maximum(cerebrum, cerebellum), stem)
    cerebrum = np.minimum(cerebrum, -cerebellum - 2.5)  # the tentorium and the fluid around it part the two

    # Where the two halves of the cerebrum meet: a sheet of fluid, outside the callosum, the thalami and the stem.
    bridge = ellipsoid_depth((np.zeros_like(x), y, z), (1.0, -4.0, 2.0), (30.0, 44.0, 25.0))
    fissure = np.hypot(x, np.clip(bridge, 0, None))
    sulci = _sulci(grid, (x, y, z), cerebrum, rng)
    cortex = np.minimum(np.minimum(cerebrum, fissure), sulci)  # distance of a point of the cerebrum to the fluid around it
    folia = _folia(grid, (x, y, z), cerebellum, rng)

    in_cerebellum = cerebellum > np.maximum(cerebrum, stem)
    in_stem = stem > np.maximum(cerebrum, cerebellum)
    fluid_gap = np.where(in_cerebellum, folia + 0.5, np.where(in_stem, stem, cortex)) - np.float32(0.7 + 0.5 * atrophy)
    thickness = np.where(in_cerebellum, np.float32(1.6), np.where(in_stem, np.float32(0.0), np.float32(3.2)))
    thickness = thickness * (1 + np.float32(0.15) * smooth_noise(grid, 30, rng))

    ventricle = _ventricle_mm(x, y, z, ventricle_size)
    fluid = np.maximum(1 - step(fluid_gap, softness), step(-ventricle, softness))
    fluid = np.maximum(fluid, 1 - step(np.maximum(np.maximum(cerebrum, cerebellum), stem), softness))
    grey = 1 - step(fluid_gap - thickness, 0.9 * softness + 0.2)
    for centre, half_axes, greyness in _DEEP_GREY:
        grey = np.maximum(grey, np.float32(greyness) * step(ellipsoid_depth((right, y, z), centre, half_axes), softness + 0.4))
    grey = np.maximum(grey, np.float32(0.25) * step(stem, 1.0) * (z < -8))
    tissue = np.stack([fluid, (1 - fluid) * grey, (1 - fluid) * (1 - grey)])

    # Vessels run where sulci cross the sheets of another noise; the sagittal sinus along the top of the fissure.
    vessel = np.hypot(np.minimum(sulci, fissure) - 0.3, 2.2 * smooth_noise(grid, 14, rng))
    vessels = 0.8 * step(np.float32(0.5) - vessel, 0.6) * (cerebrum < 16) * ~in_cerebellum * ~in_stem
    sinus = 2.6 - np.hypot(x, cerebrum - 2.5)
    plexus = 1.6 - np.sqrt((right - 24) ** 2 + 0.2 * (y + 34) ** 2 + (z - 9) ** 2)
    vessels = np.maximum(vessels, np.maximum(0.9 * step(sinus, 0.8) * (z > 20) * (y < 40), 0.5 * step(plexus, 0.8)))
    grooves = 1.6 * np.exp(-((sulci / 2) ** 2)) * (cerebrum > cerebellum)  # the hull sinks in a little over each sulcus
    hull = _without_holes(head - grooves + 0.4 * smooth_noise(grid, 9, rng) > 0)
    return Anatomy(hull, tissue.astype(np.float32), ventricle, vessels.astype(np.float32))


def _without_holes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill what is not connected with the outside."""
    parts, _ = ndimage.label(np.pad(~mask, 1, constant_values=True))
    return np.asarray(parts != parts[0, 0, 0])[1:-1, 1:-1, 1:-1]


def _bent_positions(
    grid: Grid, rng: np.random.Generator, mass_centre: tuple[float, float, float], mass_mm: float
) -> tuple[Field, Field, Field]:
    """Where each voxel lies in the straight, healthy head: ``(x, y, z)``, each ``(Z, Y, X)``."""
    z, y, x = np.meshgrid(*grid.axes, indexing="ij", copy=True)
    away = [x - np.float32(mass_centre[0]), y - np.float32(mass_centre[1]), z - np.float32(mass_centre[2])]
    distance = np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2) + 1e-3
    reach = np.float32(1.2 * mass_mm + 4)
    push = np.float32(mass_mm / 6) * np.exp(-((distance / reach) ** 2)) * np.minimum(distance / reach, 1) * 2 / distance
    bent = []
    for position, direction in zip((x, y, z), away, strict=True):
        bend = np.float32(1.3) * smooth_noise(grid, 70, rng) + np.float32(0.6) * smooth_noise(grid, 26, rng)
        bent.append(position + bend - push * direction)
    return bent[0], bent[1], bent[2]


def _cerebrum_depth(right: Field, y: Field, z: Field) -> Field:
    """Depth below the smooth hull of the cerebrum: an egg, blunt at the back, flat below, and the two temporal lobes."""
    width = 72 - 0.07 * y - 0.0011 * y**2
    height = np.where(z > 0, np.float32(64), np.float32(34))
    radius = ((right / width) ** 2.3 + np.abs((y + 1) / 91) ** 2.3 + (np.abs(z - 6) / height) ** 2.3) ** np.float32(1 / 2.3)
    egg = (1 - radius) * 70
    temporal = ellipsoid_depth((right, y, z), (44, 4, -24), (23, 40, 19))
    return np.asarray(np.maximum(egg, 1.1 * temporal), np.float32)


def _sulci(grid: Grid, position: tuple[Field, Field, Field], depth: Field, rng: np.random.Generator) -> Field:
    """Distance to the nearest sulcus in mm: sheets that run inwards from the surface and end at a depth that varies."""
    lattice = np.arange(-HALF_NOISE_MM, HALF_NOISE_MM, 2.5, dtype=np.float32)
    cube = Grid((lattice, lattice, lattice), (2.5, 2.5, 2.5))
    noise = smooth_noise(cube, 15, rng) + 0.35 * smooth_noise(cube, 8, rng)
    slope = np.sqrt(sum(np.gradient(noise, 2.5, axis=axis) ** 2 for axis in range(3)))
    signed_mm = (noise / (slope + 0.02)).astype(np.float32)  # near its zeros, a field over its slope is the distance to them
    # Points are moved outwards along their ray before they look the noise up, so that the sheets run inwards.
    outwards = 1 + np.clip(depth, 0, 40) / (np.sqrt(position[0] ** 2 + position[1] ** 2 + position[2] ** 2) + 12)
    where = np.stack([(p * outwards + HALF_NOISE_MM) / 2.5 for p in (position[2], position[1], position[0])])
    sheet = np.abs(ndimage.map_coordinates(signed_mm, where, order=1, mode="nearest"))
    bottom = 17 + 6 * smooth_noise(grid, 30, rng)
    core = ellipsoid_depth((np.abs(position[0]), position[1], position[2]), (0.0, -2.0, 4.0), (40.0, 52.0, 24.0))
    return np.asarray(np.hypot(sheet, np.clip(np.maximum(depth - bottom, core), 0, None)), np.float32)


def _folia(grid: Grid, position: tuple[Field, Field, Field], depth: Field, rng: np.random.Generator) -> Field:
    """Distance to the fluid between the leaves of the cerebellum, in mm: stripes across the midline, down to 9 mm."""
    _, y, z = position
    period = 6.5
    angle = np.arctan2(z + 40, y + 38)
    radius = np.hypot(y + 38, z + 40)
    phase = (angle * 20 + 0.35 * radius) / period + 0.18 * smooth_noise(grid, 22, rng)
    stripe = np.abs(phase - np.round(phase)) * period
    return np.asarray(np.minimum(depth, np.hypot(stripe, np.clip(depth - 9, 0, None))), np.float32)


def _ventricle_mm(x: Field, y: Field, z: Field, size: float) -> Field:
    """Distance to the walls of the lateral, third and fourth ventricles in mm, negative inside."""
    right = np.abs(x)
    distance = np.full(x.shape, np.inf, np.float32)
    for path in (_VENTRICLE, *_BRANCHES):
        for start, end in pairwise(path):
            distance = np.minimum(distance, tube_mm(right, y, z, start, end, size))
    third = ellipsoid_depth((x, y, z), (0, -8, 2), (1.8 * size, 15, 10))
    fourth = ellipsoid_depth((x, y, z), (0, -35, -34), (5 * size, 4 * size, 8))
    return np.minimum(distance, -np.maximum(third, fourth))
