"""The architecture that the generator and the refiner share (paper, sections 2.2.1 to 2.2.3 and 3.2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from crgan.networks.blocks import Down, Up, validity_pyramid
from crgan.networks.recurrence import BidirectionalConvLSTM


class RecurrentUNet(nn.Module):
    """An encoder-decoder over the slices of sequences, with a bidirectional ConvLSTM at the bottleneck.

    Layer ``i`` of the encoder is concatenated to layer ``n - i`` of the decoder; the last layer also sees the input
    at full resolution.

    Parameters
    ----------
    channels
        Channels of the input: the modalities, for the refiner also the generator's probabilities.
    outputs
        Channels of the output.
    widths
        Channels at full resolution and after each halving; ``len(widths) - 1`` is the depth.
    recurrent_width
        Channels of the ConvLSTM at the bottleneck; None for none: every slice is then segmented for itself.
    patient_wise
        Normalise patient by patient, else by batch.
    """

    def __init__(self, channels: int, outputs: int, *, widths: Sequence[int], recurrent_width: int | None, patient_wise: bool) -> None:
        super().__init__()
        sizes = [channels, *widths[1:]]
        self.channels = channels
        self.depth = len(widths) - 1
        self.down = nn.ModuleList(Down(sizes[i], sizes[i + 1], patient_wise=patient_wise) for i in range(self.depth))
        self.recurrence = BidirectionalConvLSTM(sizes[-1], recurrent_width) if recurrent_width else None
        below = [*widths[:-1], recurrent_width or widths[-1]]
        self.up = nn.ModuleList(Up(below[i + 1], sizes[i], widths[i], patient_wise=patient_wise) for i in reversed(range(self.depth)))
        self.head = nn.Conv2d(widths[0], outputs, 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload] # the layout in which convolutions run fastest, on CPUs too

    def forward(self, x: Tensor, valid: Tensor | None = None, *, groups: int = 1) -> Tensor:
        """Map sequences to logits.

        Parameters
        ----------
        x
            ``(S, T, channels, H, W)``: S sequences of T slices, ordered by group; H and W multiples of ``2 ** depth``.
        valid
            ``(S, T, 1, H, W)``, 1 inside the image and 0 in padding; None if there is no padding.
        groups
            How many (patient, plane) groups the sequences belong to, ``S / groups`` each.

        Returns
        -------
        Tensor
            ``(S, T, outputs, H, W)`` logits.
        """
        sequences = x.shape[:2]
        masks = validity_pyramid(None if valid is None else valid.flatten(0, 1), self.depth)
        x = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        skips = []
        for level, down in enumerate(self.down, start=1):
            skips.append(x)
            x = down(x, masks[level], groups)
        if self.recurrence is not None:
            x = self.recurrence(x.unflatten(0, sequences)).flatten(0, 1)
        for level, up in zip(reversed(range(self.depth)), self.up, strict=True):
            x = up(x, skips[level], masks[level], groups)
        return cast("Tensor", self.head(x).unflatten(0, sequences))
