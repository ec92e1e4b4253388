from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from crgan.cases.labels import IGNORED, LabelScheme
from crgan.evaluation.overlap import compare
from crgan.training.validation import compare_targets, mean_scores, truth_masks

NESTED = LabelScheme(classes={1: "rim", 2: "core"}, regions={"whole": (1, 2), "core": (2,)})
CODES = np.array([0, 1, 1, 2], np.uint8).reshape(1, 1, 4)


def case(label: np.ndarray | None) -> SimpleNamespace:
    return SimpleNamespace(case_id="p1", label=label, known=None if label is None else label != IGNORED)


def masks(*rows: str) -> np.ndarray:
    return np.array([[char == "1" for char in row] for row in rows]).reshape(len(rows), 1, 1, -1)


def test_regions_take_in_their_codes() -> None:
    assert (truth_masks(case(CODES), NESTED) == masks("0111", "0001")).all()


def test_a_case_without_a_label_cannot_be_validated_on() -> None:
    with pytest.raises(ValueError, match="p1 has no label"):
        truth_masks(case(None), NESTED)


def test_targets_are_compared_one_by_one() -> None:
    whole, core = compare_targets(masks("1110", "0001"), case(CODES), NESTED)
    assert (whole.dice, whole.fnr) == (pytest.approx(2 * 2 / 6), pytest.approx(1 / 3))
    assert (core.dice, core.fnr) == (1, 0)


def overlap(mask: str, truth: str) -> object:
    return compare(masks(mask)[0], masks(truth)[0])


def test_means_over_cases_then_over_targets() -> None:
    first = [overlap("1100", "1000"), overlap("1111", "1111")]  # Dice 2/3 and 1, FNR 0 and 0
    second = [overlap("0010", "1000"), overlap("0000", "1100")]  # Dice 0 and 0, FNR 1 and 1
    assert mean_scores([first, second]) == {"dice": pytest.approx((1 / 3 + 1 / 2) / 2), "fnr": pytest.approx(1 / 2)}


def test_a_target_counts_where_it_is_defined() -> None:
    absent = [overlap("1000", "1000"), overlap("0000", "0000")]  # the second target is nowhere to be found, and not found
    present = [overlap("0000", "1000"), overlap("1000", "1000")]
    assert mean_scores([absent, present]) == {"dice": pytest.approx((1 / 2 + 1) / 2), "fnr": pytest.approx((1 / 2 + 0) / 2)}
    # A target that no validation case has is no target to be judged by.
    assert mean_scores([absent, absent]) == {"dice": 1, "fnr": 0}
    assert mean_scores([[overlap("0000", "0000")]]) == {"dice": 0, "fnr": 0}
    assert mean_scores([]) == {"dice": 0, "fnr": 0}


def test_ignored_voxels_are_not_compared() -> None:
    whole, core = compare_targets(masks("0111", "0011"), case(np.where(CODES == 1, IGNORED, CODES)), NESTED)
    assert (whole.true_positives, whole.false_positives, whole.true_negatives) == (1, 0, 1)
    assert (core.true_positives, core.false_positives, core.true_negatives) == (1, 0, 1)
