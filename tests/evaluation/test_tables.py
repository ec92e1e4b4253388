from __future__ import annotations

import pytest

from crgan.evaluation.statistics import Mean
from crgan.evaluation.tables import mean_with_interval, number, score_rows, shown


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0.000"), (0.8126, "0.813"), (0.01, "0.010"), (0.00123, "0.0012"), (3.25, "3.250"), (10.04, "10.0")],
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("mean", "text"),
    [
        (Mean(mean=0.8126, ci_low=0.75, ci_high=0.861, n=9), "0.813 [0.750, 0.861]"),
        (Mean(mean=0.8126, ci_low=None, ci_high=None, n=2), "0.813"),
        (Mean(mean=None, ci_low=None, ci_high=None, n=0), "–"),
    ],
)
def test_means(mean: Mean, text: str) -> None:
    assert mean_with_interval(mean) == text


def test_scores_have_a_row_per_region() -> None:
    known = Mean(mean=0.5, ci_low=0.25, ci_high=0.75, n=4)
    unknown = Mean(mean=None, ci_low=None, ci_high=None, n=0)
    rows = score_rows({"WT": {"dice": known, "fnr": known}, "ET": {"dice": unknown, "fnr": known}}, metrics=("dice", "fnr"))
    assert rows == [["WT", "0.500 [0.250, 0.750]", "0.500 [0.250, 0.750]", "4"], ["ET", "–", "0.500 [0.250, 0.750]", "0"]]


def test_columns_are_those_that_were_measured() -> None:
    known = Mean(mean=0.5, ci_low=None, ci_high=None, n=1)
    assert shown({"cell": dict.fromkeys(("seg", "fnr", "dice", "rvd"), known)}) == {"dice": "Dice", "fnr": "FNR", "seg": "SEG"}
    assert shown({}) == {}
