from __future__ import annotations

import numpy as np
import pytest

from crgan.cases.phantom_tissue import Grid, _without_holes, draw_anatomy, ellipsoid_depth, smooth_noise, step


def cube(half_mm: float, spacing_mm: float) -> Grid:
    axis = np.arange(-half_mm, half_mm + spacing_mm / 2, spacing_mm, dtype=np.float32)
    return Grid((axis, axis, axis), (spacing_mm,) * 3)


def test_noise_has_mean_0_and_variance_1() -> None:
    noise = smooth_noise(cube(90, 3), 8.4, np.random.default_rng(0))
    assert noise.dtype == np.float32
    assert abs(noise.mean()) < 0.02
    assert noise.std() == pytest.approx(1, abs=0.03)


def test_noise_is_smooth_over_its_wavelength() -> None:
    noise = smooth_noise(cube(60, 2), 24, np.random.default_rng(1))

    def correlation(shift: int) -> float:
        return float(np.corrcoef(noise[:-shift].ravel(), noise[shift:].ravel())[0, 1])

    assert correlation(1) > 0.95  # 2 mm apart
    assert abs(correlation(24)) < 0.2  # 48 mm apart


def test_noise_belongs_to_the_head_and_not_to_the_grid() -> None:
    fine, coarse = (smooth_noise(cube(40, spacing), 20, np.random.default_rng(2)) for spacing in (2.0, 4.0))
    assert np.allclose(fine[::2, ::2, ::2], coarse, atol=1e-5)


def test_noise_of_a_part_is_the_part_of_the_noise() -> None:
    grid = cube(30, 3)
    box = (slice(2, 9), slice(0, 5), slice(10, 21))
    whole = smooth_noise(grid, 15, np.random.default_rng(3))
    assert np.allclose(smooth_noise(grid.crop(box), 15, np.random.default_rng(3)), whole[box], atol=1e-5)


def test_step_rises_from_0_to_1_through_one_half() -> None:
    assert step(np.array([-50, 0, 50], np.float32), 1.0) == pytest.approx([0, 0.5, 1])
    assert np.all(np.diff(step(np.linspace(-3, 3, 50, dtype=np.float32), 1.0)) > 0)


def test_depth_of_an_ellipsoid_is_exact_along_its_shortest_axis() -> None:
    x = np.array([0.0, 1.0, 2.0, 5.0], np.float32)
    zero = np.zeros_like(x)
    assert ellipsoid_depth((x, zero, zero), (0, 0, 0), (2, 4, 8)) == pytest.approx([2, 1, 0, -3])


def test_tissues_share_every_voxel() -> None:
    anatomy = draw_anatomy(cube(90, 6), np.random.default_rng(0), mass_centre=(30, 0, 20), mass_mm=15)
    assert np.allclose(anatomy.tissue.sum(axis=0), 1, atol=1e-5)
    assert anatomy.tissue.min() >= -1e-6
    volumes = [float((share * anatomy.head).sum()) * 6**3 / 1e6 for share in anatomy.tissue]
    # Litres of fluid, grey and white matter of grown people, generously.
    for volume, (low, high) in zip(volumes, ((0.1, 0.7), (0.45, 1.0), (0.45, 1.0)), strict=True):
        assert low < volume < high
    assert (anatomy.tissue[0][anatomy.ventricle_mm < -3] > 0.8).all()
    assert anatomy.vessels.min() >= 0
    assert anatomy.vessels.max() <= 1


def test_a_mass_pushes_the_ventricle_beside_it_away() -> None:
    grid = cube(80, 2.5)
    x = grid.axes[2][None, None, :]
    near = (x > 0) & (np.abs(grid.axes[1]) < 15)[None, :, None] & (grid.axes[0] > 8)[:, None, None]  # the body of the right ventricle

    def middle(mass_mm: float) -> float:
        anatomy = draw_anatomy(grid, np.random.default_rng(4), mass_centre=(36, 0, 18), mass_mm=mass_mm)
        inside = (anatomy.ventricle_mm < 0) & near
        return float((x * inside).sum() / inside.sum())

    assert middle(24) < middle(0.01) - 1


def test_a_hole_is_filled_and_a_bay_is_not() -> None:
    mask = np.ones((5, 6, 7), bool)
    mask[2, 2, 2] = mask[0, 3, 3] = mask[1, 3, 3] = False
    filled = _without_holes(mask)
    assert filled[2, 2, 2]
    assert not filled[0, 3, 3]
    assert not filled[1, 3, 3]
