"""From logits to decisions, errors and corrected probabilities (paper, Eq. 5 to 7)."""

from __future__ import annotations

from itertools import product
from math import log

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from crgan.networks.composition import (
    corrected_logits,
    decision_odds,
    error_targets,
    hard_decision,
    on_doubts,
    target_probabilities,
)

SHARES = st.sampled_from([0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0])


def pixel(*values: float) -> Tensor:
    return torch.tensor(values).view(-1, 1, 1)


def test_exclusive_probabilities_leave_the_background_out() -> None:
    logits = torch.log(torch.tensor([0.5, 0.2, 0.3])).view(3, 1, 1)
    torch.testing.assert_close(target_probabilities(logits, exclusive=True), pixel(0.2, 0.3))


def test_region_probabilities_are_each_for_itself() -> None:
    logits = torch.logit(torch.tensor([0.9, 0.8, 0.1])).view(3, 1, 1)
    torch.testing.assert_close(target_probabilities(logits, exclusive=False), pixel(0.9, 0.8, 0.1))


@pytest.mark.parametrize("exclusive", [False, True])
def test_probabilities_of_whole_batches(exclusive: bool) -> None:
    logits = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0))
    probabilities = target_probabilities(logits, exclusive=exclusive)
    assert probabilities.shape == (2, 3, 3 if exclusive else 4, 5, 6)
    torch.testing.assert_close(probabilities[1, 2], target_probabilities(logits[1, 2], exclusive=exclusive))


@pytest.mark.parametrize(
    ("probabilities", "decided"),
    [
        ((0.6, 0.1), (True, False)),
        ((0.1, 0.6), (False, True)),
        ((0.4, 0.35), (True, False)),  # background .25: the largest wins though it has no majority
        ((0.3, 0.2), (False, False)),  # background .5
        ((0.5, 0.0), (False, False)),  # as much background: not decided for
        ((0.5, 0.5), (True, False)),  # of equals the first
        ((0.25, 0.25), (False, False)),
        ((0.0, 0.0), (False, False)),
        ((0.0, 1.0), (False, True)),
    ],
)
def test_exclusive_decision_by_hand(probabilities: tuple[float, float], decided: tuple[bool, bool]) -> None:
    assert tuple(hard_decision(pixel(*probabilities), exclusive=True).flatten().tolist()) == decided


def test_region_decision_by_hand() -> None:
    decided = hard_decision(pixel(0.49, 0.5, 0.51), exclusive=False)
    assert decided.flatten().tolist() == [False, True, True]


@given(hnp.arrays(np.float32, (2, 3, 3, 2, 2), elements=SHARES))
def test_at_most_one_exclusive_target_and_never_the_smaller(values: np.ndarray) -> None:
    probabilities = torch.from_numpy(values)
    decided = hard_decision(probabilities, exclusive=True)
    assert decided.dtype == torch.bool
    assert (decided.sum(dim=2) <= 1).all()
    best = probabilities.amax(dim=2, keepdim=True)
    assert (probabilities == best)[decided].all()
    assert ((best > 1 - probabilities.sum(dim=2, keepdim=True)).squeeze(2) == decided.any(dim=2)).all()


@pytest.mark.parametrize(
    ("truth", "decided", "missed", "added"),
    [(0, 0, 0, 0), (0, 1, 0, 1), (1, 0, 1, 0), (1, 1, 0, 0), (0.25, 0, 0.25, 0), (0.25, 1, 0, 0.75)],  # coarse pixels hold shares
)
def test_error_targets_by_hand(truth: float, decided: int, missed: float, added: float) -> None:
    found = error_targets(pixel(truth), pixel(decided) > 0)
    assert [float(mask) for mask in found] == [missed, added]


@given(hnp.arrays(np.bool_, (3, 2, 2)), hnp.arrays(np.float32, (6, 2, 2), elements=st.sampled_from([-8.0, -1.0, 0.0, 0.25, 3.0])))
def test_corrected_logits_are_those_of_the_corrected_probability(decided: np.ndarray, errors: np.ndarray) -> None:
    d, logits = torch.from_numpy(decided), torch.from_numpy(errors)
    missed, added = logits[:3].sigmoid(), logits[3:].sigmoid()
    expected = d.float() * (1 - added) + (1 - d.float()) * missed
    torch.testing.assert_close(corrected_logits(d, logits).sigmoid(), expected)


def test_corrected_logits_of_whole_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    decided, errors = torch.rand(2, 3, 2, 4, 5, generator=generator) > 0.5, torch.randn(2, 3, 4, 4, 5, generator=generator)
    found = corrected_logits(decided, errors)
    for s, t, k in product(range(2), range(3), range(2)):
        assert torch.equal(found[s, t, k], torch.where(decided[s, t, k], -errors[s, t, k + 2], errors[s, t, k]))


def test_perfect_error_masks_give_the_truth() -> None:
    truth, decided = (torch.tensor(values).view(1, 2, 2) for values in ([0.0, 0.0, 1.0, 1.0], [False, True, False, True]))
    errors = torch.cat(error_targets(truth, decided))
    torch.testing.assert_close(corrected_logits(decided, torch.logit(errors, eps=1e-6)).sigmoid(), truth, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("probabilities", "odds"),
    [
        ((0.6, 0.1), (log(0.6 / 0.3), log(0.1 / 0.6))),  # the strongest rival is the background, then the other target
        ((0.4, 0.35), (log(0.4 / 0.35), log(0.35 / 0.4))),
        ((0.25, 0.25), (log(0.25 / 0.5), log(0.25 / 0.5))),
        ((0.5, 0.0), (0.0, log(0.001 / 0.5))),
        ((0.0, 1.0), (log(0.001 / 0.999), log(0.999 / 0.001))),
    ],
)
def test_odds_of_exclusive_targets_by_hand(probabilities: tuple[float, float], odds: tuple[float, float]) -> None:
    torch.testing.assert_close(decision_odds(pixel(*probabilities), exclusive=True), pixel(*odds))


def test_odds_of_regions_by_hand() -> None:
    odds = pixel(0.0, log(0.8 / 0.2), log(0.001 / 0.999), log(0.999 / 0.001))
    torch.testing.assert_close(decision_odds(pixel(0.5, 0.8, 0.0, 1.0), exclusive=False), odds)


@given(hnp.arrays(np.float32, (3, 2, 2), elements=st.floats(0, 1, width=32)), st.booleans())
def test_a_refiner_on_doubts_that_says_nothing_changes_no_decision(values: np.ndarray, exclusive: bool) -> None:
    probabilities = torch.from_numpy(values / max(1.0, float(values.sum(0).max())) if exclusive else values)
    odds = decision_odds(probabilities, exclusive=exclusive)
    decided = hard_decision(probabilities, exclusive=exclusive)
    wavers = odds.abs() < 1e-5
    assert torch.equal((odds > 0) & ~wavers, decided & ~wavers)
    corrected = corrected_logits(decided, on_doubts(torch.zeros(6, 2, 2), probabilities, exclusive=exclusive))
    torch.testing.assert_close(corrected, odds)


def test_what_a_refiner_says_is_added_to_the_doubts() -> None:
    probabilities, errors = pixel(0.2, 0.9), pixel(3.0, 1.0, -1.0, 2.0)  # the masks of FN, then those of FP
    masks = on_doubts(errors, probabilities, exclusive=False)
    odds = torch.logit(probabilities)
    torch.testing.assert_close(masks, torch.cat([odds, -odds]) + errors)
    decided = hard_decision(probabilities, exclusive=False)
    torch.testing.assert_close(corrected_logits(decided, masks), pixel(log(0.2 / 0.8) + 3, log(0.9 / 0.1) - 2))
