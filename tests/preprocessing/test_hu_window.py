"""Hounsfield units outside the window become its ends."""

from __future__ import annotations

import numpy as np

from crgan.preprocessing.hu_window import clip_to_window


def test_clips_and_leaves_the_input_alone() -> None:
    image = np.array([[[-1024, -100, 0, 400, 3071]]], np.int16)
    result = clip_to_window(image, (-100, 400))
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, [[[-100, -100, 0, 400, 400]]])
    assert image.min() == -1024
