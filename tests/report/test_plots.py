from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from crgan.report.plots import draw_spread


def inked_columns(png: bytes) -> np.ndarray:
    """Where the plot is blue, as shares of its width."""
    picture = np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int)
    blue = (picture[..., 2] - picture[..., 0] > 60).any(axis=0)
    return np.flatnonzero(blue) / picture.shape[1]


def test_values_stand_where_they_belong() -> None:
    low, high = (inked_columns(draw_spread({"Dice": {"WT": [value] * 3}})) for value in (0.1, 0.9))
    assert low.max() < 0.3
    assert high.min() > 0.7


def test_panels_stand_beside_each_other_and_groups_below() -> None:
    both = draw_spread({"Dice": {"WT": [0.05]}, "FNR": {"WT": [0.95]}})
    columns = inked_columns(both)
    assert columns.min() < 0.3
    assert columns.max() > 0.8
    heights = [Image.open(BytesIO(draw_spread({"Dice": {str(i): [0.5] for i in range(n)}}))).height for n in (1, 5)]
    assert heights[1] > heights[0] + 100


def test_group_without_values_keeps_its_place() -> None:
    full, gap = (Image.open(BytesIO(draw_spread({"Dice": {"WT": [0.5], "ET": values}}))) for values in ([0.5], []))
    assert full.size == gap.size
    assert not np.array_equal(full, gap)
