"""The generator and the refiner on a whole prepared volume, all planes averaged."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from math import ceil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from crgan.config import Config, NetworkSettings, Plane
from crgan.networks.composition import corrected_logits, hard_decision, on_doubts, target_probabilities
from crgan.sequences.planes import as_slices
from crgan.sweep.averaging import PlaneMean
from crgan.sweep.scratch import scratch_zeros
from crgan.sweep.sweep import sweep
from crgan.sweep.windows import attending_windows, covering_windows

# Slices up to this many of the network's pixels a side go through whole; larger ones in tiles of this size.
_LARGEST_TILE = 256


def generate(
    generator: nn.Module, image: NDArray[np.generic], config: Config, *, targets: int, exclusive: bool, case_id: str
) -> NDArray[np.float16]:
    """Segment a prepared image by the generator alone.

    Parameters
    ----------
    generator
        A generator in evaluation mode.
    image
        ``(M, Z, Y, X)``, prepared.
    config
        The run's settings, none left to be derived.
    targets, exclusive
        How many targets there are, and whether they exclude each other.
    case_id
        Seeds the noise channel, where the system has one.

    Returns
    -------
    NDArray
        ``(K, Z, Y, X)`` float16, the probability of each target, averaged over the planes.
    """
    arrays = [image]
    if config.noise_channel:
        noise = np.random.default_rng(zlib.crc32(case_id.encode())).standard_normal((1, *image.shape[1:]), np.float32)
        # The means of a coarse pixel's voxels are to have variance 1, as in training.
        arrays.append(noise * np.float32(_coarseness(config.generator)))

    def head(logits: Tensor, _: Tensor) -> Tensor:
        return target_probabilities(logits, exclusive=exclusive)

    return _everywhere(generator, arrays, config, outputs=targets, head=head)


def judge(discriminator: nn.Module, image: NDArray[np.generic], probabilities: NDArray[np.float16], config: Config) -> NDArray[np.float16]:
    """Tell how real the discriminator holds the generator's segmentation, at the generator's resolution.

    Parameters
    ----------
    discriminator
        A discriminator in evaluation mode.
    image
        ``(M, Z, Y, X)``, prepared.
    probabilities
        ``(K, Z, Y, X)``, what :func:`generate` gave.
    config
        The run's settings, none left to be derived.

    Returns
    -------
    NDArray
        ``(1, Z, Y, X)`` float16, the probability of being real, averaged over the planes.
    """

    def head(logits: Tensor, _: Tensor) -> Tensor:
        return logits.sigmoid()

    judging = _Judging(discriminator, modalities=len(image))
    return _everywhere(judging, [image, probabilities], config, outputs=1, head=head)


def _everywhere(
    network: nn.Module, arrays: Sequence[NDArray[np.generic]], config: Config, *, outputs: int, head: Callable[[Tensor, Tensor], Tensor]
) -> NDArray[np.float16]:
    """Mean over the planes of what a network of the generator's resolution says of whole slices."""
    shape = (outputs, *arrays[0].shape[1:])
    mean = PlaneMean(scratch_zeros(shape, np.float16))
    coarseness = _coarseness(config.generator)
    for plane, length in _planes(config):
        slices = [as_slices(array, plane) for array in arrays]
        tile = _whole_tile(slices[0].shape[-2:], config.generator, plane)
        windows = covering_windows(_shape(slices[0]), length=length, tile=tile)
        results = sweep(network, slices, windows, tile=tile, coarseness=coarseness, statistics_windows=config.batch.sequences, head=head)
        mean.add(plane, tile, windows, results)
    return mean.values


class _Judging(nn.Module):
    """A discriminator that takes images and segmentation as one tensor."""

    def __init__(self, discriminator: nn.Module, *, modalities: int) -> None:
        super().__init__()
        self.discriminator = discriminator
        self._modalities = modalities

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        judged: Tensor = self.discriminator(x[:, :, : self._modalities], x[:, :, self._modalities :], valid)
        return judged


def foreground_probability(probabilities: NDArray[np.floating], *, exclusive: bool) -> NDArray[np.floating]:
    """How sure the generator is that a voxel belongs to any target: ``(K, ...)`` to ``(...)``."""
    return np.asarray(probabilities.sum(axis=0) if exclusive else probabilities.max(axis=0))


def candidate_voxels(probabilities: NDArray[np.floating], config: Config, *, exclusive: bool) -> NDArray[np.bool_]:
    """Where the refiner looks: voxels that the generator holds for a target with some probability, bool ``(Z, Y, X)``."""
    if not config.refinement.attend:
        return np.ones(probabilities.shape[1:], bool)
    if config.refinement.candidate is None:
        message = "the threshold of candidates has not been fitted"
        raise ValueError(message)
    found = np.empty(probabilities.shape[1:], bool)
    for z in range(len(found)):
        found[z] = foreground_probability(probabilities[:, z], exclusive=exclusive) >= config.refinement.candidate
    return found


def decide(probabilities: NDArray[np.floating], *, exclusive: bool) -> NDArray[np.bool_]:
    """Make the generator's own decision from ``(K, Z, Y, X)`` probabilities, slice by slice; bool, same shape."""
    return _decide(probabilities, np.empty(probabilities.shape, bool), exclusive=exclusive)


def _decide(probabilities: NDArray[np.floating], into: NDArray[Any], *, exclusive: bool) -> NDArray[Any]:
    for z in range(probabilities.shape[1]):
        into[:, z] = hard_decision(torch.from_numpy(probabilities[:, z].astype(np.float32)), exclusive=exclusive).numpy()
    return into


def refine(
    refiner: nn.Module, image: NDArray[np.generic], said: NDArray[np.float16], config: Config, *, targets: int, exclusive: bool
) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """Correct the generator's decision.

    Parameters
    ----------
    refiner
        A refiner in evaluation mode.
    image
        ``(M, Z, Y, X)``, prepared.
    said
        ``(K, Z, Y, X)``, what :func:`generate` gave; with what :func:`judge` gave after it, if the settings say so.
    config
        The run's settings, none left to be derived.
    targets, exclusive
        How many targets there are, and whether they exclude each other.

    Returns
    -------
    corrected
        ``(K, Z, Y, X)`` float16: the corrected probability P*, averaged over the planes that looked at a voxel; the
        generator's decision, 0 or 1, where none did.
    seen
        Bool ``(Z, Y, X)``: where one did.
    """
    probabilities = said[:targets]
    candidates = candidate_voxels(probabilities, config, exclusive=exclusive)
    first = len(image)  # of the input's channels that hold probabilities
    coarseness = _coarseness(config.refiner)

    def head(errors: Tensor, x: Tensor) -> Tensor:
        given = x[:, :, first : first + targets]
        if config.refinement.on_doubts:
            errors = on_doubts(errors, given, exclusive=exclusive)
        return corrected_logits(hard_decision(given, exclusive=exclusive), errors).sigmoid()

    mean = PlaneMean(_decide(probabilities, scratch_zeros(probabilities.shape, np.float16), exclusive=exclusive))
    for plane, length in _planes(config):
        slices = [as_slices(image, plane), as_slices(said, plane)]
        if config.refinement.attend and config.refiner.crops is not None:
            rows, columns = config.refiner.crops[plane]
            tile = (rows * coarseness, columns * coarseness)
            windows = attending_windows(as_slices(candidates, plane), length=length, tile=tile)
        else:
            tile = _whole_tile(slices[0].shape[-2:], config.refiner, plane)
            windows = covering_windows(_shape(slices[0]), length=length, tile=tile)
        results = sweep(refiner, slices, windows, tile=tile, coarseness=coarseness, statistics_windows=config.batch.sequences, head=head)
        mean.add(plane, tile, windows, results)
    return mean.values, mean.planes > 0


def _planes(config: Config) -> list[tuple[Plane, int]]:
    """The planes and the slices of a window; both must have been derived from the data."""
    if config.planes is None or config.batch.length is None:
        message = "planes and sequence length have not been derived from the data"
        raise ValueError(message)
    return [(plane, config.batch.length) for plane in config.planes]


def _coarseness(settings: NetworkSettings) -> int:
    return settings.coarseness or 1


def _shape(slices: NDArray[np.generic]) -> tuple[int, int, int]:
    count, rows, columns = slices.shape[-3:]
    return count, rows, columns


def _whole_tile(size: Sequence[int], settings: NetworkSettings, plane: Plane) -> tuple[int, int]:
    """The tile that holds a slice of ``size`` voxels and suits the network: bounded, and no smaller than a training crop.

    Most patients then share a tile's size, which spares the convolutions from being set up anew for each.
    """
    coarseness = _coarseness(settings)
    step = coarseness * 2 ** (len(settings.widths or ()) - 1)
    least = (settings.crops or {}).get(plane, (1, 1))
    rows, columns = (
        step * ceil(min(max(side, coarseness * crop), _LARGEST_TILE * coarseness) / step) for side, crop in zip(size, least, strict=True)
    )
    return rows, columns
