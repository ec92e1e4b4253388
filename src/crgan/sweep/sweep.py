"""Running a network over the windows of one plane of one patient, with frozen patient statistics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from numpy.typing import NDArray
from torch import Tensor, nn

from crgan.networks.normalization import patient_statistics, recording_statistics
from crgan.sequences.coarsening import average_blocks
from crgan.sweep.windows import Window

# Pixels that go through a network at once: enough to keep two cores busy, small enough for a few hundred megabytes.
_PIXELS_AT_ONCE = 300_000
# A patient's statistics are those of so many windows, if there are as many and they hold no more pixels than memory is to be given for
# (half a gigabyte or so: a layer's statistics need what the layers before made of all of them). A training group has fewer, and a network
# learns to bear what that leaves to chance; but less chance is better (measured in docs/method.md), above all with small tiles.
_STATISTICS_WINDOWS, _STATISTICS_PIXELS = 8, 1_000_000


def sweep(
    network: nn.Module,
    planes: Sequence[NDArray[np.generic]],
    windows: Sequence[Window],
    *,
    tile: tuple[int, int],
    coarseness: int,
    statistics_windows: int,
    head: Callable[[Tensor, Tensor], Tensor],
) -> Iterator[tuple[Window, NDArray[np.float32]]]:
    """Apply a network to windows of a plane.

    Statistics are taken once, over evenly spaced windows, and frozen: the result for a window depends neither on the
    order of windows nor on what shares its batch.

    Parameters
    ----------
    network
        Takes ``(S, T, C, h, w)`` and a mask of valid pixels, gives ``(S, T, O, h, w)``.
    planes
        Arrays ``(C_i, slices, rows, columns)``, concatenated to the network's C input channels.
    windows
        What to cover, all of as many slices; nothing is yielded for none.
    tile
        Rows and columns of every window, multiples of what the network needs.
    coarseness
        In-plane voxels that make one of the network's pixels.
    statistics_windows
        The fewest windows that stand for the patient's statistics, as many as a group of a training batch has sequences; eight
        where that many are no more than a million pixels.
    head
        Turns the network's output and its input into what is wanted, ``(S, T, K, h, w)``.

    Yields
    ------
    Window, NDArray
        Each window, from the first slices to the last, and its ``(K, slices, rows, columns)`` result, cut to the part inside the
        plane.
    """
    if not windows:
        return
    device = next(network.parameters()).device
    todo = sorted(windows)
    length = todo[0].stop - todo[0].start  # of all
    pixels = tile[0] * tile[1] // coarseness**2 * length
    some = min(len(todo), max(statistics_windows, min(_STATISTICS_WINDOWS, _STATISTICS_PIXELS // pixels)))
    spaced = [todo[int((number + 0.5) * len(todo) / some)] for number in range(some)]
    at_once = max(1, _PIXELS_AT_ONCE // pixels)
    with torch.inference_mode(), patient_statistics(network):
        with recording_statistics(network):
            network.forward(*_inputs(planes, spaced, tile, coarseness, device))  # as it is, even if it is compiled: once a patient
        for first in range(0, len(todo), at_once):
            chunk = todo[first : first + at_once]
            x, valid = _inputs(planes, chunk, tile, coarseness, device)
            # A compiled network is compiled for any number of windows but one, unless all go alone.
            usual = len(chunk) >= min(2, at_once)
            result = head((network if usual else network.forward)(x, valid).float(), x)
            if coarseness > 1:
                result = F.interpolate(result.flatten(0, 1), size=tile, mode="bilinear").unflatten(0, result.shape[:2])
            for window, values in zip(chunk, result.movedim(1, 2).cpu().numpy(), strict=True):
                rows, columns = inside(window, tile, planes[0].shape[-2:])
                yield (
                    window,
                    values[
                        :,
                        :,
                        rows.start - window.row : rows.stop - window.row,
                        columns.start - window.column : columns.stop - window.column,
                    ],
                )


def inside(window: Window, tile: tuple[int, int], shape: Sequence[int]) -> tuple[slice, slice]:
    """Rows and columns of a window that lie within a slice of ``shape``."""
    return (
        slice(max(0, window.row), min(shape[0], window.row + tile[0])),
        slice(max(0, window.column), min(shape[1], window.column + tile[1])),
    )


def _inputs(
    planes: Sequence[NDArray[np.generic]], windows: Sequence[Window], tile: tuple[int, int], coarseness: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Cut out windows of equal length, padded by edge values: ``(S, T, C, h, w)`` and the valid pixels ``(S, T, 1, h, w)``."""
    length = windows[0].stop - windows[0].start
    x = torch.empty(len(windows), length, sum(len(plane) for plane in planes), *tile)
    valid = torch.zeros(len(windows), length, 1, *tile)
    for window, image, mask in zip(windows, x, valid, strict=True):
        rows, columns = inside(window, tile, planes[0].shape[-2:])
        top, left = rows.start - window.row, columns.start - window.column
        bottom, right = top + rows.stop - rows.start, left + columns.stop - columns.start
        first = 0
        for plane in planes:
            block = plane[:, window.start : window.stop, rows, columns]
            # What is mapped from a file cannot be written to, and PyTorch wants only what can.
            block = block if block.flags.writeable else block.copy()
            image[:, first : first + len(plane), top:bottom, left:right] = torch.from_numpy(block).movedim(0, 1)
            first += len(plane)
        # Padding goes on as the edges are.
        image[:, :, :top, left:right] = image[:, :, top : top + 1, left:right]
        image[:, :, bottom:, left:right] = image[:, :, bottom - 1 : bottom, left:right]
        image[..., :left] = image[..., left : left + 1]
        image[..., right:] = image[..., right - 1 : right]
        mask[..., top:bottom, left:right] = 1
    x, valid = x.to(device), valid.to(device)
    if coarseness > 1:
        x, valid = average_blocks(x, coarseness), (average_blocks(valid, coarseness) > 0.5).float()
    return x, valid
