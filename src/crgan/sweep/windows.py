"""The windows in which a network sees a volume: some slices of a plane, and a tile of rows and columns."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

# The part of a tile that neighbouring tiles share, where a slice is larger than one.
_OVERLAP = 0.25


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Slices ``start`` to ``stop`` and the tile whose first voxel is (``row``, ``column``).

    A tile may reach over the border of a slice that is smaller than it.
    """

    start: int
    stop: int
    row: int
    column: int


def slice_ranges(count: int, length: int) -> list[tuple[int, int]]:
    """Cover ``count`` slices by ranges of ``length``, evenly spaced, that share a slice or more with the next unless it is their only one.

    None is shorter unless there are fewer slices: a network that learned from whole sequences errs in short ones.
    """
    if count <= length:
        return [(0, count)]
    steps = ceil((count - length) / max(1, length - 1))
    return [(round(float(start)), round(float(start)) + length) for start in np.linspace(0, count - length, steps + 1)]


def tile_starts(low: int, high: int, side: int) -> list[int]:
    """Cover voxels ``low`` to ``high`` by tiles of ``side`` voxels, centred as a whole and evenly spaced."""
    extent = high - low
    if extent <= side:
        return [low - (side - extent) // 2]
    count = 1 + ceil((extent - side) / (side * (1 - _OVERLAP)))
    return [round(float(start)) for start in np.linspace(low, high - side, count)]


def covering_windows(shape: tuple[int, int, int], *, length: int, tile: tuple[int, int]) -> list[Window]:
    """Cover a whole plane of ``shape`` (slices, rows, columns)."""
    return [
        Window(start, stop, row, column)
        for start, stop in slice_ranges(shape[0], length)
        for row in tile_starts(0, shape[1], tile[0])
        for column in tile_starts(0, shape[2], tile[1])
    ]


def attending_windows(candidates: NDArray[np.bool_], *, length: int, tile: tuple[int, int]) -> list[Window]:
    """Cover the candidates of a plane ``(slices, rows, columns)``, leaving out tiles without any; empty if there are none."""
    windows = []
    for start, stop in slice_ranges(candidates.shape[0], length):
        flat = np.asarray(candidates[start:stop].any(axis=0))
        rows, columns = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
        if not rows.size:
            continue
        tops = _inside(tile_starts(int(rows[0]), int(rows[-1]) + 1, tile[0]), tile[0], candidates.shape[1])
        lefts = _inside(tile_starts(int(columns[0]), int(columns[-1]) + 1, tile[1]), tile[1], candidates.shape[2])
        windows += [
            Window(start, stop, row, column)
            for row in tops
            for column in lefts
            if flat[max(row, 0) : row + tile[0], max(column, 0) : column + tile[1]].any()
        ]
    return windows


def _inside(starts: list[int], side: int, extent: int) -> list[int]:
    """Move tiles that reach over the border inside, if they fit; else centre them on the slice."""
    if extent <= side:
        return [-((side - extent) // 2)]
    return sorted({min(max(start, 0), extent - side) for start in starts})
