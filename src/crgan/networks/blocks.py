"""The two building blocks of every network: a convolution that halves the grid, and one that follows a doubling."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor, nn

from crgan.networks.normalization import make_norm

SLOPE = 0.01  # of the leaky ReLU for negative values


class Down(nn.Module):
    """Convolution of kernel 5 and stride 2, normalisation, leaky ReLU (paper, section 2.2.1).

    Parameters
    ----------
    channels, width
        Channels of the input and the output.
    patient_wise
        Normalise patient by patient, else by batch.
    """

    def __init__(self, channels: int, width: int, *, patient_wise: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, width, 5, stride=2, padding=2, bias=False)
        self.norm = make_norm(width, patient_wise=patient_wise)

    def forward(self, x: Tensor, valid: Tensor | None, groups: int) -> Tensor:
        """``(B, channels, H, W)`` to ``(B, width, H / 2, W / 2)``; ``valid`` is on the output's grid."""
        return F.leaky_relu(self.norm(self.convolution(x), valid, groups), SLOPE, inplace=True)


class Up(nn.Module):
    """Resize by 2, concatenate the skip, convolution of kernel 3, normalisation, leaky ReLU (paper, section 2.2.1).

    Parameters
    ----------
    channels, skip, width
        Channels of the input, of the skip connection and of the output.
    patient_wise
        Normalise patient by patient, else by batch.
    """

    def __init__(self, channels: int, skip: int, width: int, *, patient_wise: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels + skip, width, 3, padding=1, bias=False)
        self.norm = make_norm(width, patient_wise=patient_wise)

    def forward(self, x: Tensor, skip: Tensor, valid: Tensor | None, groups: int) -> Tensor:
        """``(B, channels, H, W)`` and ``(B, skip, 2H, 2W)`` to ``(B, width, 2H, 2W)``; ``valid`` is on the output's grid."""
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = self.convolution(torch.cat([x, skip], dim=1))
        return F.leaky_relu(self.norm(x, valid, groups), SLOPE, inplace=True)


def validity_pyramid(valid: Tensor | None, depth: int) -> list[Tensor | None]:
    """The mask of valid pixels at every resolution, the finest first.

    Parameters
    ----------
    valid
        ``(B, 1, H, W)`` float, 1 inside the image and 0 in padding; None if there is no padding.
    depth
        How often the grid is halved.
    """
    pyramid = [valid]
    for _ in range(depth):
        valid = None if valid is None else valid[:, :, ::2, ::2].contiguous()
        pyramid.append(valid)
    return pyramid
