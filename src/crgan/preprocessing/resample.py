"""Images, label maps and probability maps brought to another voxel size, and back.

All of it shares one alignment: the outer edges of the first and the last voxel stay where they are, so that
output voxel ``i`` of ``n_out`` lies at input position ``(i + 0.5) * n_in / n_out - 0.5``. Going there and back
moves nothing. Beyond the edges the outermost voxel goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

# Spacings whose ratio is within this are the same: headers are rounded, and resampling would only blur.
SAME_SPACING = 1.001


def resampled_shape(shape: Sequence[int], spacing_mm: Sequence[float], target_mm: Sequence[float]) -> tuple[int, int, int]:
    """Give the size that a grid has at another spacing.

    Parameters
    ----------
    shape, spacing_mm
        Voxels and spacing of the grid, ``(Z, Y, X)``.
    target_mm
        The spacing wanted, ``(z, y, x)``.

    Returns
    -------
    tuple[int, int, int]
        At least 1 voxel an axis. An axis whose spacing is within 0.1 % of the target, or that has only one
        voxel, keeps its size.
    """
    sizes = []
    for size, spacing, target in zip(shape, spacing_mm, target_mm, strict=True):
        same = max(spacing / target, target / spacing) <= SAME_SPACING
        sizes.append(size if same or size == 1 else max(1, round(size * spacing / target)))
    return sizes[0], sizes[1], sizes[2]


def resample_image(
    image: NDArray[np.generic],
    shape: Sequence[int],
    *,
    prepare: Callable[[slice], NDArray[np.float32]] | None = None,
    dtype: type[np.float16 | np.float32] = np.float32,
) -> NDArray[np.float16 | np.float32]:
    """Resample channels linearly, averaging over the larger voxel where the grid becomes coarser.

    Where an axis becomes coarser the linear kernel is widened with it, so that structures smaller than the
    new voxel fade instead of turning into aliases. Linear, not cubic: no overshoot at sharp edges, and the
    masked background stays 0.

    Parameters
    ----------
    image
        ``(M, Z, Y, X)``.
    shape
        The size wanted, ``(z, y, x)``; axes that keep their size are untouched.
    prepare
        Gives the slices asked for of what is to be resampled, ``(M, slices, Y, X)``; those of ``image`` by itself.
    dtype
        Type of the result.

    Returns
    -------
    NDArray
        ``(M, z, y, x)``.
    """
    result = np.empty((len(image), *shape), dtype)
    for part, values in _slabs(image, shape, prepare=prepare):
        result[:, part] = values
    return result


def resample_labels(codes: NDArray[np.uint8], shape: Sequence[int]) -> NDArray[np.uint8]:
    """Resample a label map: each code's own mask linearly, then the code that is largest.

    This places boundaries within a fraction of a voxel and keeps thin structures better than the nearest
    neighbour does. Where background ties with a class the class wins, and of two classes the lower code.

    Parameters
    ----------
    codes
        uint8 ``(Z, Y, X)``.
    shape
        The size wanted, ``(z, y, x)``.

    Returns
    -------
    NDArray
        uint8 ``(z, y, x)``; no code that was not there before.
    """
    if tuple(shape) == codes.shape:
        return codes.copy()
    result = np.zeros(tuple(shape), np.uint8)
    present = np.flatnonzero(np.bincount(codes.reshape(-1), minlength=1))
    largest = np.zeros(result.shape, np.float32)
    for code in (*present[present > 0], 0):  # background last: it must be strictly larger to win
        for part, values in _slabs((codes == code)[None], shape, smooth=False):
            # The margin outweighs rounding in the sum of the weights, which would decide ties by chance.
            wins = values[0] > largest[part] + np.float32(1e-5)
            result[part][wins] = code
            largest[part][wins] = values[0][wins]
    return result


def resampled_parts(
    maps: Sequence[NDArray[np.generic]], shape: Sequence[int], *, least: float = -np.inf, slab_slices: int = 16
) -> Iterator[tuple[tuple[slice, slice, slice], NDArray[np.float32]]]:
    """Bring maps back to a grid of ``shape`` voxels over the same box, part by part; the inverse of :func:`resample_image`.

    Parameters
    ----------
    maps
        K arrays ``(z, y, x)``, for example probabilities.
    shape
        ``(Z, Y, X)``.
    least
        What is below it in every map may be left out.
    slab_slices
        Slices made at a time; bounds the working memory, changes nothing in the values.

    Yields
    ------
    tuple
        A box of the result, as slices along Z, Y and X, and its values ``(K, slices, rows, columns)``, float32. Boxes follow each
        other along Z; no voxel outside them reaches ``least`` in any map.
    """
    taps = [_axis_taps(old, new, smooth=True) for old, new in zip(maps[0].shape, shape, strict=True)]
    for start in range(0, shape[0], slab_slices):
        part = slice(start, min(start + slab_slices, shape[0]))
        values = _along_z(lambda needed: np.stack([m[needed] for m in maps]).astype(np.float32), taps[0], part)
        if least > -np.inf:
            # Resampled values are means, and none is larger than all that it is made of.
            worth = np.asarray((values >= least).any(axis=(0, 1)))
            rows, columns = np.flatnonzero(worth.any(axis=1)), np.flatnonzero(worth.any(axis=0))
            if not rows.size:
                continue
            extents = (int(rows[0]), int(rows[-1]) + 1), (int(columns[0]), int(columns[-1]) + 1)
        else:
            extents = (0, values.shape[2]), (0, values.shape[3])
        box = [part]
        for axis, (low, high) in zip((2, 3), extents, strict=True):
            axis_taps = taps[axis - 1]
            if axis_taps is None:
                box.append(slice(low, high))
                values = values[:, :, low:high] if axis == 2 else values[..., low:high]
            else:
                indices, weights = axis_taps
                touched = np.flatnonzero(((indices >= low) & (indices < high)).any(axis=1))
                reached = slice(int(touched[0]), int(touched[-1]) + 1)
                box.append(reached)
                values = _weighted_sum(values, indices[reached], weights[reached], axis)
        yield (box[0], box[1], box[2]), values


def _slabs(
    array: NDArray[np.generic],
    shape: Sequence[int],
    *,
    slab_slices: int = 16,
    smooth: bool = True,
    prepare: Callable[[slice], NDArray[np.float32]] | None = None,
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Resample ``(K, Z, Y, X)`` slab by slab along Z; every voxel is computed alike whatever the slab."""

    def read(part: slice) -> NDArray[np.float32]:
        return array[:, part].astype(np.float32) if prepare is None else prepare(part)

    taps = [_axis_taps(old, new, smooth=smooth) for old, new in zip(array.shape[1:], shape, strict=True)]
    for start in range(0, shape[0], slab_slices):
        part = slice(start, min(start + slab_slices, shape[0]))
        values = _along_z(read, taps[0], part)
        for axis in (2, 3):
            axis_taps = taps[axis - 1]
            if axis_taps is not None:
                values = _weighted_sum(values, *axis_taps, axis)
        yield part, values


_Taps = tuple[NDArray[np.intp], NDArray[np.float32]]


def _along_z(read: Callable[[slice], NDArray[np.float32]], taps: _Taps | None, part: slice) -> NDArray[np.float32]:
    """Read what some slices of the result are made of, and resample it along Z."""
    if taps is None:
        return read(part)
    indices, weights = taps[0][part], taps[1][part]
    first = int(indices.min())
    return _weighted_sum(read(slice(first, int(indices.max()) + 1)), indices - first, weights, 1)


def _axis_taps(old: int, new: int, *, smooth: bool) -> _Taps | None:
    """Which input voxels make up each output voxel of an axis, and their weights, both ``(new, taps)``; None to keep the axis.

    The kernel is a triangle one input voxel wide to each side, or one output voxel where ``smooth`` and the
    output is coarser. Weights beyond the edge go to the outermost voxel.
    """
    if old == new:
        return None
    scale = old / new
    support = max(scale, 1.0) if smooth else 1.0
    centres = (np.arange(new) + 0.5) * scale - 0.5
    positions = np.floor(centres - support).astype(np.intp)[:, None] + np.arange(1, 2 * int(np.ceil(support)) + 1)
    weights = np.maximum(1 - np.abs(positions - centres[:, None]) / support, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    return positions.clip(0, old - 1), weights.astype(np.float32)


def _weighted_sum(values: NDArray[np.float32], indices: NDArray[np.intp], weights: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Sum gathered voxels along an axis, tap by tap in a fixed order."""
    along = [1] * values.ndim
    along[axis] = -1
    total = values.take(indices[:, 0], axis=axis)
    total *= weights[:, 0].reshape(along)
    for tap in range(1, indices.shape[1]):
        term = values.take(indices[:, tap], axis=axis)
        term *= weights[:, tap].reshape(along)
        total += term
    return total
