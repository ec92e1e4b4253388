"""The discriminator: a logit for every pixel, from image and segmentation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from crgan.networks.discriminator import Discriminator


def sequences(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network(*, recurrent: bool = True, patient_wise: bool = True) -> Discriminator:
    torch.manual_seed(0)
    return Discriminator(5, widths=(4, 6), recurrent=recurrent, patient_wise=patient_wise)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("patient_wise", [False, True])
@pytest.mark.parametrize("size", [(4, 8), (20, 12)])
def test_judges_every_pixel(recurrent: bool, patient_wise: bool, size: tuple[int, int]) -> None:
    model = network(recurrent=recurrent, patient_wise=patient_wise)
    images, masks, valid = sequences(4, 3, 2, *size), sequences(4, 3, 3, *size), torch.ones(4, 3, 1, *size)
    judged = model(images, masks, valid, groups=2)
    assert judged.shape == (4, 3, 1, *size)
    torch.testing.assert_close(judged, model(images, masks, groups=2))


def test_the_head_before_the_resize_is_the_head_after_it() -> None:
    model = network()
    features: list[Tensor] = []
    assert model.recurrence is not None
    model.recurrence.register_forward_hook(lambda _module, _inputs, output: features.append(output))
    judged = model(sequences(2, 3, 2, 8, 12), sequences(2, 3, 3, 8, 12, seed=1))
    larger = F.interpolate(features[0].flatten(0, 1), scale_factor=4, mode="bilinear", align_corners=False)
    torch.testing.assert_close(judged.flatten(0, 1), F.conv2d(larger, model.head.weight, model.head.bias))


def test_image_and_segmentation_both_count() -> None:
    images, masks = sequences(2, 3, 2, 8, 8).requires_grad_(), sequences(2, 3, 3, 8, 8).requires_grad_()
    network()(images, masks).square().sum().backward()
    for part in (images, masks):
        assert part.grad is not None
        assert (part.grad.abs().sum((0, 1, 3, 4)) > 0).all()


def test_without_recurrence_slices_are_judged_each_for_itself() -> None:
    images, masks = sequences(1, 4, 2, 8, 8), sequences(1, 4, 3, 8, 8, seed=1)
    alone, together = (network(recurrent=recurrent, patient_wise=False).eval() for recurrent in (False, True))
    torch.testing.assert_close(alone(images, masks)[:, :2], alone(images[:, :2], masks[:, :2]))
    assert not torch.allclose(together(images, masks)[:, :2], together(images[:, :2], masks[:, :2]), atol=1e-4)


def test_groups_never_mix() -> None:
    model = network()
    images, masks = sequences(4, 3, 2, 8, 8), sequences(4, 3, 3, 8, 8, seed=1)
    other = torch.cat([images[:2], 10 * images[2:]])
    assert torch.equal(model(other, masks, groups=2)[:2], model(images, masks, groups=2)[:2])


def test_padding_enters_no_statistics_in_any_layer() -> None:
    model = network()
    given: list[tuple[Tensor, Tensor, int]] = []
    for down in (model.first, model.second):
        down.norm.register_forward_pre_hook(lambda _module, inputs: given.append(inputs))
    valid = torch.zeros(4, 3, 1, 8, 12)
    valid[:, :2, :, 1:6, :9] = 1
    model(sequences(4, 3, 2, 8, 12), sequences(4, 3, 3, 8, 12), valid, groups=2)
    for (_, mask, groups), step in zip(given, (2, 4), strict=True):
        assert torch.equal(mask, valid.flatten(0, 1)[..., ::step, ::step])
        assert groups == 2
