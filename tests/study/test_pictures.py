from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageColor

from crgan.report.overlays import Overlay, draw_overlays
from crgan.report.palette import FALSE_ALARM, MISSED
from crgan.study.pictures import _smaller


def test_colours_of_which_there_is_little_are_kept() -> None:
    """A grey slice, nearly all of it falsely marked, four missed voxels, and the legend."""
    rows, columns = np.mgrid[:256, :256]
    image = np.hypot(rows - 128, columns - 128) + np.random.default_rng(0).normal(0, 6, (256, 256))
    truth = np.zeros((1, 1, 256, 256), bool)
    truth[0, 0, 100:140, 100:140] = True
    mask = np.ones_like(truth)
    mask[0, 0, 120:122, 120:122] = False
    drawn = draw_overlays([Overlay(name="p", image=image[None], truth=truth, generator=mask, spacing_mm=(1, 1, 1))], ["x"])
    small = _smaller(drawn)
    assert len(small) < 0.7 * len(drawn)
    pixels = np.asarray(Image.open(BytesIO(small)).convert("RGB")).astype(int)
    for colour in (MISSED, FALSE_ALARM):
        assert (np.abs(pixels - ImageColor.getrgb(colour)).sum(axis=-1) < 12).any()
