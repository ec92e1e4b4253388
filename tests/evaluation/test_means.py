from __future__ import annotations

import numpy as np

from crgan.evaluation.means import known_mean


def test_what_is_not_known_counts_for_nothing() -> None:
    values = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan]])
    np.testing.assert_array_equal(known_mean(values), [2, 5, np.nan])


def test_the_mean_of_nothing_is_not_known() -> None:
    np.testing.assert_array_equal(known_mean(np.zeros((0, 2))), [np.nan, np.nan])
