from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from crgan.evaluation.sizes import size_rates, wilson


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (3, 10), (99, 100), (0, 50)])
def test_interval_is_wilsons(hits: int, n: int) -> None:
    expected = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits, n) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_classes_double_and_empty_ones_are_left_out() -> None:
    rates = size_rates(np.array([0.7, 4.0, 7.9, 8.0, 40.0]), np.array([False, True, False, True, True]))
    told = [(rate.low, rate.high, rate.lesions, rate.found) for rate in rates]
    assert told == [(0.5, 1, 1, 0), (4, 8, 2, 1), (8, 16, 1, 1), (32, 64, 1, 1)]
    assert rates[1].share == 0.5
    assert size_rates(np.zeros(0), np.zeros(0, bool)) == []
