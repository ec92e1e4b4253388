"""Instance ids from what the networks tell apart: the insides of objects, grown back over their borders."""

from __future__ import annotations

import cc3d
import numpy as np
from numpy.typing import NDArray

from crgan.cases.instances import BORDER_CODE, INSIDE_CODE
from crgan.errors import fail

# An inside this much smaller than the image's median one is no object where a larger one is in reach: networks leave crumbs.
_CRUMB_SHARE = 0.01
_MOST_IDS = np.iinfo(np.uint16).max


def grow_in_frames(codes: NDArray[np.uint8], *, where: str = "") -> NDArray[np.uint16 | np.int32]:
    """Do :func:`grow_instances` in every frame of a movie ``(T, rows, columns)`` for itself; ids go on from frame to frame.

    Returns
    -------
    NDArray
        uint16, or int32 where there are more than 65,535 objects in all frames together; same shape.
    """
    frames = [grow_instances(frame[None], where=where)[0].astype(np.int32) for frame in codes]
    counts = [int(frame.max(initial=0)) for frame in frames]
    first = np.cumsum([0, *counts])
    for frame, before in zip(frames, first, strict=False):
        frame[frame > 0] += before
    movie = np.stack(frames)
    return movie.astype(np.uint16) if first[-1] <= _MOST_IDS else movie


def grow_instances(codes: NDArray[np.uint8], *, where: str = "") -> NDArray[np.uint16]:
    """Give every object an id: each connected inside is one, and takes the border around it by watershed.

    Insides are connected where faces touch. What is marked stays marked: a border without any inside is an object of its
    own, and crumbs, that is, insides of less than 1/100 of the median one's voxels, belong to the larger inside that is
    nearest within the same marked area, if there is one.

    Parameters
    ----------
    codes
        uint8 ``(Z, Y, X)``: 0 background, 1 inside, 2 border.
    where
        What to name in an error.

    Returns
    -------
    NDArray
        uint16, same shape: ids from 1 up without gaps, greater than 0 exactly where ``codes`` is. All 0 without objects.

    Raises
    ------
    CrganError
        If there are more than 65,535 objects.
    """
    from skimage.segmentation import watershed

    marked = codes > 0
    areas, area_count = cc3d.connected_components(marked, connectivity=6, return_N=True)
    seeds, count = cc3d.connected_components(codes == INSIDE_CODE, connectivity=6, return_N=True)
    sizes = np.bincount(seeds.reshape(-1), minlength=count + 1)
    sizes[0] = 0
    area_of = np.zeros(count + 1, np.int64)
    area_of[seeds.reshape(-1)] = areas.reshape(-1)
    largest = np.zeros(area_count + 1, np.int64)
    np.maximum.at(largest, area_of[1:], sizes[1:])
    least = _CRUMB_SHARE * float(np.median(sizes[1:])) if count else 0.0
    kept = (sizes >= least) | (sizes == largest[area_of])
    kept[0] = False
    alone = largest == 0  # areas that are border throughout
    alone[0] = False
    numbers = np.cumsum(kept) * kept
    total = int(kept.sum()) + int(alone.sum())
    if total > _MOST_IDS:
        raise fail(
            "There are more objects than ids of 16 bits.",
            where=where or None,
            expected=f"{_MOST_IDS} at most",
            got=f"{total}",
            fix="cut the image into parts, or check that it is one of those the model was trained for",
        )
    markers = np.where(alone[areas], (np.cumsum(alone) + int(kept.sum()))[areas], numbers[seeds]).astype(np.int32)
    if total:
        markers = watershed((codes == BORDER_CODE).astype(np.uint8), markers, mask=marked)
    return np.asarray(markers).astype(np.uint16)
