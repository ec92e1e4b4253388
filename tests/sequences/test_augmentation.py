"""Changes by hand, and what drawing them keeps to."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from crgan.config import AugmentationSettings, Axis, Plane
from crgan.sequences.augmentation import Change, draw_change, reach, recolour, sample, sampling_points
from crgan.sequences.batch import Share
from crgan.sequences.planes import as_slice_index

NOTHING = AugmentationSettings(rotation_degrees=0, scale=0, stretch=0, contrast=0, brightness=0, noise=0)

ALL = slice(None)


def change(*rows: tuple[float, float], contrast: float = 1, brightness: float = 0, noise: float = 0) -> Change:
    first, second = rows or ((1, 0), (0, 1))
    return Change(matrix=(first, second), contrast=contrast, brightness=brightness, noise=noise)


QUARTER_TURN = change((0, -1), (1, 0))


def block(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def drawn(settings: AugmentationSettings, count: int = 300) -> list[Change]:
    random = np.random.default_rng(0)
    return [draw_change(settings, random, "axial") for _ in range(count)]


def test_all_off_changes_nothing() -> None:
    assert draw_change(NOTHING, np.random.default_rng(0), "axial") == change()


def test_same_numbers_same_change() -> None:
    settings = AugmentationSettings(stretch=0.2, contrast=0.2, brightness=0.2)
    assert drawn(settings) == drawn(settings)
    assert len({one.matrix for one in drawn(settings)}) == 300


def test_rotations_keep_lengths_and_stay_within_their_limit() -> None:
    angles = []
    for one in drawn(NOTHING.model_copy(update={"rotation_degrees": 10.0})):
        matrix = np.array(one.matrix)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(2), atol=1e-12)
        assert np.linalg.det(matrix) == pytest.approx(1)
        angles.append(np.degrees(np.arctan2(matrix[1, 0], matrix[0, 0])))
    assert -10 <= min(angles) < -9
    assert 9 < max(angles) <= 10


def test_scales_reach_from_one_less_the_setting_to_its_inverse() -> None:
    sizes = []
    for one in drawn(NOTHING.model_copy(update={"scale": 0.2})):
        (a, b), (c, d) = one.matrix
        assert (b, c) == (0, 0)
        assert a == d
        sizes.append(a)
    assert 0.8 <= min(sizes) < 0.82
    assert 1.22 < max(sizes) <= 1.25
    assert 0.45 < np.mean(np.array(sizes) < 1) < 0.55  # as often smaller as larger


def test_stretching_keeps_the_area() -> None:
    ratios = []
    for one in drawn(NOTHING.model_copy(update={"stretch": 0.19})):
        (a, b), (c, d) = one.matrix
        assert (b, c) == (0, 0)
        assert a * d == pytest.approx(1)
        ratios.append(a / d)
    assert 0.81 <= min(ratios) < 0.82
    assert 1.22 < max(ratios) <= 1 / 0.81


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize(("axis", "moved"), [("z", (1, 0, 0)), ("y", (0, 1, 0)), ("x", (0, 0, 1))])
def test_half_of_the_crops_are_mirrored_along_a_named_axis_and_along_no_other(
    plane: Plane, axis: Axis, moved: tuple[int, int, int]
) -> None:
    random = np.random.default_rng(0)
    settings = NOTHING.model_copy(update={"mirror": (axis,)})
    changes = [draw_change(settings, random, plane) for _ in range(200)]
    slices, rows, columns = as_slice_index(np.array(moved), plane)
    mirrored = Change(
        matrix=((-1 if rows else 1, 0), (0, -1 if columns else 1)), contrast=1, brightness=0, noise=0, backwards=bool(slices)
    )
    assert {*changes} == {change(), mirrored}
    assert 80 < changes.count(mirrored) < 120


def test_axes_are_mirrored_independently_and_then_turned() -> None:
    kinds = set()
    for one in drawn(NOTHING.model_copy(update={"mirror": ("x", "y", "z"), "rotation_degrees": 10.0})):
        matrix = np.array(one.matrix)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(2), atol=1e-12)
        kinds.add((one.backwards, *np.sign(np.diagonal(matrix))))
        assert np.sign(np.linalg.det(matrix)) == np.prod(np.sign(np.diagonal(matrix)))
    assert len(kinds) == 8


def test_a_mirror_image_is_the_image_backwards() -> None:
    image = block(3, 2, 8, 10)
    found = sample(image, sampling_points(change((1, 0), (0, -1)), (8, 10), (3.5, 4.5)))
    torch.testing.assert_close(found, image.flip(3), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "field", "low", "high"),
    [("contrast", "contrast", 0.7, 1.3), ("brightness", "brightness", -0.3, 0.3), ("noise", "noise", 0, 0.3)],
)
def test_colours_stay_within_their_limits(name: str, field: str, low: float, high: float) -> None:
    values = [getattr(one, field) for one in drawn(NOTHING.model_copy(update={name: 0.3}))]
    assert low <= min(values) < low + 0.01
    assert high - 0.01 < max(values) <= high


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (change(), (3.0, 5.0)),
        (QUARTER_TURN, (5.0, 3.0)),
        (change((2, 0), (0, 0.5)), (6.0, 2.5)),
        (change((sqrt(0.5), -sqrt(0.5)), (sqrt(0.5), sqrt(0.5))), (8 * sqrt(0.5), 8 * sqrt(0.5))),  # the corner of a turned square
    ],
)
def test_reach_by_hand(one: Change, expected: tuple[float, float]) -> None:
    assert reach(one, (6, 10)) == pytest.approx(expected)


def test_no_point_lies_farther_than_the_reach() -> None:
    for one in drawn(AugmentationSettings(rotation_degrees=180, scale=0.3, stretch=0.2), 50):
        points = sampling_points(one, (6, 10), (0, 0))
        far = reach(one, (6, 10))
        outermost = points.abs().amax((0, 1))
        assert outermost[0] < far[0]
        assert outermost[1] < far[1]


def test_points_by_hand() -> None:
    points = sampling_points(change(), (2, 3), (10.5, 20))
    assert points.tolist() == [[[10, 19], [10, 20], [10, 21]], [[11, 19], [11, 20], [11, 21]]]
    # Rows of the crop run along the image's columns, columns of the crop against its rows.
    points = sampling_points(QUARTER_TURN, (2, 3), (10, 20.5))
    assert points.tolist() == [[[11, 20], [10, 20], [9, 20]], [[11, 21], [10, 21], [9, 21]]]


@pytest.mark.parametrize("nearest", [False, True])
def test_without_a_change_the_crop_is_the_image(nearest: bool) -> None:
    image = block(3, 2, 9, 11)
    found = sample(image, sampling_points(change(), (4, 5), (3.5, 6)), nearest=nearest)
    torch.testing.assert_close(found, image[:, :, 2:6, 4:9], rtol=0, atol=1e-5)


@pytest.mark.parametrize("nearest", [False, True])
def test_a_quarter_turn_is_a_quarter_turn(nearest: bool) -> None:
    image = block(3, 2, 8, 8)
    found = sample(image, sampling_points(QUARTER_TURN, (8, 8), (3.5, 3.5)), nearest=nearest)
    # Crop (r, c) reads image (7 - c, r).
    torch.testing.assert_close(found, image.flip(2).transpose(2, 3), rtol=0, atol=1e-5)


@pytest.mark.parametrize("number", range(5))
def test_is_linear_interpolation_with_the_edge_going_on(number: int) -> None:
    one = drawn(AugmentationSettings(rotation_degrees=40, scale=0.3, stretch=0.2), 5)[number]
    image = block(2, 1, 9, 7)
    points = sampling_points(one, (12, 12), (4.2, 2.9))
    found = sample(image, points)
    for t in range(2):
        expected = ndimage.map_coordinates(image[t, 0].double().numpy(), points.double().movedim(-1, 0).numpy(), order=1, mode="nearest")
        np.testing.assert_allclose(found[t, 0], expected, atol=1e-5)


def test_contrast_and_brightness_by_hand() -> None:
    images = block(2, 3, 2, 4, 4)
    changes = [change(contrast=1.5, brightness=-2), change()]
    found = recolour(images, changes, torch.Generator().manual_seed(0), share=Share(len(images), ALL))
    torch.testing.assert_close(found[0], 1.5 * images[0] - 2)
    torch.testing.assert_close(found[1], images[1])


def test_noise_has_its_strength_and_is_another_one_in_every_pixel_slice_and_modality() -> None:
    images = torch.zeros(3, 4, 2, 32, 32)
    changes = [change(noise=0.5), change(), change(noise=0.5)]
    found = recolour(images, changes, torch.Generator().manual_seed(0), share=Share(len(images), ALL))
    assert not found[1].any()
    grains = found[[0, 2]].flatten(0, 2).flatten(1)
    assert grains.std() == pytest.approx(0.5, rel=0.03)
    assert abs(grains.mean()) < 0.02
    correlation = torch.corrcoef(grains)
    assert (correlation - torch.eye(len(grains))).abs().max() < 0.15
    assert torch.equal(found, recolour(images, changes, torch.Generator().manual_seed(0), share=Share(len(images), ALL)))
    assert not torch.equal(found, recolour(images, changes, torch.Generator().manual_seed(1), share=Share(len(images), ALL)))


def test_sizes_are_drawn_evenly_on_a_logarithmic_scale() -> None:
    sizes = sorted(one.matrix[0][0] for one in drawn(NOTHING.model_copy(update={"scale": 0.5}), 2000))
    assert sizes[500] == pytest.approx(exp(-np.log(2) / 2), rel=0.03)
    assert sizes[1500] == pytest.approx(exp(np.log(2) / 2), rel=0.03)
