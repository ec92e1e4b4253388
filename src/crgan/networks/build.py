"""The three networks in the sizes that a run's settings ask for."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import cast

import torch
from torch import Tensor

from crgan.config import Config, NetworkSettings
from crgan.networks.discriminator import Discriminator
from crgan.networks.unet import RecurrentUNet


def make_generator(config: Config, *, modalities: int, targets: int, exclusive: bool) -> RecurrentUNet:
    """Make a generator: images (and noise) in, a logit per target and, if they exclude each other, background out."""
    return _unet(config, config.generator, modalities + config.noise_channel, targets + exclusive)


def make_refiner(config: Config, *, modalities: int, targets: int) -> RecurrentUNet:
    """Make a refiner: images and the generator's probabilities in, a false-negative and a false-positive mask per target out.

    The discriminator's map comes in after the probabilities, if the settings say so.
    """
    return _unet(config, config.refiner, modalities + targets + config.refinement.discriminator_map, 2 * targets)


def expect_rarity(generator: RecurrentUNet, shares: Sequence[float], *, exclusive: bool) -> None:
    """Let a new generator expect each target as often as it is, instead of as often as the background.

    Otherwise the first hundred steps are spent on learning that most of an image is background, and until then
    everywhere is a candidate for the refiner (the same start as in Lin et al. 2017, section 4.1).

    Parameters
    ----------
    generator
        Fresh from :func:`make_generator`.
    shares
        The share of the voxels that belong to each target.
    exclusive
        Whether the targets exclude each other.
    """
    background = 1 - sum(shares)
    odds = [log(max(share, 1e-6) / max(background if exclusive else 1 - share, 1e-6)) for share in shares]
    bias = torch.tensor([0.0, *odds] if exclusive else odds)
    with torch.no_grad():
        cast("Tensor", generator.head.bias).copy_(bias)


def start_from_generator(refiner: RecurrentUNet, generator: RecurrentUNet, *, modalities: int, exclusive: bool, silent: bool) -> None:
    """Give a refiner the weights of a generator of the same widths, so that it begins with what is known already.

    What it sees beyond the generator's input is weighted by 0 at first. A pixel that the generator would
    take in is missed if it was left out, and one that it would leave out is added if it was taken in. A ``silent``
    refiner, whose output is added to what the generator said, says nothing at first.
    """
    own, given = refiner.state_dict(), generator.state_dict()
    first, last = "down.0.convolution.weight", f"up.{refiner.depth - 1}.convolution.weight"
    for name, weight in given.items():
        if name in {first, last}:
            kept = weight.shape[1] - generator.channels + modalities  # without the generator's noise channel
            own[name] = torch.zeros_like(own[name])
            own[name][:, :kept] = weight[:, :kept]
        elif name.startswith("head."):
            odds = weight[1:] - weight[:1] if exclusive else weight
            own[name] = torch.cat([odds, -odds]) * (not silent)
        else:
            own[name] = weight.clone()
    refiner.load_state_dict(own)


def make_discriminator(config: Config, *, modalities: int, targets: int) -> Discriminator:
    """Make a discriminator: images and a segmentation in, a logit per pixel out."""
    return Discriminator(
        modalities + targets,
        widths=config.adversarial.widths,
        recurrent=_recurrent(config),
        patient_wise=config.patient_wise,
    )


def _recurrent(config: Config) -> bool:
    return config.recurrent and (config.batch.length or 1) > 1  # a single slice has no neighbours to remember


def _unet(config: Config, settings: NetworkSettings, channels: int, outputs: int) -> RecurrentUNet:
    if settings.widths is None:
        message = "the widths of the network have not been derived from the data"
        raise ValueError(message)
    return RecurrentUNet(
        channels,
        outputs,
        widths=settings.widths,
        recurrent_width=settings.recurrent_width if _recurrent(config) else None,
        patient_wise=config.patient_wise,
    )
