"""Windows cover what they have to, by hand and for anything hypothesis thinks of."""

from __future__ import annotations

from itertools import pairwise
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crgan.sweep.windows import Window, attending_windows, covering_windows, slice_ranges, tile_starts

SIDES = st.integers(1, 12)
LENGTHS = st.integers(1, 6)
SHAPES = st.tuples(SIDES, SIDES, SIDES)
TILES = st.tuples(SIDES, SIDES)


def seen(windows: list[Window], shape: tuple[int, int, int], tile: tuple[int, int]) -> np.ndarray:
    """How often each voxel is looked at."""
    counts = np.zeros(shape, int)
    for window in windows:
        counts[
            window.start : window.stop,
            max(0, window.row) : max(0, window.row + tile[0]),
            max(0, window.column) : max(0, window.column + tile[1]),
        ] += 1
    return counts


@pytest.mark.parametrize(
    ("count", "length", "expected"),
    [
        (10, 4, [(0, 4), (3, 7), (6, 10)]),  # one slice shared
        (11, 4, [(0, 4), (2, 6), (5, 9), (7, 11)]),  # a fourth is needed, so that more is shared; none is short
        (6, 5, [(0, 5), (1, 6)]),
        (4, 4, [(0, 4)]),
        (3, 4, [(0, 3)]),
        (1, 4, [(0, 1)]),
        (3, 1, [(0, 1), (1, 2), (2, 3)]),  # nothing to share
        (4, 2, [(0, 2), (1, 3), (2, 4)]),
    ],
)
def test_slices_by_hand(count: int, length: int, expected: list[tuple[int, int]]) -> None:
    assert slice_ranges(count, length) == expected


@given(st.integers(1, 60), st.integers(1, 12))
def test_ranges_cover_all_slices_share_some_and_are_as_few_and_as_long_as_can_be(count: int, length: int) -> None:
    ranges = slice_ranges(count, length)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == count
    assert all(stop - start == min(length, count) for start, stop in ranges)
    assert all(start < later <= (stop - 1 if length > 1 else stop) for (start, stop), (later, _) in pairwise(ranges))
    assert len(ranges) == 1 + max(0, ceil((count - length) / max(1, length - 1)))


@pytest.mark.parametrize(
    ("low", "high", "side", "expected"),
    [
        (0, 10, 10, [0]),
        (0, 8, 10, [-1]),  # one more voxel on either side
        (0, 7, 10, [-1]),  # one before, two after
        (5, 7, 4, [4]),
        (0, 16, 10, [0, 6]),
        (0, 17, 10, [0, 7]),
        (0, 18, 10, [0, 4, 8]),  # two would share less than a quarter
        (3, 19, 10, [3, 9]),
    ],
)
def test_tiles_by_hand(low: int, high: int, side: int, expected: list[int]) -> None:
    assert tile_starts(low, high, side) == expected


@given(st.integers(0, 20), st.integers(1, 100), st.integers(1, 40))
def test_tiles_cover_all_without_reaching_farther_than_they_must(low: int, extent: int, side: int) -> None:
    high = low + extent
    starts = tile_starts(low, high, side)
    assert starts == sorted(starts)
    assert set(range(low, high)) <= {index for start in starts for index in range(start, start + side)}
    if extent >= side:
        assert starts[0] == low
        assert starts[-1] + side == high
    else:  # centred
        assert len(starts) == 1
        assert 0 <= (starts[0] + side - high) - (low - starts[0]) <= 1


@given(SHAPES, LENGTHS, TILES)
def test_covering_windows_cover_everything(shape: tuple[int, int, int], length: int, tile: tuple[int, int]) -> None:
    windows = covering_windows(shape, length=length, tile=tile)
    assert seen(windows, shape, tile).all()
    assert all(0 <= window.start < window.stop <= shape[0] for window in windows)


@given(SHAPES.flatmap(lambda shape: hnp.arrays(np.bool_, shape)), LENGTHS, TILES)
def test_attending_windows_cover_every_candidate_and_none_is_without_one(
    candidates: np.ndarray, length: int, tile: tuple[int, int]
) -> None:
    windows = attending_windows(candidates, length=length, tile=tile)
    assert seen(windows, candidates.shape, tile)[candidates].all()
    for window in windows:
        assert (seen([window], candidates.shape, tile).astype(bool) & candidates).any()


@given(SHAPES.flatmap(lambda shape: hnp.arrays(np.bool_, shape)), LENGTHS, TILES)
def test_attending_tiles_lie_inside_or_are_centred_on_a_slice_smaller_than_they(
    candidates: np.ndarray, length: int, tile: tuple[int, int]
) -> None:
    for window in attending_windows(candidates, length=length, tile=tile):
        for start, side, whole in zip((window.row, window.column), tile, candidates.shape[1:], strict=True):
            if whole >= side:
                assert 0 <= start <= whole - side
            else:
                assert start == -((side - whole) // 2)


@given(SHAPES.flatmap(lambda shape: hnp.arrays(np.bool_, shape)), LENGTHS, TILES)
def test_no_window_comes_twice(candidates: np.ndarray, length: int, tile: tuple[int, int]) -> None:
    windows = attending_windows(candidates, length=length, tile=tile)
    assert len(set(windows)) == len(windows)


def test_no_candidates_no_windows() -> None:
    assert attending_windows(np.zeros((5, 6, 7), bool), length=3, tile=(4, 4)) == []


def test_attention_by_hand() -> None:
    candidates = np.zeros((9, 30, 40), bool)
    candidates[1, 10, 20] = candidates[8, 0, 39] = True
    # Slices 0 to 4 hold the first one, centred; 2 to 6 none; 5 to 9 the second, moved inside.
    assert attending_windows(candidates, length=4, tile=(8, 8)) == [Window(0, 4, 7, 17), Window(5, 9, 0, 32)]


def test_two_distant_lesions_get_two_tiles_and_nothing_between() -> None:
    candidates = np.zeros((2, 16, 64), bool)
    candidates[0, 8, 2] = candidates[1, 8, 60] = True
    windows = attending_windows(candidates, length=2, tile=(16, 16))
    assert [window.column for window in windows] == [2, 45]
