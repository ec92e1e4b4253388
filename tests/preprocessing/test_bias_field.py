"""N4: a known field goes away, and what has no field stays as it is."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - its own name for itself

from crgan.preprocessing.bias_field import correct_bias_field


def two_tissues(shape: tuple[int, int, int], *, field: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A ball of two tissues on a background of -5: the image, the ball and the inner tissue."""
    grid = np.indices(shape) - (np.array(shape).reshape(3, 1, 1, 1) - 1) / 2
    distance = np.sqrt(((grid / np.maximum(np.array(shape).reshape(3, 1, 1, 1) / 2, 1)) ** 2).sum(0))
    ball, core = distance < 0.9, distance < 0.5
    image = np.where(core, 200.0, 100.0) + np.random.default_rng(0).normal(0, 2, shape)
    if field:
        image *= np.exp(0.5 * np.linspace(-1, 1, shape[2]) + 0.2 * np.linspace(-1, 1, shape[1])[:, None])
    return np.where(ball, image, -5).astype(np.float32), ball, core


def variation(image: np.ndarray, where: np.ndarray) -> float:
    return float(image[where].std() / image[where].mean())


@pytest.mark.parametrize("shape", [(24, 40, 40), (1, 48, 48)])
def test_a_field_is_taken_away(shape: tuple[int, int, int]) -> None:
    image, ball, core = two_tissues(shape, field=True)
    corrected = correct_bias_field(image, ball, shrink=2)
    assert corrected.dtype == np.float32
    for tissue in (core, ball & ~core):
        assert variation(image, tissue) > 0.12
        assert variation(corrected, tissue) < 0.35 * variation(image, tissue)
    assert (corrected[~ball] == -5).all()
    np.testing.assert_array_equal(image, two_tissues(shape, field=True)[0])


def test_agrees_with_n4_at_full_resolution() -> None:
    """Oracle: SimpleITK's filter as its manual uses it, without any of our shrinking; the fields agree within 3 %."""
    image, ball, _ = two_tissues((16, 32, 32), field=True)
    oracle = sitk.GetArrayFromImage(
        sitk.N4BiasFieldCorrection(sitk.GetImageFromArray(image), sitk.GetImageFromArray(ball.astype(np.uint8)))
    )
    ratio = correct_bias_field(image, ball, shrink=2)[ball] / oracle[ball]
    np.testing.assert_allclose(ratio / np.median(ratio), 1, atol=0.03)
    np.testing.assert_allclose(correct_bias_field(image, ball, shrink=1)[ball], oracle[ball], rtol=1e-4)


@pytest.mark.parametrize("lowest", [0.0, -300.0])
def test_intensities_that_are_not_positive_keep_their_scale(lowest: float) -> None:
    image, ball, _ = two_tissues((1, 32, 32), field=True)
    shifted = np.where(ball, image - image[ball].min() + np.float32(lowest), -999).astype(np.float32)
    corrected = correct_bias_field(shifted, ball, shrink=2)
    assert np.isfinite(corrected).all()
    assert corrected[ball].min() >= lowest - 0.02 * np.ptp(shifted[ball])
    assert (corrected[~ball] == -999).all()


@pytest.mark.parametrize(
    ("image", "foreground"),
    [
        (np.full((4, 8, 8), 7.0), np.ones((4, 8, 8), bool)),
        (np.random.default_rng(0).random((4, 8, 8)), np.zeros((4, 8, 8), bool)),
        (np.random.default_rng(0).random((1, 1, 8)), np.ones((1, 1, 8), bool)),
        (np.random.default_rng(0).random((16, 16, 16)), np.indices((16, 16, 16)).sum(0) == 1),  # between the coarse grid's voxels
    ],
    ids=["constant", "no foreground", "a line", "a speck"],
)
def test_what_has_no_field_stays(image: np.ndarray, foreground: np.ndarray) -> None:
    np.testing.assert_array_equal(correct_bias_field(image, foreground, shrink=2), image.astype(np.float32))


@pytest.mark.parametrize("shape", [(2, 5, 3), (3, 9, 1), (1, 3, 3), (2, 2, 2)])
def test_tiny_images_do_no_harm(shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).uniform(50, 60, shape)
    corrected = correct_bias_field(image, np.ones(shape, bool))
    assert corrected.shape == shape
    assert np.isfinite(corrected).all()
