from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.path import Path as Polygon

from crgan.report.outlines import outline


def loops(path: str) -> list[np.ndarray]:
    """The corners (x, y) of each closed line, in half pixels."""
    found = []
    for x, y, steps in re.findall(r"M(-?\d+) (-?\d+)l([-\d ]*)z", path):
        moves = np.array([int(word) for word in steps.split()]).reshape(-1, 2)
        found.append(np.cumsum(np.concatenate([[[int(x), int(y)]], moves]), axis=0))
    return found


def test_single_pixel_is_a_diamond_around_its_centre() -> None:
    mask = np.zeros((4, 5), bool)
    mask[2, 3] = True
    (loop,) = loops(outline(mask))
    assert {tuple(corner) for corner in loop.tolist()} == {(7, 4), (8, 5), (7, 6), (6, 5)}  # its centre is at 3.5, 2.5


def test_empty_mask_has_no_outline() -> None:
    assert outline(np.zeros((4, 5), bool)) == ""


@given(arrays(bool, st.tuples(st.integers(1, 7), st.integers(1, 7))))
def test_outlines_hold_exactly_the_pixels_of_the_mask(mask: np.ndarray) -> None:
    drawn = loops(outline(mask))
    centres = np.stack(np.meshgrid(np.arange(mask.shape[1]), np.arange(mask.shape[0])), axis=-1).reshape(-1, 2) * 2 + 1
    # A pixel is inside if an odd number of lines goes around it.
    around = [Polygon(np.concatenate([loop, loop[:1]])).contains_points(centres) for loop in drawn]
    inside = np.sum(around, axis=0) if around else np.zeros(mask.size, int)
    assert (inside % 2 == 1).reshape(mask.shape).tolist() == mask.tolist()


@pytest.mark.parametrize("size", [3, 40])
def test_straight_lines_take_no_points(size: int) -> None:
    assert len(loops(outline(np.ones((size, size), bool)))[0]) == 8
