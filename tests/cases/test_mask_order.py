from __future__ import annotations

import numpy as np
import pytest

from crgan.cases.mask_order import masks_run_backwards


def body_with_organ(*, noise: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """A body in air whose organ moves and shrinks from slice to slice; ``(I, J, K)``."""
    random = np.random.default_rng(0)
    i, j, k = np.indices((64, 64, 20))
    body = (i - 32) ** 2 + (j - 32) ** 2 < 29**2
    organ = ((i - 14 - k) ** 2 + (j - 26) ** 2 < (12 - 0.4 * k) ** 2) & body & (k > 1) & (k < 18)
    image = np.where(organ, 140, np.where(body, -80, -1000)) + random.normal(0, noise, body.shape)
    return image, organ


def test_a_reversed_mask_is_caught_and_a_right_one_is_not() -> None:
    image, organ = body_with_organ()
    assert not masks_run_backwards(image, organ)
    assert masks_run_backwards(image, organ[..., ::-1])
    assert masks_run_backwards(image[..., ::-1], organ)
    assert masks_run_backwards(image.astype(np.int16), organ[..., ::-1].astype(np.uint8) * 255)


def test_a_mask_that_falls_on_empty_background_when_reversed_is_no_alarm() -> None:
    image = np.zeros((40, 40, 12))
    i, j, k = np.indices(image.shape)
    mask = ((i - 20) ** 2 + (j - 20) ** 2 < 80) & (k < 6)
    image[mask] = np.random.default_rng(0).normal(500, 200, int(mask.sum()))
    assert not masks_run_backwards(image, mask)


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_no_alarm(seed: int) -> None:
    random = np.random.default_rng(seed)
    mask = body_with_organ()[1]
    assert not masks_run_backwards(random.normal(0, 1, mask.shape), mask)


def test_masks_that_say_too_little_are_no_alarm() -> None:
    image, organ = body_with_organ()
    assert not masks_run_backwards(image, np.zeros_like(organ))
    few = organ[..., ::-1].copy()
    few[..., 6:] = False
    assert not masks_run_backwards(image, few)
    assert not masks_run_backwards(image[:3, :3, :], np.ones((3, 3, 20), bool))
    assert not masks_run_backwards(image, np.ones_like(organ))  # no outline, the same both ways
