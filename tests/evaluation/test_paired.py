from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from crgan.evaluation.paired import compare_paired, holm

NAMES = [f"p{number}" for number in range(40)]


def test_by_hand() -> None:
    first = [0.5, 0.6, 0.7, 0.4, 0.8, 0.3]
    second = [0.6, 0.8, 1.0, 0.8, 1.3, 0.9]  # better by 1, 2 … 6 tenths
    found = compare_paired(first, second, NAMES[:6])
    assert (found.n, found.effect) == (6, 1)
    assert found.difference == pytest.approx(0.35)
    assert found.wilcoxon_p == pytest.approx(2 / 2**6)  # of all signs only all plus and all minus are so extreme
    assert found.permutation_p == pytest.approx(2 / 2**6)
    assert compare_paired(second, first, NAMES[:6]).effect == -1


def test_effect_weighs_by_rank() -> None:
    found = compare_paired([0, 0, 0, 0], [1, 2, 3, -4], NAMES[:4])
    assert found.effect == pytest.approx((1 + 2 + 3 - 4) / 10)


def test_agrees_with_scipy_on_twenty_patients() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(0, 1, 20), rng.normal(0.4, 1, 20)
    found = compare_paired(first.tolist(), second.tolist(), NAMES[:20])
    assert found.wilcoxon_p == pytest.approx(stats.wilcoxon(second, first).pvalue)
    assert found.permutation_p == pytest.approx(stats.ttest_rel(second, first).pvalue, abs=0.02)


@pytest.mark.parametrize("differences", [[1, 1, 2, -1, 3, 3, 0], [0.5, 0.5, 0.5, -0.5, 0.25, -0.25, -1, 2], [-1] * 6 + [1]])
def test_signed_ranks_with_ties_are_tested_as_scipy_does(differences: list[float]) -> None:
    patients = [str(number) for number in range(len(differences))]
    found = compare_paired([0.0] * len(differences), differences, patients)
    expected = stats.wilcoxon([value for value in differences if value]).pvalue
    assert found.wilcoxon_p == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [0, 1, 2, 5])
def test_too_few_patients_are_described_and_not_tested(n: int) -> None:
    found = compare_paired([0.1 * i for i in range(n)], [0.2 * i + 0.1 for i in range(n)], NAMES[:n])
    assert (found.n, found.wilcoxon_p, found.permutation_p) == (n, None, None)
    assert (found.difference is None) == (n == 0)
    assert (found.ci_low is None) == (n < 3)


def test_a_patient_counts_once_however_many_cases_there_are() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random(7).tolist(), rng.random(7).tolist()
    assert compare_paired(first * 4, second * 4, NAMES[:7] * 4).wilcoxon_p == compare_paired(first, second, NAMES[:7]).wilcoxon_p
    few = compare_paired(rng.random(12).tolist(), rng.random(12).tolist(), ["a", "b", "c"] * 4)
    assert (few.n, few.wilcoxon_p) == (3, None)


def test_cases_without_a_value_in_either_are_left_out() -> None:
    found = compare_paired([0.1, None, 0.3], [0.2, 0.5, None], NAMES[:3])
    assert (found.n, found.difference) == (1, pytest.approx(0.1))


def test_systems_that_are_the_same_do_not_differ() -> None:
    found = compare_paired([0.5] * 8, [0.5] * 8, NAMES[:8])
    assert (found.difference, found.ci_low, found.ci_high, found.effect, found.wilcoxon_p, found.permutation_p) == (0, 0, 0, 0, 1, 1)


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.02, None, 0.01], [0.02, None, 0.02]),
        ([None], [None]),
        ([], []),
    ],
)
def test_holm_by_hand(p_values: list[float | None], expected: list[float | None]) -> None:
    assert holm(p_values) == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_only_raises_and_keeps_the_order(p_values: list[float]) -> None:
    corrected = holm(p_values)
    assert all(p <= c <= 1 for p, c in zip(p_values, corrected, strict=True))
    assert [c for _, c in sorted(zip(p_values, corrected, strict=True))] == sorted(corrected)
