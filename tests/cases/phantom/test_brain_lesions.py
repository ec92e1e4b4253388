from __future__ import annotations

import numpy as np
import pytest

from crgan.cases.phantom.brain_lesions import (
    ENHANCING,
    NECROSIS,
    OEDEMA,
    Kind,
    Lesion,
    LesionMaps,
    draw_lesions,
    draw_main_lesion,
    draw_other_lesions,
)
from crgan.cases.phantom.brain_tissue import Anatomy, draw_anatomy
from crgan.cases.phantom.shapes import Grid


def white_matter(shape: tuple[int, int, int] = (41, 41, 41), spacing_mm: float = 1.0) -> tuple[Anatomy, Grid]:
    """A block of white matter, far from any fluid."""
    axes = tuple(((np.arange(n) - n // 2) * spacing_mm).astype(np.float32) for n in shape)
    tissue = np.zeros((3, *shape), np.float32)
    tissue[2] = 1
    far = np.full(shape, 50, np.float32)
    return Anatomy(np.ones(shape, bool), tissue, far, np.zeros(shape, np.float32)), Grid((axes[0], axes[1], axes[2]), (spacing_mm,) * 3)


def draw_one(kind: Kind, *, radius_mm: float, seed: int = 0, contrast: float = 1.0) -> LesionMaps:
    anatomy, grid = white_matter()
    # Of so few voxels that any size is within bounds: the lesion is drawn as asked for.
    volume = 4 / 3 * np.pi * radius_mm**3
    return draw_lesions((Lesion((0, 0, 0), radius_mm, kind, contrast, seed),), anatomy, grid, voxels=int(volume / 0.01))


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("whole", {OEDEMA, NECROSIS, ENHANCING}),
        ("nodule", {OEDEMA, NECROSIS, ENHANCING}),
        ("solid", {OEDEMA, NECROSIS}),
        ("oedema", {OEDEMA}),
    ],
)
def test_parts_of_each_kind(kind: Kind, values: set[int]) -> None:
    for seed in range(4):
        assert set(np.unique(draw_one(kind, radius_mm=10, seed=seed).labels)) - {0} <= values
    assert set(np.unique(draw_one(kind, radius_mm=10).labels)) == {0, *values}


def test_parts_lie_inside_each_other() -> None:
    for seed in range(5):
        maps = draw_one("whole", radius_mm=12, seed=seed)
        core = np.isin(maps.labels, (NECROSIS, ENHANCING))
        lesion = maps.labels > 0
        grown = np.zeros_like(core)
        for axis in range(3):
            for shift in (-1, 1):
                grown |= np.roll(core, shift, axis)
        # A ring of oedema closes around nearly all of the core.
        assert (grown & ~lesion).sum() < 0.02 * core.sum()


def test_size_is_as_asked_for() -> None:
    for radius in (3.0, 6.0, 12.0):
        voxels = [(draw_one("oedema", radius_mm=radius, seed=seed).labels > 0).sum() for seed in range(6)]
        assert np.mean(voxels) == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.35)


def test_a_lesion_of_one_voxel_radius_holds_a_few_voxels() -> None:
    for seed in range(6):
        assert 3 <= (draw_one("oedema", radius_mm=1.2, seed=seed).labels > 0).sum() <= 14


def test_contrast_bounds_what_shows_and_margins_are_soft() -> None:
    maps = draw_one("oedema", radius_mm=10, contrast=0.4)
    assert maps.strength[0].max() == pytest.approx(0.4, abs=0.01)
    assert maps.strength[1:].max() == 0
    assert 0.02 < maps.strength[0][maps.labels == 0].max() < 0.25


def test_ventricles_hold_no_lesion() -> None:
    anatomy, grid = white_matter()
    wall = np.broadcast_to(grid.axes[2].astype(np.float32), anatomy.head.shape)  # a ventricle left of x = 0
    beside = Anatomy(anatomy.head, anatomy.tissue, wall, anatomy.vessels)
    labels = draw_lesions((Lesion((0, 0, 0), 9, "whole", 1.0, 0),), beside, grid, voxels=150_000).labels
    assert labels.any()
    assert not labels[wall <= 0].any()


@pytest.mark.parametrize(("radius_mm", "voxels"), [(4.0, 10**6), (20.0, 10**6)])
def test_the_main_lesion_grows_or_shrinks_into_its_share(radius_mm: float, voxels: int) -> None:
    anatomy, grid = white_matter((81, 81, 81))
    labels = draw_lesions((Lesion((0, 0, 0), radius_mm, "whole", 1.0, 0),), anatomy, grid, voxels=voxels).labels
    assert 0.001 <= np.count_nonzero(labels) / voxels <= 0.02


def test_other_lesions_are_apart_and_of_three_sizes() -> None:
    axes = [np.arange(-half, half, 4, dtype=np.float32) for half in (76, 96, 76)]
    grid = Grid((axes[0], axes[1], axes[2]), (4.0, 4.0, 4.0))
    for seed in range(4):
        rng = np.random.default_rng(seed)
        main = draw_main_lesion(rng)
        anatomy = draw_anatomy(grid, rng, mass_centre=main.centre, mass_mm=main.radius_mm)
        others = draw_other_lesions(anatomy, grid, rng, main=main)
        assert 5 <= len(others) <= 13
        lesions = (main, *others)
        for i, first in enumerate(lesions):
            for second in lesions[:i]:
                assert np.linalg.norm(np.subtract(first.centre, second.centre)) > first.radius_mm + second.radius_mm
        assert main.radius_mm > 1.1 * max(lesion.radius_mm for lesion in others)


def test_no_place_gives_no_lesion_but_no_fault() -> None:
    anatomy, grid = white_matter((15, 15, 15))
    main = Lesion((0, 0, 0), 24, "whole", 1.0, 0)
    assert draw_other_lesions(anatomy, grid, np.random.default_rng(0), main=main) == ()
