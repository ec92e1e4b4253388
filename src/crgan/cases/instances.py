"""Instance ids as two classes that a network can learn: the inside of an object, and a thin border around it.

Ids mean nothing from one image to the next, so no network can learn them. It learns where objects are and where their
borders run; :mod:`crgan.sweep.instances` makes ids of that again. For this way back every object must have an inside
that is in one piece and touches no other object's inside.
"""

from __future__ import annotations

from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray

BORDER = "border"
"""Name of the class that parts objects."""

INSIDE_CODE, BORDER_CODE = 1, 2

BORDER_PIXELS = 2
"""How thick the border is, all of it within the object: less where an object is too small or too narrow for that."""


def encode_instances(ids: NDArray[Any], *, unknown: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Turn ids into codes: 0 background, 1 the inside of an object, 2 its border.

    The border is drawn in each slice, where an object meets anything else; across slices only where it meets another
    object, for slices may be thick. An object that :data:`BORDER_PIXELS` would consume or cut in pieces gets a border of
    one pixel, else one towards other objects alone, else none.

    Parameters
    ----------
    ids
        Whole numbers ``(Z, Y, X)``, 0 and below for background. Any shape: the last two axes are the slice's.
    unknown
        Voxels of which nothing is known, bool of the same shape; no border is drawn towards them, and they become 0.

    Returns
    -------
    NDArray
        uint8, same shape; all 0 without objects.
    """
    shape = ids.shape
    if not ids.size:
        return np.zeros(shape, np.uint8)
    ids = _compact(ids, unknown).reshape(-1, *(1, 1, *shape)[-2:])
    known = None if unknown is None else ~unknown.reshape(ids.shape)
    codes = np.where(ids > 0, np.uint8(BORDER_CODE), np.uint8(0))
    if not codes.any():
        return codes.reshape(shape)
    before = _pieces(ids)
    open_ = np.ones(len(before), bool)  # objects whose inside is not settled yet
    open_[0] = False
    thinner = []
    inner = ids
    for _ in range(BORDER_PIXELS):
        inner = np.where(_meets_other(inner, known, objects_alone=False), 0, inner)
        thinner.append(inner)
    for inside in [*reversed(thinner), np.where(_meets_other(ids, known, objects_alone=True), 0, ids), ids]:
        pieces = _pieces(inside, count=len(before))
        whole = (pieces >= 1) & (pieces <= before)
        settled = open_ & (whole if inside is not ids else True)
        codes[settled[inside]] = INSIDE_CODE
        open_ &= ~settled
    return codes.reshape(shape)


def _compact(ids: NDArray[Any], unknown: NDArray[np.bool_] | None) -> NDArray[np.int32]:
    """Number the objects from 1 without gaps."""
    objects = np.where(ids > 0, ids, 0) if unknown is None else np.where((ids > 0) & ~unknown, ids, 0)
    values, compact = np.unique(objects, return_inverse=True)
    first = 0 if values.size and values[0] == 0 else 1
    return (compact.reshape(ids.shape) + first).astype(np.int32)


def _pieces(ids: NDArray[np.int32], *, count: int = 0) -> NDArray[np.int64]:
    """Count the connected pieces of each id, faces touching; the background's count means nothing."""
    pieces, number = cc3d.connected_components(ids, connectivity=6, return_N=True)
    owner = np.zeros(number + 1, np.int32)
    owner[pieces.reshape(-1)] = ids.reshape(-1)
    return np.bincount(owner[1:], minlength=max(count, int(ids.max()) + 1))


def _meets_other(ids: NDArray[np.int32], known: NDArray[np.bool_] | None, *, objects_alone: bool) -> NDArray[np.bool_]:
    """Mark voxels of objects whose neighbour is another object, or in the same slice (unless ``objects_alone``) background."""
    marked = np.zeros(ids.shape, bool)
    for axis in range(3):
        low: list[slice] = [slice(None)] * 3
        high = low.copy()
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        one, two = tuple(low), tuple(high)
        differ = ids[one] != ids[two]
        if known is not None:
            differ &= known[one] & known[two]
        if axis == 0 or objects_alone:
            differ &= (ids[one] > 0) & (ids[two] > 0)
        marked[one] |= differ & (ids[one] > 0)
        marked[two] |= differ & (ids[two] > 0)
    return marked
