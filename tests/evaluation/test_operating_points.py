from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crgan.evaluation.operating_points import (
    OperatingPoints,
    area,
    at_matched_fpr,
    curve,
    dice_optimal,
    gather,
    threshold_overlaps,
    transfer,
)
from crgan.evaluation.overlap import compare


def points(
    fpr: list[float], fnr: list[float], *, patient: str = "a", dice: list[float] | None = None, settings: tuple[float, ...] | None = None
) -> OperatingPoints[float]:
    column = [np.array(values, float)[:, None] for values in (dice or [0.5] * len(fpr), fnr, fpr)]
    return OperatingPoints(settings=settings or tuple(range(len(fpr))), patients=(patient,), dice=column[0], fnr=column[1], fpr=column[2])


GRID = st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]), min_size=12, max_size=12)


@given(GRID, st.lists(st.booleans(), min_size=12, max_size=12), st.lists(st.booleans(), min_size=12, max_size=12))
def test_one_pass_counts_what_every_threshold_marks(values: list[float], true: list[bool], inside: list[bool]) -> None:
    probability, truth, within = np.array(values).reshape(3, 4), np.array(true).reshape(3, 4), np.array(inside).reshape(3, 4)
    thresholds = (0.5, 0.1, 0.3, 0.0, 1.0, 0.1, 2.0)
    assert threshold_overlaps(probability, truth, thresholds) == [compare(probability >= t, truth) for t in thresholds]
    expected = [compare(probability >= t, truth, within=within) for t in thresholds]
    assert threshold_overlaps(probability, truth, thresholds, within=within) == expected


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        threshold_overlaps(np.zeros(3), np.zeros(4, bool), (0.5,))


def test_a_patient_counts_once() -> None:
    truth, nothing = np.array([True, True, False, False]), np.zeros(4, bool)
    guesses = [np.array([0.9, 0.2, 0.6, 0.1]), np.array([0.9, 0.8, 0.1, 0.1]), np.array([0.9, 0.1, 0.1, 0.1])]
    thresholds = (0.5, 0.05)
    cases = [threshold_overlaps(guess, t, thresholds) for guess, t in zip(guesses, (truth, truth, nothing), strict=True)]
    found = gather(thresholds, cases, ["a", "a", "b"])
    assert found.patients == ("a", "b")
    assert found.fnr[:, 0].tolist() == [0.25, 0]  # the mean of a half and none
    assert np.isnan(found.fnr[:, 1]).all()  # b has nothing to miss
    assert found.fpr.tolist() == [[0.25, 0.25], [1, 1]]
    assert found.mean("fnr").tolist() == [0.25, 0]
    assert found.mean("fpr").tolist() == [0.25, 1]


def test_rules_by_hand() -> None:
    found = points([0.0, 0.01, 0.02, 0.5], [0.9, 0.4, 0.4, 0.0], dice=[0.2, 0.6, 0.7, 0.7])
    assert dice_optimal(found) == 2
    assert [at_matched_fpr(found, fpr=fpr) for fpr in (0, 0.01, 0.3, 1)] == [0, 1, 1, 3]
    with pytest.raises(ValueError, match=r"the lowest is 0\.2"):
        at_matched_fpr(points([0.2], [0.1]), fpr=0.1)


def test_without_the_target_nothing_can_be_chosen() -> None:
    nobody = points([0.1], [np.nan], dice=[np.nan])
    for use in (dice_optimal, curve, lambda found: at_matched_fpr(found, fpr=0.5)):
        with pytest.raises(ValueError, match=r"no patient|no setting"):
            use(nobody)


def test_setting_of_validation_patients_is_applied_to_others() -> None:
    validation = points([0.1, 0.2, 0.3], [0.5, 0.3, 0.2])
    test = points([0.4, 0.5, 0.6], [0.7, 0.1, 0.0], patient="b", dice=[0.1, 0.2, 0.9])
    fair = transfer(validation, test, rule=lambda found: at_matched_fpr(found, fpr=0.25))
    assert (fair.setting, fair.fnr.tolist(), fair.fpr.tolist(), fair.dice.tolist()) == (1, [0.1], [0.5], [0.2])
    assert fair.patients == ("b",)
    with pytest.raises(ValueError, match="both sides"):
        transfer(validation, validation, rule=dice_optimal)
    with pytest.raises(ValueError, match="same settings"):
        transfer(validation, points([0.1], [0.1], patient="b"), rule=dice_optimal)


def test_positions_of_the_dial_are_settings_too() -> None:
    masks = {(0.5, 0.5): np.array([True, False]), (0.3, 0.8): np.array([True, True])}
    truth = np.array([True, True])
    found = gather(list(masks), [[compare(mask, truth) for mask in masks.values()]], ["a"])
    assert dice_optimal(found) == (0.3, 0.8)


def test_curve_and_area_by_hand() -> None:
    found = points([0.1, 0.2, 0.15, 0.6], [0.5, 0.2, 0.7, 0.1])  # the third is worse than the first in both
    fpr, fnr = curve(found)
    assert fpr.tolist() == [0, 0.1, 0.2, 0.6]
    assert fnr.tolist() == [1, 0.5, 0.2, 0.1]
    assert area(found, up_to=0.4) == pytest.approx((0.1 * 1 + 0.1 * 0.5 + 0.2 * 0.2) / 0.4)
    assert area(found, up_to=1) == pytest.approx(0.1 + 0.05 + 0.4 * 0.2 + 0.4 * 0.1)
    assert area(points([0.0], [0.0]), up_to=0.1) == 0
    assert area(points([0.5], [0.0]), up_to=0.1) == 1


def test_a_better_ranking_of_voxels_has_less_area_whatever_its_threshold() -> None:
    rng = np.random.default_rng(0)
    truth = rng.random(4000) < 0.02
    thresholds = np.linspace(0, 1, 101)

    def area_of(separation: float, shift: float) -> float:
        probability = 1 / (1 + np.exp(-(rng.normal(0, 1, truth.size) + separation * truth + shift)))
        return area(gather(thresholds.tolist(), [threshold_overlaps(probability, truth, thresholds.tolist())], ["a"]), up_to=0.1)

    assert area_of(3, 0) < area_of(1, 0) - 0.2
    assert area_of(3, -1) == pytest.approx(area_of(3, 1), abs=0.1)  # a threshold is not mistaken for a method
