from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from crgan.evaluation.statistics import Mean, bootstrap_mean

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def test_undefined_values_are_left_out() -> None:
    result = bootstrap_mean([0.2, None, 0.4, 0.9, None], list("abcde"))
    assert result.mean == pytest.approx(0.5)
    assert result.n == 3
    assert result.ci_low is not None


@pytest.mark.parametrize("values", [[], [None, None]])
def test_no_value_gives_no_mean(values: list[None]) -> None:
    assert bootstrap_mean(values, LETTERS[: len(values)]) == Mean(mean=None, ci_low=None, ci_high=None, n=0)


@pytest.mark.parametrize("patients", ["ab", "aabb", "aaaaaaa"])
def test_fewer_than_three_patients_give_no_interval(patients: str) -> None:
    result = bootstrap_mean([0.1 * i for i in range(len(patients))], list(patients))
    assert result.mean is not None
    assert (result.ci_low, result.ci_high, result.n) == (None, None, len(patients))


@given(st.lists(st.floats(0, 1), min_size=3, max_size=20))
def test_interval_lies_within_the_values_and_is_the_same_each_time(values: list[float]) -> None:
    patients = list(LETTERS[: len(values)])
    result = bootstrap_mean(values, patients, resamples=300)
    assert result == bootstrap_mean(values, patients, resamples=300)
    assert result.ci_low is not None
    assert result.ci_high is not None
    assert min(values) - 1e-12 <= result.ci_low <= result.ci_high <= max(values) + 1e-12


def test_agrees_with_scipy_where_every_patient_has_one_case() -> None:
    values = np.random.default_rng(0).beta(5, 2, 25)
    result = bootstrap_mean(values.tolist(), list(LETTERS[:25]), resamples=20000)
    level = 1 - 2 * stats.norm.sf(stats.t.ppf(0.975, 24) * np.sqrt(25 / 24))
    theirs = stats.bootstrap(
        (values,), np.mean, method="BCa", confidence_level=level, n_resamples=20000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert (result.ci_low, result.ci_high) == pytest.approx(tuple(theirs), abs=0.003)


def test_cases_of_one_patient_do_not_make_the_mean_surer() -> None:
    values = np.random.default_rng(1).beta(5, 2, 12).tolist()
    alone = bootstrap_mean(values, list(LETTERS[:12]))
    thrice = bootstrap_mean(values * 3, list(LETTERS[:12]) * 3)
    assert thrice.n == 36
    assert (thrice.mean, thrice.ci_low, thrice.ci_high) == pytest.approx((alone.mean, alone.ci_low, alone.ci_high))
    taken_for_others = bootstrap_mean(values * 3, [str(i) for i in range(36)])
    assert taken_for_others.ci_low is not None
    assert alone.ci_low is not None
    assert taken_for_others.ci_low > alone.ci_low


def test_interval_leans_to_the_longer_tail() -> None:
    skewed = (np.random.default_rng(3).exponential(size=20) ** 2).tolist()
    result = bootstrap_mean(skewed, list(LETTERS[:20]))
    assert result.ci_high - result.mean > 1.3 * (result.mean - result.ci_low)


@pytest.mark.parametrize(("values", "patients"), [([0.3] * 8, "abcdefgh"), ([0.1, 0.3] * 4, "aabbccdd")])
def test_patients_who_are_all_alike_leave_no_doubt(values: list[float], patients: str) -> None:
    result = bootstrap_mean(values, list(patients))
    assert result.ci_low == result.mean == result.ci_high
