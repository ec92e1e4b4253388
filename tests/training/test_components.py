from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial import cKDTree

from crgan.training.components import component_dice_loss
from crgan.training.losses import dice_loss


def row(*values: float) -> torch.Tensor:
    """One sequence of one slice, one target, one row: (1, 1, 1, 1, W)."""
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, 1, -1)


def everywhere(like: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(like[:, :, :1])


def loss(probabilities: torch.Tensor, targets: torch.Tensor) -> float:
    return float(component_dice_loss(probabilities, targets, everywhere(targets)))


def test_a_small_lesion_counts_as_much_as_a_large_one() -> None:
    truth = row(1, 0, 0, 0, 1, 1, 1)
    small_missed, large_missed = row(0, 0, 0, 0, 1, 1, 1), row(1, 0, 0, 0, 0, 0, 0)
    # One is added above and below: of the missed one, of 1 and of 3 pixels, 1/2 and 1/4 are left.
    assert loss(small_missed, truth) == pytest.approx((1 - 1 / 2) / 2)
    assert loss(large_missed, truth) == pytest.approx((1 - 1 / 4) / 2)
    assert float(dice_loss(small_missed, truth, everywhere(truth))) == pytest.approx(1 - 7 / 8)


def test_what_is_marked_falsely_counts_against_the_nearest_lesion() -> None:
    truth = row(1, 0, 0, 0, 0, 0, 1)
    assert loss(row(1, 1, 0, 0, 0, 0, 1), truth) == pytest.approx((1 - 3 / 4) / 2)
    assert loss(row(1, 1, 1, 0, 1, 0, 1), truth) == pytest.approx(((1 - 3 / 5) + (1 - 3 / 4)) / 2)


def test_each_sequence_has_its_own_lesions() -> None:
    truth = torch.cat([row(1, 0, 0), row(0, 0, 0), row(0, 0, 1)])
    assert loss(torch.cat([row(0, 0, 0), row(1, 1, 1), row(0, 0, 1)]), truth) == pytest.approx((1 - 1 / 2) / 2)


def test_a_lesion_goes_on_from_slice_to_slice() -> None:
    truth = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 0]]).view(1, 3, 1, 1, 3)  # touches by a corner alone
    assert loss(torch.zeros_like(truth), truth) == pytest.approx(1 - 1 / 3)


def test_targets_count_alike_and_absent_ones_not_at_all() -> None:
    many, one, none = row(1, 0, 1, 0, 1), row(1, 1, 1, 0, 0), row(0, 0, 0, 0, 0)
    truth = torch.cat([many, one, none], dim=2)
    assert loss(torch.cat([many, none, many], dim=2), truth) == pytest.approx((0 + 3 / 4) / 2)


def test_half_a_pixel_is_of_a_lesion() -> None:
    assert loss(row(0, 0), row(0.5, 0.4)) == pytest.approx(1 - 1 / 1.9)  # the rest is of its surroundings
    assert loss(row(1, 1), row(0.4, 0.4)) == 0


def test_nothing_to_find_costs_nothing() -> None:
    said = row(0.3, 0.9).requires_grad_()
    found = component_dice_loss(said, row(0, 0), row(1, 1))
    found.backward()
    assert found == 0
    assert not said.grad.any()


def test_padding_changes_neither_loss_nor_gradient() -> None:
    valid = row(1, 1, 1, 0, 0)
    parts = []
    for beyond in (0.0, 1.0):
        said = row(0.6, 0.2, 0.1, 0.9 * beyond, beyond).requires_grad_()
        found = component_dice_loss(said, row(1, 0, 0, beyond, 0), valid)
        found.backward()
        assert not (said.grad * (1 - valid)).any()
        parts.append((float(found.detach()), said.grad))
    assert parts[0][0] == parts[1][0]
    assert torch.equal(parts[0][1], parts[1][1])


@given(st.integers(0, 2**32 - 1))
def test_one_component_has_the_dice_of_all(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = torch.zeros(1, 4, 1, 9, 9)
    low = random.integers(0, [3, 7, 7])
    truth[0, low[0] : low[0] + 2, 0, low[1] : low[1] + 3, low[2] : low[2] + 2] = 1
    said = torch.from_numpy(random.random(truth.shape, np.float32))
    assert loss(said, truth) == pytest.approx(float(dice_loss(said, truth, everywhere(truth))), abs=1e-5)


@given(st.integers(0, 2**32 - 1))
def test_surroundings_are_those_of_a_nearest_neighbour_search(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.random((2, 3, 1, 12, 12)) < random.choice([0.01, 0.03, 0.1])
    said = random.random(truth.shape, np.float32)
    terms: list[float] = []
    for sequence in range(len(truth)):
        mask = truth[sequence, :, 0]
        pieces, count = ndimage.label(mask, np.ones((3, 3, 3)))
        if not count:
            continue
        trees = [cKDTree(np.argwhere(pieces == number + 1)) for number in range(count)]
        distances = np.stack([tree.query(np.argwhere(np.ones_like(mask)))[0].reshape(mask.shape) for tree in trees])
        tied = (distances == distances.min(0)).sum(0) > 1
        said[sequence, :, 0][tied] = 0  # as near to one as to another: either would be right
        for number in range(count):
            near = distances.argmin(0) == number
            p, t = said[sequence, :, 0][near], mask[near]
            terms.append(1 - (2 * (p * t).sum() + 1) / (p.sum() + t.sum() + 1))
    found = loss(torch.from_numpy(said), torch.from_numpy(truth.astype(np.float32)))
    assert found == pytest.approx(np.mean(terms) if terms else 0, abs=1e-5)
