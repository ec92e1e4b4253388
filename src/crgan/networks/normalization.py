"""Patient-wise normalisation (paper, section 2.3 and Algorithm 1).

A statistics group is one (patient, plane). In training the mean and variance of each channel are taken over all
valid pixels and slices of the group, never across groups, so what a patient's features become does not depend on
who else is in the batch. For prediction the statistics of one pass over evenly spaced slices of the patient are
recorded and then frozen for every window of that patient.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn

# A floor under the variance: in an empty window a feature's variance is nearly zero, and dividing by it would blow
# noise up into false positives.
VARIANCE_FLOOR = 1e-3


class _GroupNormalise(torch.autograd.Function):
    """Normalise per group and channel over valid pixels.

    Written out because composed of autograd's elementary steps it takes twice the memory traffic, and the masks rule
    out the library's fused kernels.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, valid: Tensor | None, groups: int) -> tuple[Tensor, Tensor, Tensor]:
        mean, variance, count = group_statistics(x, valid, groups)
        rate = (variance + VARIANCE_FLOOR).rsqrt()
        ctx.save_for_backward(x, weight, mean, rate, valid, count)
        ctx.mark_non_differentiable(mean, variance)
        scale = weight * rate
        return _affine(x, scale, bias - mean * scale), mean, variance

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        x, weight, mean, rate, valid, count = ctx.saved_tensors
        groups = mean.shape[0]
        sum_grad = _group_sum(grad, groups)
        sum_grad_normalised = (_group_sum(grad * x, groups) - mean * sum_grad) * rate
        scale = weight * rate
        # d/dx of the normalisation, for valid pixels: scale * (grad - mean(grad) - normalised * mean(grad * normalised)).
        slope = -scale * rate * sum_grad_normalised / count
        offset = -scale * sum_grad / count - slope * mean
        through_statistics = _affine(x, slope, offset)
        if valid is not None:
            through_statistics *= valid
        through_statistics += _affine(grad, scale, None)
        return through_statistics, sum_grad_normalised.sum(0), sum_grad.sum(0), None, None


def _group_normalise(x: Tensor, weight: Tensor, bias: Tensor, valid: Tensor | None, groups: int) -> tuple[Tensor, Tensor, Tensor]:
    """Normalise ``x``; gives the groups' mean and variance too."""
    if torch.compiler.is_compiling():  # it fuses elementary steps by itself
        mean, variance, _ = group_statistics(x, valid, groups)
        scale = weight * (variance + VARIANCE_FLOOR).rsqrt()
        return _affine(x, scale, bias - mean * scale), mean, variance
    return cast("tuple[Tensor, Tensor, Tensor]", _GroupNormalise.apply(x, weight, bias, valid, groups))  # type: ignore[no-untyped-call]


def _group_sum(x: Tensor, groups: int) -> Tensor:
    """Sum ``(B, C, H, W)`` over pixels and over the slices of each group: ``(groups, C)``."""
    return x.sum(dim=(2, 3)).view(groups, -1, x.shape[1]).sum(1)


def _affine(x: Tensor, scale: Tensor, shift: Tensor | None) -> Tensor:
    """Scale and shift ``(B, C, H, W)`` by ``(groups, C)`` values."""
    groups, channels = scale.shape
    slices = x.shape[0] // groups
    factor = scale.repeat_interleave(slices, 0).view(-1, channels, 1, 1)
    if shift is None:
        return x * factor
    return torch.addcmul(shift.repeat_interleave(slices, 0).view(-1, channels, 1, 1), x, factor)


def group_statistics(x: Tensor, valid: Tensor | None, groups: int) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and (biased) variance of each channel of each group over its valid pixels.

    Parameters
    ----------
    x
        ``(B, C, H, W)`` features; the ``B`` slices are ordered by group, ``B / groups`` each.
    valid
        ``(B, 1, H, W)``, 1 where a pixel counts and 0 in padding; None if all count.
    groups
        How many (patient, plane) groups the slices belong to.

    Returns
    -------
    mean, variance
        ``(groups, C)``; 0 for a group without a valid pixel.
    count
        ``(groups, 1)``, valid pixels, at least 1.
    """
    counted = x if valid is None else x * valid
    if valid is None:
        count = torch.full((groups, 1), x.numel() / x.shape[1] / groups, dtype=x.dtype, device=x.device)
    else:
        count = _group_sum(valid, groups).clamp_min(1.0)
    mean = _group_sum(counted, groups) / count
    squares = _group_sum(counted * x, groups) / count
    return mean, (squares - mean * mean).clamp_min(0.0), count


class PatientNorm(nn.Module):
    """Patient-wise normalisation with a learned scale and shift per channel.

    Parameters
    ----------
    channels
        Channels of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.recording = False
        self.frozen: tuple[Tensor, Tensor] | None = None

    def affine(self) -> tuple[Tensor, Tensor] | None:
        """The scale and shift ``(C,)`` that normalise a patient whose statistics are frozen; None while they are not."""
        if self.frozen is None or self.recording:
            return None
        mean, variance = self.frozen
        scale = self.weight * (variance[0] + VARIANCE_FLOOR).rsqrt()
        return scale, self.bias - mean[0] * scale

    def forward(self, x: Tensor, valid: Tensor | None, groups: int) -> Tensor:
        """Normalise ``(B, C, H, W)`` features; see :func:`group_statistics` for ``valid`` and ``groups``."""
        frozen = self.affine()
        if frozen is not None:
            scale, shift = (values.to(x.dtype)[None] for values in frozen)
            return _affine(x, scale, shift)
        # Statistics need float32 whatever precision the convolutions run in.
        y, mean, variance = _group_normalise(x.float(), self.weight, self.bias, valid, groups)
        if self.recording:
            self.frozen = (mean, variance)
        return y.to(x.dtype)


class RunningNorm(nn.Module):
    """Batch normalisation with running averages: what the paper compares patient-wise normalisation with.

    Parameters
    ----------
    channels
        Channels of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps=VARIANCE_FLOOR)

    def affine(self) -> tuple[Tensor, Tensor] | None:
        """The scale and shift ``(C,)`` by the running averages; None in training."""
        if self.training:
            return None
        scale = self.norm.weight * (cast("Tensor", self.norm.running_var) + VARIANCE_FLOOR).rsqrt()
        return scale, self.norm.bias - cast("Tensor", self.norm.running_mean) * scale

    def forward(self, x: Tensor, valid: Tensor | None, groups: int) -> Tensor:  # noqa: ARG002 - the batch is one group
        """Normalise ``(B, C, H, W)`` features with statistics of the whole batch (training) or running averages."""
        if not self.training or valid is None:
            return cast("Tensor", self.norm(x))
        mean, variance, count = group_statistics(x.detach().float(), valid, 1)
        with torch.no_grad():
            momentum = cast("float", self.norm.momentum)
            unbiased = variance * count / (count - 1).clamp_min(1.0)
            cast("Tensor", self.norm.running_mean).lerp_(mean[0], momentum)
            cast("Tensor", self.norm.running_var).lerp_(unbiased[0], momentum)
        y, *_ = _group_normalise(x.float(), self.norm.weight, self.norm.bias, valid, 1)
        return y.to(x.dtype)


def make_norm(channels: int, *, patient_wise: bool) -> PatientNorm | RunningNorm:
    """Choose the normalisation by the ± patient-wise switch."""
    return PatientNorm(channels) if patient_wise else RunningNorm(channels)


@contextmanager
def recording_statistics(network: nn.Module) -> Iterator[None]:
    """Within this context the network's patient-wise layers record the statistics of what passes through them."""
    layers = [layer for layer in network.modules() if isinstance(layer, PatientNorm)]
    for layer in layers:
        layer.recording = True
    try:
        yield
    finally:
        for layer in layers:
            layer.recording = False


@contextmanager
def patient_statistics(network: nn.Module) -> Iterator[None]:
    """Within this context recorded statistics stay frozen; on leaving, the patient is forgotten."""
    try:
        yield
    finally:
        for layer in network.modules():
            if isinstance(layer, PatientNorm):
                layer.frozen = None
