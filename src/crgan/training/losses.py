"""Losses over valid pixels (paper, Eq. 1 to 4).

All are over the whole batch, also where processes share it. Padding must enter no loss, and none of the libraries' losses
takes a mask of valid pixels for each slice; the tests hold these against MONAI's where nothing is masked.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from crgan.config import OptimisationSettings
from crgan.networks.composition import target_probabilities
from crgan.training.components import component_dice_loss
from crgan.training.ranks import summed


def masked_mean(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of ``(S, T, C, H, W)`` over valid pixels ``(S, T, 1, H, W)`` and channels; 0 if nothing is valid."""
    total, count = summed((values * valid).sum(), valid.sum() * values.shape[2])
    return total / count.clamp_min(1.0)


def dice_loss(probabilities: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """One minus the soft Dice of each target over the whole batch, averaged over targets.

    A target that is absent from the batch and predicted nowhere costs nothing.
    """
    axes = (0, 1, 3, 4)
    both = (probabilities * targets * valid).sum(axes)
    size = (probabilities * valid).sum(axes) + (targets * valid).sum(axes)
    both, size = summed(both, size)
    return 1 - ((2 * both + 1) / (size + 1)).mean()


def segmentation_loss(logits: Tensor, targets: Tensor, valid: Tensor, *, exclusive: bool, settings: OptimisationSettings) -> Tensor:
    """The generator's supervised loss: cross entropy, l1 (Eq. 3), Dice and component-wise Dice, each with its weight.

    Parameters
    ----------
    logits
        ``(S, T, K + 1, H, W)`` for exclusive targets, background first; else ``(S, T, K, H, W)``.
    targets
        ``(S, T, K, H, W)`` in [0, 1].
    valid
        ``(S, T, 1, H, W)``.
    exclusive
        Whether the targets exclude each other.
    settings
        The weights.
    """
    probabilities = target_probabilities(logits, exclusive=exclusive)
    if exclusive:
        truth = torch.cat([1 - targets.sum(2, keepdim=True), targets], dim=2)
        entropy = -(truth * logits.log_softmax(2)).sum(2, keepdim=True)
    else:
        entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return _weighted(entropy, probabilities, targets, valid, settings)


def binary_loss(logits: Tensor, targets: Tensor, valid: Tensor, *, settings: OptimisationSettings) -> Tensor:
    """The refiner's supervised loss on independent masks ``(S, T, C, H, W)``: cross entropy and the others, each with its weight."""
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return _weighted(entropy, logits.sigmoid(), targets, valid, settings)


def _weighted(entropy: Tensor, probabilities: Tensor, targets: Tensor, valid: Tensor, settings: OptimisationSettings) -> Tensor:
    loss = settings.cross_entropy * masked_mean(entropy, valid)
    if settings.dice:
        loss = loss + settings.dice * dice_loss(probabilities, targets, valid)
    if settings.component_dice:
        loss = loss + settings.component_dice * component_dice_loss(probabilities, targets, valid)
    if settings.l1:
        loss = loss + settings.l1 * masked_mean((probabilities - targets).abs(), valid)
    return loss


def deceive_loss(judged: Tensor, valid: Tensor) -> Tensor:
    """What the generator pays for being recognised: the non-saturating ``-log D`` (Eq. 2)."""
    return masked_mean(F.softplus(-judged), valid)


def judge_loss(judged_real: Tensor, judged_fake: Tensor, valid: Tensor) -> Tensor:
    """What the discriminator pays: ``-log D(truth) - log(1 - D(generated))``, halved (Eq. 2)."""
    return (masked_mean(F.softplus(-judged_real), valid) + masked_mean(F.softplus(judged_fake), valid)) / 2
