"""The mean over the planes of what a network says, gathered slab by slab."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from crgan.config import Plane
from crgan.sequences.planes import as_slices
from crgan.sweep.sweep import inside
from crgan.sweep.windows import Window

_Found = tuple[Window, NDArray[np.float32]]


class PlaneMean:
    """Each plane's mean over the windows that looked at a voxel, averaged over the planes, so that all planes weigh the same.

    Only the slices that windows still reach are held in float32; what is whole lies in half precision.

    Parameters
    ----------
    values
        float16 ``(K, Z, Y, X)``: is changed, and keeps what it holds where no plane looks.
    """

    def __init__(self, values: NDArray[np.float16]) -> None:
        self.values = values
        self.planes = np.zeros(values.shape[1:], np.uint8)
        """How many planes looked at a voxel."""

    def add(self, plane: Plane, tile: tuple[int, int], windows: Sequence[Window], results: Iterable[_Found]) -> None:
        """Take in a plane: the results of its windows, from the first slices to the last."""
        if not windows:
            return
        values, planes = as_slices(self.values, plane), as_slices(self.planes, plane)
        rows, columns = _extent(windows, tile, planes.shape)
        for start, sums, looks in _whole_slices(results, tile, planes.shape, rows, columns):
            part = slice(start, start + len(looks)), rows, columns
            seen = looks > 0
            new = np.divide(sums, np.maximum(looks, 1), out=sums)
            count = planes[part]
            count += seen
            if count.max(initial=0) > 1:  # the mean so far moves towards what is new
                mean = values[:, *part].astype(np.float32)
                new -= mean
                new /= np.maximum(count, 1)
                new += mean
            if seen.all():
                values[:, *part] = new
            else:
                np.copyto(values[:, *part], new, where=seen, casting="same_kind")


def _extent(windows: Sequence[Window], tile: tuple[int, int], shape: Sequence[int]) -> tuple[slice, slice]:
    """Rows and columns that any of the windows looks at."""
    parts = [inside(window, tile, shape[-2:]) for window in windows]
    rows, columns = zip(*parts, strict=True)
    return slice(min(r.start for r in rows), max(r.stop for r in rows)), slice(min(c.start for c in columns), max(c.stop for c in columns))


def _whole_slices(
    results: Iterable[_Found], tile: tuple[int, int], shape: Sequence[int], rows: slice, columns: slice
) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.uint8]]]:
    """Add up windows, and give each stretch of slices once no further window reaches it.

    Yields
    ------
    tuple
        The first slice, the sums ``(K, slices, rows, columns)`` and how many windows looked at each voxel.
    """
    start, sums, looks = 0, None, np.zeros((0, 0, 0), np.uint8)
    for (first, stop), same in groupby(results, key=lambda found: (found[0].start, found[0].stop)):
        new_looks = np.zeros((stop - first, rows.stop - rows.start, columns.stop - columns.start), np.uint8)
        new_sums = None
        for window, values in same:
            if new_sums is None:
                new_sums = np.zeros((len(values), *new_looks.shape), np.float32)
            r, c = inside(window, tile, shape[-2:])
            part = slice(None), slice(r.start - rows.start, r.stop - rows.start), slice(c.start - columns.start, c.stop - columns.start)
            new_looks[part] += 1
            new_sums[:, *part] += values
        if sums is not None and new_sums is not None:
            whole = min(first - start, len(looks))
            shared = len(looks) - whole
            new_sums[:, :shared] += sums[:, whole:]
            new_looks[:shared] += looks[whole:]
            yield start, sums[:, :whole], looks[:whole]
        start, sums, looks = first, new_sums, new_looks
    if sums is not None:
        yield start, sums, looks
