from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from crgan.evaluation.calibration import reliability


def test_by_hand() -> None:
    probability = np.array([0.1, 0.1, 0.1, 0.1, 0.9, 0.7])
    truth = np.array([False, False, False, True, True, True])
    found = reliability(probability, truth, bins=5)
    expected, observed = found.curve()
    assert expected.tolist() == pytest.approx([0.1, 0.7, 0.9])
    assert observed.tolist() == pytest.approx([0.25, 1, 1])
    assert found.ece == pytest.approx((4 * 0.15 + 0.3 + 0.1) / 6)
    assert found.brier == pytest.approx((3 * 0.01 + 0.81 + 0.01 + 0.09) / 6)


def test_ends_of_the_range_have_their_bins() -> None:
    found = reliability(np.array([0.0, 0.5, 1.0]), np.array([False, False, True]), bins=2)
    assert found.voxels.tolist() == [2, 1]  # the upper end belongs to its bin


def test_no_voxels_say_nothing() -> None:
    found = reliability(np.array([0.3]), np.array([True]), within=np.array([False]))
    assert (found.ece, found.brier) == (None, None)
    assert [len(values) for values in found.curve()] == [0, 0]


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=40))
def test_cases_add_up_and_agree_with_scikit_learn(voxels: list[tuple[float, bool]]) -> None:
    probability, truth = np.array([p for p, _ in voxels]), np.array([t for _, t in voxels])
    whole = reliability(probability, truth)
    parts = reliability(probability[:1], truth[:1]) + reliability(probability[1:], truth[1:])
    assert (parts.ece, parts.brier) == pytest.approx((whole.ece, whole.brier))
    assert whole.brier == pytest.approx(oracle.brier_score_loss(truth, probability, pos_label=True, labels=[False, True]))
    within = np.arange(truth.size) > 0
    assert reliability(probability, truth, within=within).brier == pytest.approx(reliability(probability[1:], truth[1:]).brier)


@pytest.mark.parametrize(
    ("probability", "truth"),
    [
        (np.array([1.2]), np.array([True])),
        (np.array([0.2]), np.array([1])),
        (np.array([0.2]), np.array([[True]])),
        (np.array([np.nan]), np.array([True])),
    ],
)
def test_what_is_no_probability_is_refused(probability: np.ndarray, truth: np.ndarray) -> None:
    with pytest.raises(ValueError, match="must"):
        reliability(probability, truth)
