"""Pieces of a mask that are too small to be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray

from crgan.cases.labels import LabelScheme
from crgan.dial import Smallest
from crgan.evaluation.surface import bounding_box


def drop_small(labels: NDArray[Any], scheme: LabelScheme, smallest: Mapping[str, Smallest], spacing_mm: Sequence[float]) -> NDArray[Any]:
    """Drop the pieces of each target that are smaller than its limit.

    Parameters
    ----------
    labels
        ``(Z, Y, X)`` label values; changed in place.
    scheme
        What they mean; no instances.
    smallest
        From which size on a piece of a target stays, 26-connected; targets that are not named stay as they are.
    spacing_mm
        Voxel size ``(z, y, x)``.

    Returns
    -------
    NDArray
        ``labels``. What is dropped becomes background; of nested regions, what the next outer one makes of it, and an inner
        region goes with the piece of the outer one that it lies in. Labels without any target stay.
    """
    marked = labels != scheme.values[0]
    if not smallest or not marked.any():
        return labels
    box = bounding_box(marked)
    masks = scheme.masks(scheme.encode(labels[box]))
    for target, mask in zip(scheme.targets, masks, strict=True):
        if target in smallest and mask.any():
            pieces = cc3d.connected_components(mask.view(np.uint8), connectivity=26)
            voxels = np.bincount(pieces.ravel())
            voxels[0] = 0
            stays = voxels >= max(smallest[target].mm3 / prod(spacing_mm), smallest[target].share * voxels.max(), 1)
            mask[...] = stays[pieces]
    if not scheme.exclusive:
        masks = np.logical_and.accumulate(masks, axis=0)
    labels[box] = scheme.decode(masks)
    return labels
