"""The pieces of a label map and the holes in it: what the fingerprint says of lesions."""

from __future__ import annotations

from collections.abc import Mapping

import cc3d
import numpy as np
from numpy.typing import NDArray

from crgan.cases.labels import LabelScheme
from crgan.cases.summary import TargetSummary

Box = tuple[slice, slice, slice]


def marked_box(labels: NDArray[np.generic]) -> Box:
    """The smallest box of ``(I, J, K)`` that holds everything but 0; a corner of one voxel if there is nothing."""
    marked = labels != 0
    box = []
    for axes in ((1, 2), (0, 2), (0, 1)):
        hit = np.flatnonzero(marked.any(axis=axes))
        box.append(slice(int(hit[0]), int(hit[-1]) + 1) if hit.size else slice(0, 1))
    return box[0], box[1], box[2]


def summarise_targets(codes: NDArray[np.uint8], counts: Mapping[int, int], scheme: LabelScheme) -> tuple[TargetSummary, ...]:
    """Measure what a label map marks.

    Parameters
    ----------
    codes
        uint8 ``(I, J, K)`` codes of the scheme, in the box that holds all that is marked; a picture is ``(I, J, 1)``.
    counts
        The voxels of the label map by value.
    scheme
        What the values mean.

    Returns
    -------
    tuple of TargetSummary
        One a target, in the scheme's order; an empty map has no pieces and no holes.
    """
    if scheme.instances:
        sizes = sorted((count for value, count in counts.items() if value > 0 and value != scheme.ignore), reverse=True)
        return (TargetSummary(name=scheme.targets[0], voxels=sum(sizes), lesions=tuple(sizes)),)
    codes = np.atleast_2d(np.squeeze(codes))
    pieces = _pieces_of_classes(codes, len(scheme.targets)) if scheme.exclusive else [_pieces(mask) for mask in scheme.masks(codes)]
    holes = _holes(codes, scheme.table())
    return tuple(
        TargetSummary(name=name, voxels=int(sizes.sum()), lesions=tuple(sorted(map(int, sizes), reverse=True)), holes=hole)
        for name, sizes, hole in zip(scheme.targets, pieces, holes, strict=True)
    )


def _pieces(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Voxels of each connected piece of a mask."""
    labelled = cc3d.connected_components(mask.astype(np.uint8), connectivity=26 if mask.ndim == 3 else 8)
    return np.bincount(labelled.ravel(order="K"))[1:]


def _pieces_of_classes(codes: NDArray[np.uint8], classes: int) -> list[NDArray[np.int64]]:
    """Voxels of each connected piece of each class, all classes in one pass."""
    labelled = cc3d.connected_components(codes, connectivity=26 if codes.ndim == 3 else 8)
    sizes = np.bincount(labelled.ravel(order="K"))
    owners = np.zeros(sizes.size, np.uint8)
    owners[labelled] = codes
    return [sizes[1:][owners[1:] == code] for code in range(1, classes + 1)]


def _holes(codes: NDArray[np.uint8], table: NDArray[np.bool_]) -> list[int]:
    """Voxels of background that nothing but one target encloses, for each target; of nested targets the innermost has them."""
    background = np.pad(codes == 0, 1, constant_values=True)
    around = np.pad(codes, 1)
    labelled, number = cc3d.connected_components(background.astype(np.uint8), connectivity=6 if codes.ndim == 3 else 4, return_N=True)
    holes = [0] * len(table)
    if number < 2:
        return holes
    outside = labelled[(0,) * labelled.ndim]
    boxes = cc3d.statistics(labelled, no_slice_conversion=False)
    for hole in range(1, number + 1):
        if hole == outside:
            continue
        box = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in boxes["bounding_boxes"][hole])
        inside = labelled[box] == hole
        touching = set(np.unique(around[box][_grown(inside) & ~inside])) - {0}
        owner = [
            k for k, row in enumerate(table) if all(code < row.size and row[code] for code in touching)
        ]  # ignored voxels are no target's
        if owner:
            holes[owner[-1]] += int(boxes["voxel_counts"][hole])
    return holes


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask and its neighbours across faces."""
    grown = mask.copy()
    for axis in range(mask.ndim):
        before = [slice(None)] * mask.ndim
        after = [slice(None)] * mask.ndim
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        grown[tuple(after)] |= mask[tuple(before)]
        grown[tuple(before)] |= mask[tuple(after)]
    return grown
