"""Equalised slices, by hand and against SimpleITK."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - its own name for itself

from crgan.preprocessing.equalisation import equalise_slices

Method = Literal["histogram", "clahe"]
METHODS = ("histogram", "clahe")


def test_a_value_becomes_its_share_of_the_slice() -> None:
    image = np.array([[[1, 1, 2, 4], [4, 8, 8, 8]]], np.float32)
    result = equalise_slices(image, np.ones(image.shape, bool), method="histogram")
    # Shares not above each value: 2/8, 3/8, 5/8, 8/8; the lowest brought to 0.
    np.testing.assert_allclose(result, [[[0, 0, 1 / 6, 0.5], [0.5, 1, 1, 1]]], atol=1e-3)


def test_any_distribution_becomes_uniform() -> None:
    image = np.random.default_rng(0).exponential(5, (2, 64, 64))
    for slice_ in equalise_slices(image, np.ones(image.shape, bool), method="histogram"):
        np.testing.assert_allclose(np.quantile(slice_, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.03)
        assert (slice_.min(), slice_.max()) == (0, 1)


@pytest.mark.parametrize("method", METHODS)
def test_slices_and_background_are_apart(method: Method) -> None:
    random = np.random.default_rng(0)
    image = random.normal(100, 20, (3, 40, 40))
    foreground = np.zeros(image.shape, bool)
    foreground[:, 5:30, 8:36] = True
    result = equalise_slices(np.where(foreground, image, -2000), foreground, method=method)
    assert (result[~foreground] == 0).all()
    assert 0 <= result.min() < result.max() <= 1
    brighter = image * np.array([1, 3, 1]).reshape(3, 1, 1)
    np.testing.assert_allclose(equalise_slices(np.where(foreground, brighter, 9e4), foreground, method=method), result, atol=0.02)
    (alone,) = equalise_slices(image[1:2], foreground[1:2], method=method)
    np.testing.assert_array_equal(alone, equalise_slices(image, foreground, method=method)[1])


def test_clahe_raises_local_contrast_within_limits() -> None:
    """Oracle: SimpleITK's adaptive equalisation ranks pixels alike."""
    random = np.random.default_rng(1)
    ramp = np.linspace(0, 300, 96) + random.normal(0, 3, (96, 96))
    ramp[40:56, 40:56] += 12  # faint, on a strong ramp
    result = equalise_slices(ramp[None], np.ones((1, 96, 96), bool), method="clahe")[0]
    columns = slice(40, 56)
    scaled = (ramp - ramp.min()) / np.ptp(ramp)

    def contrast(picture: np.ndarray) -> float:
        return float(picture[40:56, columns].mean() - picture[10:26, columns].mean())

    assert contrast(result) > 1.5 * contrast(scaled)
    oracle = sitk.GetArrayFromImage(sitk.AdaptiveHistogramEqualization(sitk.GetImageFromArray(scaled), [12, 12], alpha=0.3, beta=0.3))
    assert np.corrcoef(result.ravel(), oracle.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(1, 1, 5), (2, 3, 3), (1, 7, 1)])
def test_tiny_constant_and_empty_slices(method: Method, shape: tuple[int, int, int]) -> None:
    image = np.random.default_rng(0).random(shape)
    everything = np.ones(shape, bool)
    assert np.isfinite(equalise_slices(image, everything, method=method)).all()
    assert not equalise_slices(np.full(shape, 40.0), everything, method=method).any()
    assert not equalise_slices(image, ~everything, method=method).any()
