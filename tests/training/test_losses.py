from __future__ import annotations

import math

import pytest
import torch
from monai.losses import DiceLoss

from crgan.config import OptimisationSettings
from crgan.training.losses import binary_loss, deceive_loss, dice_loss, judge_loss, masked_mean, segmentation_loss

CE = OptimisationSettings(cross_entropy=1, dice=0, l1=0)
COMPONENTS = OptimisationSettings(cross_entropy=0, dice=0, component_dice=1)
DICE = OptimisationSettings(cross_entropy=0, dice=1, l1=0)
L1 = OptimisationSettings(cross_entropy=0, dice=0, l1=1)


def pixels(*values: float) -> torch.Tensor:
    """One sequence of one slice, one channel, one row: (1, 1, 1, 1, W)."""
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, 1, -1)


@pytest.fixture
def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of three classes, exclusive targets of the two in front, nothing masked."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 3, 4, 5, generator=generator)
    codes = torch.randint(0, 3, (2, 3, 4, 5), generator=generator)
    targets = torch.stack([(codes == 1).float(), (codes == 2).float()], dim=2)
    return logits, targets, torch.ones(2, 3, 1, 4, 5)


def test_masked_mean_leaves_out_what_is_not_valid() -> None:
    assert masked_mean(pixels(1, 2, 3, 100), pixels(1, 1, 1, 0)) == 2
    assert masked_mean(pixels(1, 2), pixels(0, 0)) == 0
    two_channels = torch.cat([pixels(1, 5), pixels(3, 5)], dim=2)
    assert masked_mean(two_channels, pixels(1, 0)) == 2


def test_dice_by_hand() -> None:
    # 2 * 0.5 + 1 over 0.5 + 1 + 1: both have one pixel, half of it agreed on, and one is added for smoothness.
    assert dice_loss(pixels(0.5, 0.0), pixels(1, 0), pixels(1, 1)) == pytest.approx(1 - 2 / 2.5)
    # The third pixel is padding: what is said of it does not count.
    assert dice_loss(pixels(0.5, 0.0, 1.0), pixels(1, 0, 0), pixels(1, 1, 0)) == pytest.approx(1 - 2 / 2.5)


def test_a_target_that_is_absent_and_not_predicted_costs_nothing() -> None:
    assert dice_loss(pixels(0, 0), pixels(0, 0), pixels(1, 1)) == 0
    assert dice_loss(pixels(1, 1), pixels(0, 0), pixels(1, 1)) == pytest.approx(2 / 3)


def test_dice_is_monais_where_nothing_is_masked(batch) -> None:
    logits, targets, valid = batch
    probabilities = logits.softmax(2)[:, :, 1:]
    theirs = DiceLoss(batch=True, smooth_nr=1, smooth_dr=1)  # over the whole batch, with one added above and below
    flat = [part.flatten(0, 1) for part in (probabilities, targets)]
    assert float(dice_loss(probabilities, targets, valid)) == pytest.approx(float(theirs(*flat)), abs=1e-6)


def test_cross_entropy_of_exclusive_targets_is_that_of_pytorch(batch) -> None:
    logits, targets, valid = batch
    codes = targets[:, :, 0] + 2 * targets[:, :, 1]
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), codes.flatten(0, 1).long())
    assert float(segmentation_loss(logits, targets, valid, exclusive=True, settings=CE)) == pytest.approx(float(expected), abs=1e-6)


def test_cross_entropy_of_regions_is_that_of_pytorch(batch) -> None:
    logits, targets, valid = batch
    regions = torch.stack([targets.sum(2), targets[:, :, 1]], dim=2)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, :, :2], regions)
    for loss in (
        segmentation_loss(logits[:, :, :2], regions, valid, exclusive=False, settings=CE),
        binary_loss(logits[:, :, :2], regions, valid, settings=CE),
    ):
        assert float(loss) == pytest.approx(float(expected), abs=1e-6)


def test_cross_entropy_of_targets_that_share_a_pixel() -> None:
    """At a coarse resolution a pixel may belong to targets in parts: the entropy is weighted by them."""
    logits = torch.tensor([0.0, math.log(2), math.log(5)]).view(1, 1, 3, 1, 1)  # probabilities 1/8, 2/8, 5/8
    targets = torch.tensor([0.25, 0.5]).view(1, 1, 2, 1, 1)
    expected = -(0.25 * math.log(1 / 8) + 0.25 * math.log(2 / 8) + 0.5 * math.log(5 / 8))
    loss = segmentation_loss(logits, targets, torch.ones(1, 1, 1, 1, 1), exclusive=True, settings=CE)
    assert float(loss) == pytest.approx(expected, abs=1e-6)


def test_l1_by_hand() -> None:
    logits = torch.tensor([0.0, math.log(3)]).view(1, 1, 1, 1, 2)  # probabilities 1/2 and 3/4
    targets = pixels(1, 0)
    assert float(segmentation_loss(logits, targets, pixels(1, 1), exclusive=False, settings=L1)) == pytest.approx((0.5 + 0.75) / 2)


def test_the_weights_add_up(batch) -> None:
    logits, targets, valid = batch
    both = OptimisationSettings(cross_entropy=2, dice=3, l1=5, component_dice=7)
    alone = (CE, DICE, L1, COMPONENTS)
    for exclusive, given in ((True, logits), (False, logits[:, :, :2])):
        parts = [segmentation_loss(given, targets, valid, exclusive=exclusive, settings=settings) for settings in alone]
        expected = sum(weight * float(part) for weight, part in zip((2, 3, 5, 7), parts, strict=True))
        assert float(segmentation_loss(given, targets, valid, exclusive=exclusive, settings=both)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("exclusive", [True, False])
def test_padding_changes_neither_loss_nor_gradient(batch, exclusive: bool) -> None:
    logits, targets, valid = batch
    logits = logits if exclusive else logits[:, :, :2]
    settings = OptimisationSettings(cross_entropy=1, dice=1, l1=1, component_dice=1)
    valid = valid.clone()
    valid[:, 2] = 0
    valid[..., 4] = 0
    other_logits, other_targets = logits.clone(), targets.clone()
    other_logits[:, 2] = 50
    other_targets[..., 4] = 1 - other_targets[..., 4]
    losses, gradients = [], []
    for given, truth in ((logits, targets), (other_logits, other_targets)):
        leaf = given.clone().requires_grad_()
        loss = segmentation_loss(leaf, truth, valid, exclusive=exclusive, settings=settings)
        loss.backward()
        losses.append(float(loss.detach()))
        gradients.append(leaf.grad * valid)
        assert not (leaf.grad * (1 - valid)).any()
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-7)


def test_adversarial_losses_by_hand() -> None:
    sure, unsure = pixels(math.log(3)), pixels(0.0)  # D says 3/4 and 1/2
    one = pixels(1)
    assert float(deceive_loss(sure, one)) == pytest.approx(-math.log(3 / 4))
    assert float(judge_loss(sure, unsure, one)) == pytest.approx((-math.log(3 / 4) - math.log(1 / 2)) / 2)
    assert float(judge_loss(unsure, sure, one)) == pytest.approx((-math.log(1 / 2) - math.log(1 / 4)) / 2)
    # Padding is neither real nor fake.
    assert float(deceive_loss(pixels(math.log(3), -99.0), pixels(1, 0))) == pytest.approx(-math.log(3 / 4))
    assert float(judge_loss(pixels(0, 9), pixels(0, 9), pixels(1, 0))) == pytest.approx(math.log(2))
