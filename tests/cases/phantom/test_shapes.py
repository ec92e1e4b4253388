from __future__ import annotations

import numpy as np
import pytest

from crgan.cases.phantom.shapes import Grid, ellipsoid_depth, free_place, rough_distance, smooth_noise, step, tube_mm


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


def test_distance_to_a_tube_is_exact_at_its_ends_and_sides() -> None:
    x, y = np.array([0, 5, -4], np.float32), np.array([3, 3, 0], np.float32)
    z = np.zeros_like(x)
    # From (0, 0, 0) with radius 1 to (10, 0, 0) with radius 3: beside the start, beside the middle, beyond the start.
    assert tube_mm(x, y, z, (0, 0, 0, 1), (10, 0, 0, 3), 1.0) == pytest.approx([2, 1, 3])


def test_a_rough_ball_has_the_volume_of_a_ball() -> None:
    grid = cube(20, 1)
    volumes = [(rough_distance(grid, (0, 0, 0), 9, np.random.default_rng(seed)) < 9).sum() for seed in range(8)]
    assert np.mean(volumes) == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.2)


def test_a_box_holds_the_voxels_between_two_corners() -> None:
    grid = Grid.centred((5, 7, 9), (2.0, 1.0, 1.0))  # z from -4 to 4, y from -3 to 3, x from -4 to 4
    assert grid.box((-1.5, 0.5, -9), (2.5, 9, 0.5)) == (slice(0, 3), slice(4, 7), slice(3, 7))
    assert grid.crop(grid.box((50, 0, 0), (60, 1, 1))).shape[2] == 0
    assert grid.around((0, 0, 0), 1.5) == (slice(2, 3), slice(2, 5), slice(3, 6))


def test_a_free_place_is_apart_from_what_is_there() -> None:
    places = np.array([[0, 0, 0], [10, 0, 0], [20, 0, 0]], np.float32)
    taken = [((0.0, 0.0, 0.0), 4.0)]  # with a radius of 4: 1.3 x 8 + 2 = 12.4 mm away at least
    assert free_place(places, 4, taken, gap_mm=2, rng=np.random.default_rng(0)) == (20, 0, 0)
    assert free_place(places, 14, taken, gap_mm=2, rng=np.random.default_rng(0)) is None
