"""Lesions of the phantom brain: oedema around a core, an enhancing rim in the core, from a few voxels to a fist."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from crgan.cases.phantom.brain_tissue import Anatomy
from crgan.cases.phantom.shapes import Field, Grid, free_place, rough_distance, smooth_noise, step

NECROSIS, OEDEMA, ENHANCING = 1, 2, 4  # the label values of BraTS 2017 to 2021
SHARE_OF_VOXELS = (0.001, 0.02)

Kind = Literal["whole", "nodule", "solid", "oedema"]


@dataclass(frozen=True, slots=True)
class Lesion:
    """One lesion.

    Parameters
    ----------
    centre
        ``(x, y, z)`` in head coordinates, mm.
    radius_mm
        Of its oedema.
    kind
        ``"whole"``: oedema, core, enhancing rim; ``"nodule"``: oedema around a core that enhances throughout;
        ``"solid"``: oedema around a core that does not enhance; ``"oedema"``: nothing else.
    contrast
        How much it differs from healthy tissue: 1 is plain to see, 0.3 is faint.
    seed
        Decides its shape.
    """

    centre: tuple[float, float, float]
    radius_mm: float
    kind: Kind
    contrast: float
    seed: int


@dataclass(frozen=True, slots=True)
class LesionMaps:
    """All lesions of a brain, on its grid ``(Z, Y, X)``.

    Parameters
    ----------
    labels
        uint8: 0, or :data:`NECROSIS`, :data:`OEDEMA`, :data:`ENHANCING`.
    strength
        ``(3, Z, Y, X)`` float32 in 0–1: how much oedema, core and enhancement show in a voxel, with soft margins.
    """

    labels: NDArray[np.uint8]
    strength: Field


def draw_main_lesion(rng: np.random.Generator) -> Lesion:
    """Draw the largest lesion of a patient; it lies in the white matter of one half and pushes tissue aside."""
    side = rng.choice((-1.0, 1.0))
    centre = (float(side * rng.uniform(24, 40)), float(rng.uniform(-48, 42)), float(rng.uniform(8, 38)))
    radius = float(np.exp(rng.uniform(np.log(13), np.log(24))))
    return Lesion(centre, radius, "whole", float(rng.uniform(0.6, 1.0)), int(rng.integers(2**31)))


def draw_other_lesions(anatomy: Anatomy, grid: Grid, rng: np.random.Generator, *, main: Lesion) -> tuple[Lesion, ...]:
    """One to three lesions of medium size, two to five small and two to five tiny ones, apart from each other.

    A tiny one holds a few voxels of ``grid``, whatever their size.
    """
    voxel = float(np.prod(grid.spacing_mm)) ** (1 / 3)
    radii = [float(rng.uniform(6, 11)) for _ in range(rng.integers(1, 4))]
    radii += [float(max(rng.uniform(2.8, 5.0), 1.5 * voxel)) for _ in range(rng.integers(2, 6))]
    radii += [float(rng.uniform(1.1, 1.7) * max(voxel, 1.0)) for _ in range(rng.integers(2, 6))]
    # In tissue, off the surface and off the ventricles, mostly white matter.
    likely = anatomy.head & (anatomy.tissue[0] < 0.05) & (anatomy.ventricle_mm > 3) & (anatomy.tissue[2] > 0.3)
    z, y, x = np.nonzero(likely)
    places = np.stack([grid.axes[2][x], grid.axes[1][y], grid.axes[0][z]], axis=1)
    lesions = [main]
    for radius in radii if len(places) else ():
        taken = [(lesion.centre, lesion.radius_mm) for lesion in lesions]
        centre = free_place(places, radius, taken, gap_mm=2 * voxel, rng=rng)
        if centre is not None:
            kinds: tuple[Kind, ...] = ("whole", "solid", "nodule", "oedema") if radius > 5 else ("nodule", "oedema", "solid")
            contrast = float(rng.uniform(0.35, 1.0))
            lesions.append(Lesion(centre, radius, kinds[rng.integers(len(kinds))], contrast, int(rng.integers(2**31))))
    return tuple(lesions[1:])


def draw_lesions(lesions: tuple[Lesion, ...], anatomy: Anatomy, grid: Grid, *, voxels: int) -> LesionMaps:
    """Draw lesions of 0.1–2 % of ``voxels`` in all: the main one, the first, grows or shrinks until that holds."""
    low, high = SHARE_OF_VOXELS
    main = lesions[0]
    for _ in range(12):
        maps = _draw((main, *lesions[1:]), anatomy, grid)
        share = np.count_nonzero(maps.labels) / voxels
        if 1.1 * low <= share <= 0.95 * high:
            break
        main = replace(main, radius_mm=main.radius_mm * (1.12 if share < 1.1 * low else 0.9))
    return maps


def _draw(lesions: tuple[Lesion, ...], anatomy: Anatomy, grid: Grid) -> LesionMaps:
    labels = np.zeros(grid.shape, np.uint8)
    strength = np.zeros((3, *grid.shape), np.float32)
    for lesion in lesions:
        box = grid.around(lesion.centre, 1.6 * lesion.radius_mm + 4)
        local = grid.crop(box)
        depths = _depths_mm(lesion, local, anatomy.tissue[(slice(None), *box)], anatomy.ventricle_mm[box])
        allowed = anatomy.head[box] & ~_crumbs(depths[0] > 0)
        where = labels[box]
        here = strength[(slice(None), *box)]
        softness = min(1.6, 0.3 * lesion.radius_mm)
        for part, (depth, value) in enumerate(zip(depths, (OEDEMA, NECROSIS, ENHANCING), strict=True)):
            where[(depth > 0) & allowed] = value
            shown = np.float32(lesion.contrast) * step(depth, softness if part == 0 else 0.6 * softness)
            here[part] = np.maximum(here[part], shown * allowed)
    return LesionMaps(labels, strength)


def _crumbs(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find what barriers cut off a lesion: parts below a tenth of the largest one."""
    parts, _ = ndimage.label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray((sizes < 0.1 * sizes.max())[parts] & mask)


def _depths_mm(lesion: Lesion, grid: Grid, tissue: Field, ventricle_mm: Field) -> tuple[Field, Field, Field]:
    """Depth below the surfaces of oedema, core and enhancing part (mm, negative outside); each lies inside the one before."""
    rng = np.random.default_rng(lesion.seed)
    radius = lesion.radius_mm
    distance = rough_distance(grid, lesion.centre, radius, rng)
    fluid, grey, _ = tissue
    # Oedema runs along white matter, less into the cortex, and neither fluid nor the ventricles hold any.
    barrier = np.minimum(0.55 * radius, 3.0) * grey + np.minimum(1.5 * radius, 8.0) * np.clip(2 * fluid - 0.4, 0, 1)
    wall = np.asarray(ventricle_mm - 0.3, np.float32)
    oedema = np.minimum(radius - distance - barrier, wall)
    nowhere = np.full_like(oedema, -1e3)
    if lesion.kind == "oedema":
        return oedema, nowhere, nowhere
    core_radius = radius * (0.85 if radius < 5 else rng.uniform(0.5, 0.68))
    core = np.minimum(core_radius - distance, wall)
    oedema = np.maximum(oedema, core)
    if lesion.kind == "solid":
        return oedema, core, nowhere
    if lesion.kind == "nodule":
        return oedema, core, core - np.float32(0.1 * radius)
    # The rim: a shell of uneven thickness with gaps, so that necrosis and solid tumour reach the core's surface here and there.
    thickness = 0.27 * core_radius * (1 + 0.55 * smooth_noise(grid, max(core_radius, 4.0), rng))
    rim = np.minimum(core - np.float32(0.05 * core_radius), thickness - core)
    return oedema, core, np.asarray(rim, np.float32)
