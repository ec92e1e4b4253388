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
    if not smallest or not (labels != scheme.values[0]).any():
        return labels
    box = bounding_box(labels != scheme.values[0])
    masks = scheme.masks(scheme.encode(labels[box]))
    for target, mask in zip(scheme.targets, masks, strict=True):
        if target in smallest and mask.any():
            _drop(mask, smallest[target], voxel_mm3=prod(spacing_mm))
    if not scheme.exclusive:
        masks = np.logical_and.accumulate(masks, axis=0)
    labels[box] = scheme.decode(masks)
    return labels


def _drop(mask: NDArray[np.bool_], smallest: Smallest, *, voxel_mm3: float) -> None:
    """Drop small pieces of one mask, in place; slice by slice, because looking up takes 8 bytes for each voxel that is asked for."""
    pieces = cc3d.connected_components(mask.view(np.uint8), connectivity=26)
    voxels = cc3d.statistics(pieces, no_slice_conversion=True)["voxel_counts"]
    voxels[0] = 0
    stays = voxels >= max(smallest.mm3 / voxel_mm3, smallest.share * voxels.max(), 1)
    for piece, part in zip(pieces, mask, strict=True):
        part[...] = stays[piece]
