"""Resampling: alignment, agreement with PyTorch's interpolation, and independence from slabs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from crgan.preprocessing.resample import resample_image, resample_labels, resampled_parts, resampled_shape


def resample_to_shape(maps: np.ndarray, shape: tuple[int, ...], *, slab_slices: int = 16, least: float = -np.inf) -> np.ndarray:
    result = np.zeros((len(maps), *shape), np.float32)
    for part, values in resampled_parts(maps, shape, slab_slices=slab_slices, least=least):
        result[:, *part] = values
    return result


@pytest.mark.parametrize(
    ("shape", "spacing", "target", "expected"),
    [
        ((155, 240, 240), (1, 1, 1), (1, 1, 1), (155, 240, 240)),
        ((10, 100, 100), (10, 1.5, 1.5), (10, 1.0, 3.0), (10, 150, 50)),
        ((10, 100, 1000), (1.001, 1, 1), (1, 1.0005, 1.002), (10, 100, 998)),  # within 0.1 % an axis is left alone
        ((1, 100, 100), (5, 1, 1), (1, 2, 2), (1, 50, 50)),  # a single slice stays one
        ((2, 3, 3), (0.1, 1, 1), (9, 9, 9), (1, 1, 1)),  # never less than a voxel
    ],
)
def test_shape_at_another_spacing(
    shape: tuple[int, ...], spacing: tuple[float, ...], target: tuple[float, ...], expected: tuple[int, ...]
) -> None:
    assert resampled_shape(shape, spacing, target) == expected


@pytest.mark.parametrize("shape", [(31, 40), (11, 29), (8, 12), (40, 13), (3, 2)])
def test_agrees_with_torch(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).normal(size=(1, 1, 16, 24)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(image), shape, mode="bilinear", antialias=True).numpy()[0, 0]
    actual = resample_image(image, (1, *shape))[0, 0]
    # At the borders torch leaves out what lies beyond the edge, where here the outermost voxel goes on.
    edge = [int(np.ceil(max(new / old, 1))) for old, new in zip((16, 24), shape, strict=True)]
    inner = tuple(slice(width, size - width) for width, size in zip(edge, shape, strict=True))
    np.testing.assert_allclose(actual[inner], expected[inner], atol=1e-4)


def test_upsampling_agrees_with_torch_up_to_the_edge() -> None:
    volume = np.random.default_rng(0).normal(size=(2, 5, 6, 7)).astype(np.float32)
    expected = torch.nn.functional.interpolate(torch.from_numpy(volume)[None], (12, 9, 20), mode="trilinear")[0].numpy()
    np.testing.assert_allclose(resample_image(volume, (12, 9, 20)), expected, atol=1e-5)


def test_halving_by_hand() -> None:
    image = np.array([0, 0, 8, 0, 0, 0], np.float32).reshape(1, 1, 1, 6)
    # kernel of a two voxels wide triangle at half-voxel offsets: 1/8, 3/8, 3/8, 1/8
    np.testing.assert_allclose(resample_image(image, (1, 1, 3))[0, 0, 0], [1, 3, 0])


def test_doubling_by_hand() -> None:
    image = np.array([0, 4], np.float32).reshape(1, 2, 1, 1)
    np.testing.assert_allclose(resample_image(image, (4, 1, 1))[0, :, 0, 0], [0, 1, 3, 4])


@given(st.lists(st.integers(1, 12), min_size=6, max_size=6), st.floats(-1e3, 1e3, width=32))
def test_a_constant_stays_constant(sizes: list[int], value: float) -> None:
    image = np.full((1, *sizes[:3]), value, np.float32)
    np.testing.assert_allclose(resample_image(image, sizes[3:]), value, rtol=1e-5)


@given(st.lists(st.integers(1, 12), min_size=6, max_size=6))
def test_values_stay_between_the_extremes(sizes: list[int]) -> None:
    image = np.random.default_rng(0).uniform(0, 1, (2, *sizes[:3])).astype(np.float32)
    result = resample_image(image, sizes[3:])
    assert result.min() >= image.min() - 1e-5
    assert result.max() <= image.max() + 1e-5


def test_noise_finer_than_the_new_voxel_fades() -> None:
    stripes = np.tile(np.array([0, 1], np.float32), 60).reshape(1, 1, 1, 120)
    coarse = resample_image(stripes, (1, 1, 35))[0, 0, 0, 2:-2]
    assert np.abs(coarse - 0.5).max() < 0.05  # without smoothing, aliases would swing from 0 to 1


def blob(shape: tuple[int, int, int], centre: tuple[float, float, float]) -> np.ndarray:
    grid = np.meshgrid(*[np.arange(size) for size in shape], indexing="ij")
    return np.exp(-sum((axis - middle) ** 2 for axis, middle in zip(grid, centre, strict=True)) / 18).astype(np.float32)


@pytest.mark.parametrize("shape", [(60, 50, 40), (20, 25, 23), (41, 17, 90), (13, 40, 33)])
def test_there_and_back_moves_nothing(shape: tuple[int, int, int]) -> None:
    original = blob((40, 40, 40), (17.3, 21.8, 19.1))
    there = resample_image(original[None], shape)
    # The centre lies where the edges-stay-put rule says …
    expected = [(centre + 0.5) * new / 40 - 0.5 for centre, new in zip(ndimage.center_of_mass(original), shape, strict=True)]
    np.testing.assert_allclose(ndimage.center_of_mass(there[0]), expected, atol=0.05)
    # … and comes back to where it was.
    back = resample_to_shape(there, (40, 40, 40))[0]
    np.testing.assert_allclose(ndimage.center_of_mass(back), ndimage.center_of_mass(original), atol=0.05)


@pytest.mark.parametrize("shape", [(33, 20, 18), (7, 9, 11), (15, 20, 9), (15, 12, 12)])
@pytest.mark.parametrize("slab", [1, 4, 100])
def test_slabs_change_not_one_bit(shape: tuple[int, int, int], slab: int) -> None:
    maps = np.random.default_rng(0).random((3, 15, 12, 12), np.float32)
    expected = resample_to_shape(maps, shape)
    parts = list(resampled_parts(maps, shape, slab_slices=slab))
    assert [index for (z, _, _), _ in parts for index in range(z.start, z.stop)] == list(range(shape[0]))
    assert all(y == slice(0, shape[1]) and x == slice(0, shape[2]) for (_, y, x), _ in parts)
    assert max(values.shape[1] for _, values in parts) <= slab
    np.testing.assert_array_equal(resample_to_shape(maps, shape, slab_slices=slab), expected)


@given(
    hnp.arrays(np.float16, (2, 6, 7, 5), elements=st.sampled_from([0.0, 0.0, 0.0, 0.0, 0.25, 0.75]), fill=st.just(0.0)),
    st.tuples(st.integers(1, 12), st.sampled_from([3, 7, 13]), st.sampled_from([2, 5, 9])),
    st.integers(1, 8),
    st.sampled_from([0.1, 0.3, 0.9]),
)
def test_only_what_is_too_small_to_matter_is_left_out(maps: np.ndarray, shape: tuple[int, int, int], slab: int, least: float) -> None:
    whole = resample_to_shape(maps, shape)
    left = np.ones(shape, bool)
    for part, values in resampled_parts(maps, shape, slab_slices=slab, least=least):
        np.testing.assert_array_equal(values, whole[:, *part])
        left[part] = False
    assert (whole[:, left] < least).all()


def test_what_is_far_from_anything_large_is_left_out() -> None:
    maps = np.zeros((1, 40, 40, 40), np.float32)
    maps[0, 20, 5, 30] = 1
    parts = list(resampled_parts(maps, (80, 80, 80), least=0.1, slab_slices=4))
    assert sum(values.size for _, values in parts) < 1000


def test_half_precision_maps_are_taken() -> None:
    maps = np.random.default_rng(0).random((2, 4, 5, 6)).astype(np.float16)
    result = resample_to_shape(maps, (8, 10, 12))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, resample_to_shape(maps.astype(np.float32), (8, 10, 12)))


def test_same_size_returns_the_values_in_fresh_memory() -> None:
    image = np.random.default_rng(0).random((1, 3, 4, 5), np.float32)
    result = resample_image(image, (3, 4, 5))
    np.testing.assert_array_equal(result, image)
    assert not np.shares_memory(result, image)
    codes = np.ones((3, 4, 5), np.uint8)
    assert not np.shares_memory(resample_labels(codes, (3, 4, 5)), codes)


def test_labels_have_no_new_codes_and_keep_their_place() -> None:
    codes = np.zeros((30, 30, 30), np.uint8)
    codes[5:15, 8:20, 10:25] = 3
    codes[15:25, 8:20, 10:25] = 7
    result = resample_labels(codes, (60, 45, 20))
    assert set(np.unique(result)) == {0, 3, 7}
    for code in (3, 7):
        box = ndimage.find_objects((result == code).astype(int))[0]
        original = ndimage.find_objects((codes == code).astype(int))[0]
        for new, old, factor in zip(box, original, (2, 1.5, 2 / 3), strict=True):
            assert abs(new.start - old.start * factor) <= 0.5
            assert abs(new.stop - old.stop * factor) <= 0.5


def test_thin_sheets_survive_upsampling_without_steps() -> None:
    z, y, x = np.meshgrid(np.arange(20), np.arange(20), np.arange(20), indexing="ij")
    sheet = (np.abs(z - 0.35 * x - 0.3 * y - 2) < 0.7).astype(np.uint8)
    fine = resample_labels(sheet, (50, 50, 50))
    assert ndimage.label(fine, np.ones((3, 3, 3)))[1] == 1
    assert fine.mean() == pytest.approx(sheet.mean(), rel=0.1)


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.3, 2.0])
def test_a_ball_keeps_its_volume(factor: float) -> None:
    grid = np.meshgrid(*[np.arange(40) - 19.2] * 3, indexing="ij")
    ball = (sum(axis**2 for axis in grid) < 12**2).astype(np.uint8)
    result = resample_labels(ball, (round(40 * factor),) * 3)
    assert result.mean() == pytest.approx(ball.mean(), rel=0.05)  # ties go to the class


def test_a_class_wins_a_tie_with_background_and_the_lower_code_one_among_classes() -> None:
    codes = np.array([0, 1, 2, 1], np.uint8).reshape(1, 1, 4)
    np.testing.assert_array_equal(resample_labels(codes, (1, 1, 2)).ravel(), [1, 1])


def test_empty_labels_stay_empty() -> None:
    assert not resample_labels(np.zeros((4, 4, 4), np.uint8), (7, 3, 4)).any()
