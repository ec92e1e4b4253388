"""The three networks in the sizes that a run's settings ask for."""

from __future__ import annotations

from crgan.config import Config, NetworkSettings
from crgan.networks.discriminator import Discriminator
from crgan.networks.unet import RecurrentUNet


def make_generator(config: Config, *, modalities: int, targets: int, exclusive: bool) -> RecurrentUNet:
    """Make a generator: images (and noise) in, a logit per target and, if they exclude each other, background out."""
    return _unet(config, config.generator, modalities + config.noise_channel, targets + exclusive)


def make_refiner(config: Config, *, modalities: int, targets: int) -> RecurrentUNet:
    """Make a refiner: images and the generator's probabilities in, a false-negative and a false-positive mask per target out."""
    return _unet(config, config.refiner, modalities + targets, 2 * targets)


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
