"""Nyúl's standard scale, by hand and against TorchIO."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crgan.preprocessing.landmarks import PERCENTILES, find_landmarks, fit_landmarks, standardise


def scan(seed: int, *, scale: float = 1.0, shape: tuple[int, int, int] = (12, 14, 16)) -> tuple[np.ndarray, np.ndarray]:
    """Three tissues and noise on an arbitrary scale, 0 outside."""
    random = np.random.default_rng(seed)
    image = random.choice([100.0, 200.0, 320.0], shape, p=[0.2, 0.5, 0.3]) + random.normal(0, 15, shape)
    foreground = np.zeros(shape, bool)
    foreground[2:-2, 2:-2, 2:-2] = True
    return np.where(foreground, scale * image, 0).astype(np.float32), foreground


def test_landmarks_by_hand() -> None:
    assert PERCENTILES == (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99)
    found = find_landmarks(np.arange(101.0))
    assert found is not None
    np.testing.assert_allclose(found, PERCENTILES)
    # Scaled to 0 … 100 the first landmarks are 100 * (p - 1) / 98; the second image's are those of p²: averages of both.
    squares = find_landmarks(np.arange(101.0) ** 2)
    assert squares is not None
    fitted = fit_landmarks([found, squares])
    p = np.array(PERCENTILES)
    np.testing.assert_allclose(fitted, 50 * (p - 1) / 98 + 50 * (p**2 - 1) / (99**2 - 1))


def test_images_of_any_scale_and_offset_become_one() -> None:
    image, foreground = scan(0)
    landmarks = fit_landmarks([own for seed in range(3) if (own := find_landmarks(scan(seed)[0][scan(seed)[1]])) is not None])
    assert landmarks is not None
    other = np.where(foreground, 7 * image + 400, 0).astype(np.float32)
    np.testing.assert_allclose(standardise(other, foreground, landmarks), standardise(image, foreground, landmarks), atol=2e-3)
    assert (standardise(image, foreground, landmarks)[~foreground] == 0).all()


def test_agrees_with_torchio(tmp_path: Path) -> None:
    """Oracle: the landmarks within a millionth, the images within 1e-3 of a scale that goes from 0 to 100."""
    torchio = pytest.importorskip("torchio")
    scans = [scan(seed, scale=1 + seed) for seed in range(4)]
    paths = []
    for number, (image, _) in enumerate(scans):
        paths.append(tmp_path / f"{number}.nii.gz")
        nib.save(nib.Nifti1Image(image, np.eye(4)), paths[-1])
    expected = torchio.HistogramStandardization.train(paths, masking_function=lambda tensor: tensor.numpy() > 0, progress=False)
    mine = fit_landmarks([own for image, inside in scans if (own := find_landmarks(image[inside])) is not None])
    assert mine is not None
    # TorchIO also keeps the quartiles, which neither it nor the method uses.
    np.testing.assert_allclose(mine, np.delete(expected, [3, 9]), rtol=1e-6, atol=1e-5)

    image, inside = scan(9, scale=12)
    subject = torchio.Subject(
        t1=torchio.ScalarImage(tensor=torch.from_numpy(image)[None]), mask=torchio.LabelMap(tensor=torch.from_numpy(inside)[None])
    )
    after = torchio.HistogramStandardization({"t1": expected}, masking_method="mask")(subject)["t1"].data[0].numpy()
    np.testing.assert_allclose(standardise(image, inside, mine)[inside], after[inside], atol=1e-3)


@given(st.lists(st.integers(0, 6), min_size=1, max_size=60))
def test_the_order_of_intensities_is_kept(values: list[int]) -> None:
    """Also where landmarks coincide, as in 8-bit images."""
    image = np.array(values, np.float32).reshape(1, 1, -1)
    result = standardise(image, np.ones(image.shape, bool), tuple(np.linspace(0, 100, 11)))
    assert np.isfinite(result).all()
    order = image.ravel().argsort(kind="stable")
    assert (np.diff(result.ravel()[order]) >= -1e-4).all()
    for value in set(values):
        assert np.ptp(result[image == value]) == 0


def test_nothing_to_learn_from_and_nothing_to_bring_over() -> None:
    image, foreground = scan(0)
    assert find_landmarks(np.empty(0)) is None
    assert find_landmarks(np.full(20, 3.0)) is None
    assert fit_landmarks([]) is None
    landmarks = tuple(np.linspace(0, 100, 11))
    np.testing.assert_array_equal(standardise(image, np.zeros_like(foreground), landmarks), image)
    constant = np.full((1, 4, 4), 3, np.uint8)
    np.testing.assert_array_equal(standardise(constant, np.ones(constant.shape, bool), landmarks), constant)


def test_beyond_the_landmarks_the_line_goes_on() -> None:
    image = np.arange(1001, dtype=np.float32).reshape(1, 7, 143)
    result = standardise(image, np.ones(image.shape, bool), tuple(np.asarray(PERCENTILES, float)))
    np.testing.assert_allclose(result, image / 10, atol=1e-3)
