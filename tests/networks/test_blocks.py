"""The building blocks: what they halve and double, what they join, and the masks on the way."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from crgan.networks.blocks import SLOPE, Down, Up, validity_pyramid
from crgan.networks.normalization import VARIANCE_FLOOR


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def normalised(x: Tensor) -> Tensor:
    mean, variance = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), keepdim=True, unbiased=False)
    return F.leaky_relu((x - mean) / (variance + VARIANCE_FLOOR).sqrt(), SLOPE)


def test_down_is_convolution_normalisation_activation() -> None:
    torch.manual_seed(0)
    down = Down(3, 5, patient_wise=True)
    x = images(2, 3, 8, 6)
    expected = normalised(F.conv2d(x, down.convolution.weight, stride=2, padding=2))
    assert expected.shape == (2, 5, 4, 3)
    torch.testing.assert_close(down(x, None, 1), expected)


def test_up_is_resize_skip_convolution_normalisation_activation() -> None:
    torch.manual_seed(0)
    up = Up(3, 2, 5, patient_wise=True)
    x, skip = images(2, 3, 4, 3), images(2, 2, 8, 6, seed=1)
    larger = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = normalised(F.conv2d(torch.cat([larger, skip], 1), up.convolution.weight, padding=1))
    assert expected.shape == (2, 5, 8, 6)
    torch.testing.assert_close(up(x, skip, None, 1), expected)


@pytest.mark.parametrize("patient_wise", [False, True])
def test_the_switch_reaches_the_blocks(patient_wise: bool) -> None:
    kinds = {type(block.norm).__name__ for block in (Down(1, 2, patient_wise=patient_wise), Up(1, 1, 2, patient_wise=patient_wise))}
    assert kinds == {"PatientNorm" if patient_wise else "RunningNorm"}


def test_masks_are_halved_with_the_grid() -> None:
    valid = torch.zeros(1, 1, 8, 8)
    valid[..., :5, :3] = 1
    pyramid = [mask for mask in validity_pyramid(valid, 3) if mask is not None]
    assert [tuple(mask.shape[-2:]) for mask in pyramid] == [(8, 8), (4, 4), (2, 2), (1, 1)]
    assert torch.equal(pyramid[0], valid)
    # Rows 0, 2 and 4 of the 5 are kept, then 0 and 4, then 0; of the 3 columns 0 and 2, then 0.
    assert [(int(mask[0, 0, :, 0].sum()), int(mask[0, 0, 0].sum())) for mask in pyramid] == [(5, 3), (3, 2), (2, 1), (1, 1)]


def test_without_padding_there_are_no_masks() -> None:
    assert validity_pyramid(None, 2) == [None, None, None]


def remember(block: Down | Up, *inputs: Tensor) -> None:
    """Freeze the statistics of these inputs, or let running averages take them in."""
    block.norm.recording = True
    with torch.no_grad():
        block.norm.weight.uniform_(-1, 2) if hasattr(block.norm, "weight") else block.norm.norm.weight.uniform_(-1, 2)
        block.train()
        block(*inputs, None, 1)
    block.norm.recording = False
    block.eval()


@pytest.mark.parametrize("patient_wise", [False, True])
def test_with_fixed_statistics_down_is_the_same_function(patient_wise: bool) -> None:
    torch.manual_seed(0)
    down = Down(3, 5, patient_wise=patient_wise)
    assert down.train().norm.affine() is None
    remember(down, images(2, 3, 8, 6))
    x = images(4, 3, 10, 8, seed=1)
    expected = F.leaky_relu(down.norm(F.conv2d(x, down.convolution.weight, stride=2, padding=2), None, 1), SLOPE)
    torch.testing.assert_close(down(x, None, 1), expected)


@pytest.mark.parametrize("patient_wise", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 3)])
def test_with_fixed_statistics_up_is_the_same_function(patient_wise: bool, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    up = Up(3, 2, 5, patient_wise=patient_wise)
    remember(up, images(2, 3, 4, 3), images(2, 2, 8, 6, seed=1))
    x, skip = images(3, 3, *size, seed=2), images(3, 2, 2 * size[0], 2 * size[1], seed=3)
    larger = x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = F.leaky_relu(up.norm(F.conv2d(torch.cat([larger, skip], 1), up.convolution.weight, padding=1), None, 1), SLOPE)
    torch.testing.assert_close(up(x, skip, None, 1), expected)
