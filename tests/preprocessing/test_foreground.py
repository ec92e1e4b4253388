"""The foreground rule: a modal value that holds a fifth of the voxels is background, whatever the value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crgan.preprocessing.foreground import bounding_box, foreground_mask


def brute_force(image: np.ndarray) -> np.ndarray:
    """The rule word for word, over all voxels."""
    values, counts = np.unique(image, return_counts=True)
    if counts.max() < 0.2 * image.size:
        return np.ones(image.shape, bool)
    same = image == values[counts.argmax()]
    axis = image.shape.index(max(image.shape))
    beside = 0
    for place in np.argwhere(same):
        around = [place + step * np.eye(image.ndim, dtype=int)[axis] for step in (-1, 1)]
        beside += any(not 0 <= other[axis] < image.shape[axis] or same[tuple(other)] for other in around)
    if beside < 0.99 * same.sum():
        return np.ones(image.shape, bool)
    low, high = np.percentile(image, (0.5, 99.5))
    return np.abs(image.astype(np.float64) - float(values[counts.argmax()])) > 1e-3 * (high - low)


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=3, max_dims=3, max_side=6), elements=st.sampled_from([-3.5, 0.0, 1.0, 7.0, 7.001])))
def test_is_the_rule_word_for_word(image: np.ndarray) -> None:
    np.testing.assert_array_equal(foreground_mask(image), brute_force(image))


@pytest.mark.parametrize("background", [0.0, -4.755, 1000.0])
def test_finds_a_background_of_any_value(background: float) -> None:
    image = np.full((6, 8, 10), background, np.float32)
    image[2:4, 3:6, 1:9] = background + np.random.default_rng(0).uniform(1, 5, (2, 3, 8)).astype(np.float32)
    expected = np.zeros(image.shape, bool)
    expected[2:4, 3:6, 1:9] = True
    np.testing.assert_array_equal(foreground_mask(image), expected)


@pytest.mark.parametrize(("held", "is_background"), [(19, False), (20, True), (21, True)])
def test_the_mode_must_hold_a_fifth(held: int, is_background: bool) -> None:
    image = np.arange(1, 101, dtype=np.float32)
    image[:held] = 0
    mask = foreground_mask(image.reshape(4, 5, 5))
    assert mask.sum() == (100 - held if is_background else 100)


def test_voxels_within_a_thousandth_of_the_range_are_background() -> None:
    image = np.zeros((10, 10, 10), np.float32)
    image[6:] = 100  # the range is 100, so that 0.1 is the limit
    image[0, 0, :4] = (0.05, 0.099, 0.101, -0.2)
    mask = foreground_mask(image)
    np.testing.assert_array_equal(mask[0, 0, :4], [False, False, True, True])
    assert mask[6:].all()
    assert not mask[1:6].any()


def test_without_a_mode_the_whole_image_is_foreground() -> None:
    assert foreground_mask(np.random.default_rng(0).normal(size=(5, 6, 7))).all()


def test_a_constant_image_has_no_foreground() -> None:
    assert not foreground_mask(np.full((3, 4, 5), 12.0, np.float32)).any()


def test_of_two_equally_frequent_values_the_lower_is_background() -> None:
    image = np.array([5, 5, 5, 2, 2, 2], np.int16).reshape(1, 2, 3)
    np.testing.assert_array_equal(foreground_mask(image), image == 5)


def test_a_grey_level_scattered_over_a_picture_is_no_background() -> None:
    picture = np.random.default_rng(0).integers(10, 13, (1, 40, 40)).astype(np.uint8)
    picture[0, 5:15, 5:15] = 90
    assert (picture == np.median(picture)).mean() > 0.2
    assert foreground_mask(picture).all()


@pytest.mark.parametrize(("alone", "is_background"), [(1, True), (2, False)])
def test_one_voxel_in_a_hundred_of_the_background_may_stand_alone(alone: int, is_background: bool) -> None:
    picture = np.arange(1, 301, dtype=np.float32).reshape(1, 10, 30)
    picture[0, :5, :20] = 0  # a hundred voxels side by side
    picture[0, 7, 10 : 10 + 5 * alone : 5] = 0
    assert foreground_mask(picture).all() != is_background


def test_what_lies_beyond_the_border_is_background_too() -> None:
    image = np.zeros((6, 6, 6), np.float32)
    image[:, :, 1:5] = 1 + np.random.default_rng(0).random((6, 6, 4), np.float32)
    np.testing.assert_array_equal(foreground_mask(image), image > 0)


def test_unsigned_integers_do_not_wrap_around() -> None:
    image = np.array([0, 0, 0, 1, 255, 0, 0, 0], np.uint8).reshape(1, 2, 4)
    np.testing.assert_array_equal(foreground_mask(image), image > 0)


def test_an_empty_image_has_an_empty_mask() -> None:
    assert foreground_mask(np.zeros((0, 3, 3))).shape == (0, 3, 3)


def test_large_images_follow_the_rule_too_and_repeat_it() -> None:
    generator = np.random.default_rng(3)
    image = generator.normal(50, 10, (64, 80, 80)).astype(np.float32)
    image[:, :16] = -2.5  # exactly a fifth, in a block that a regular sample could miss
    mask = foreground_mask(image)
    np.testing.assert_array_equal(mask, brute_force(image))
    np.testing.assert_array_equal(mask, foreground_mask(image.copy()))


@pytest.mark.parametrize(
    ("margin", "expected"),
    [
        (0, (slice(2, 4), slice(1, 2), slice(5, 9))),
        (1, (slice(1, 5), slice(0, 3), slice(4, 10))),
        (3, (slice(0, 6), slice(0, 5), slice(2, 10))),
    ],
)
def test_box_and_margin(margin: int, expected: tuple[slice, slice, slice]) -> None:
    mask = np.zeros((6, 7, 10), bool)
    mask[2, 1, 5] = mask[3, 1, 8] = True
    assert bounding_box(mask, margin) == expected


def test_box_of_an_empty_mask_is_everything() -> None:
    assert bounding_box(np.zeros((3, 4, 5), bool), 2) == (slice(0, 3), slice(0, 4), slice(0, 5))


@given(hnp.arrays(np.bool_, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5)).filter(lambda mask: mask.any()))
def test_box_is_the_smallest_that_holds_the_mask(mask: np.ndarray) -> None:
    box = bounding_box(mask)
    places = np.argwhere(mask)
    assert [part.start for part in box] == places.min(axis=0).tolist()
    assert [part.stop for part in box] == (places.max(axis=0) + 1).tolist()
