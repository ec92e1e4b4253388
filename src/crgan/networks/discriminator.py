"""The discriminator: real or fake for every pixel (paper, section 3.2.2: a PatchGAN with N = 1)."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from crgan.networks.blocks import Down, validity_pyramid
from crgan.networks.recurrence import BidirectionalConvLSTM


class Discriminator(nn.Module):
    """Two halvings, a ConvLSTM at a quarter of the resolution, and a resize back to a logit per pixel.

    Parameters
    ----------
    channels
        Modalities plus targets.
    widths
        Channels after each halving.
    recurrent
        Put a ConvLSTM after the last convolution.
    patient_wise
        Normalise patient by patient, else by batch.
    """

    def __init__(self, channels: int, *, widths: tuple[int, int], recurrent: bool, patient_wise: bool) -> None:
        super().__init__()
        self.first = Down(channels, widths[0], patient_wise=patient_wise)
        self.second = Down(widths[0], widths[1], patient_wise=patient_wise)
        self.recurrence = BidirectionalConvLSTM(widths[1], widths[1]) if recurrent else None
        self.head = nn.Conv2d(widths[1], 1, 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, images: Tensor, segmentation: Tensor, valid: Tensor | None = None, *, groups: int = 1) -> Tensor:
        """Judge a segmentation of ``images``.

        Parameters
        ----------
        images, segmentation
            ``(S, T, M, H, W)`` and ``(S, T, K, H, W)``.
        valid
            ``(S, T, 1, H, W)``, 1 inside the image and 0 in padding; None if there is no padding.
        groups
            How many (patient, plane) groups the sequences belong to.

        Returns
        -------
        Tensor
            ``(S, T, 1, H, W)`` logits, positive for real.
        """
        sequences = images.shape[:2]
        masks = validity_pyramid(None if valid is None else valid.flatten(0, 1), 2)
        x = torch.cat([images, segmentation], dim=2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        x = self.second(self.first(x, masks[1], groups), masks[2], groups)
        if self.recurrence is not None:
            x = self.recurrence(x.unflatten(0, sequences)).flatten(0, 1)
        # A 1 x 1 convolution and a resize commute, and the convolution is 16 times cheaper before it.
        x = F.interpolate(self.head(x), size=images.shape[-2:], mode="bilinear", align_corners=False)
        return cast("Tensor", x.unflatten(0, sequences))
