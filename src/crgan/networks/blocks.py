"""The two building blocks of every network: a convolution that halves the grid, and one that follows a doubling.

Where the normalisation is a fixed scale and shift, as at prediction, it is folded into the convolution; and the convolution that
follows a doubling then never sees the doubled features. Both are the same function, computed in half of the time.
"""

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
        fixed = self.norm.affine()
        if fixed is not None:
            weight, bias = _folded(self.convolution.weight, *fixed, x.dtype)
            return F.leaky_relu(F.conv2d(x, weight, bias, stride=2, padding=2), SLOPE, inplace=True)
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
        fixed = self.norm.affine()
        if fixed is not None:
            weight, bias = _folded(self.convolution.weight, *fixed, x.dtype)
            below, beside = weight.split([x.shape[1], skip.shape[1]], dim=1)
            y = F.conv_transpose2d(x, _doubling(below), bias, stride=2, padding=1)
            y += F.conv2d(skip, beside.contiguous(memory_format=torch.channels_last), padding=1)
            return F.leaky_relu_(y, SLOPE)
        x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = self.convolution(torch.cat([x, skip], dim=1))
        return F.leaky_relu(self.norm(x, valid, groups), SLOPE, inplace=True)


def _folded(weight: Tensor, scale: Tensor, shift: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that scales and shifts its output by values ``(width,)``."""
    return (weight * scale.view(-1, 1, 1, 1)).to(dtype), shift.to(dtype)


def _doubling(weight: Tensor) -> Tensor:
    """The kernel whose transposed convolution of stride 2 and padding 1 doubles the grid and convolves by ``weight`` in one.

    A doubled pixel is four equal ones, so that of the 3 × 3 places that a convolution looks at there, those within one pixel can
    be added up beforehand: 4 multiplications in place of 9, and no doubled features to write and read.

    Parameters
    ----------
    weight
        ``(width, channels, 3, 3)``.

    Returns
    -------
    Tensor
        ``(channels, width, 4, 4)``.
    """
    flipped = weight.transpose(0, 1).flip(2, 3)
    kernel = flipped.new_zeros(*flipped.shape[:2], 4, 4).contiguous(memory_format=torch.channels_last)
    for row in (0, 1):
        for column in (0, 1):
            kernel[..., row : row + 3, column : column + 3] += flipped
    return kernel


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
