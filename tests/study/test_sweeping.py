from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crgan.evaluation.operating_points import threshold_overlaps
from crgan.evaluation.tally import Tally, tally
from crgan.study.sweeping import NOTHING, Sweep, choose_thresholds, count, tally_case


def tallied(probability: np.ndarray, truth: np.ndarray) -> Tally:
    return tally(probability, truth, decided=np.zeros(truth.shape, bool))


@given(st.integers(0, 1000))
def test_points_are_those_of_every_threshold_alone(seed: int) -> None:
    random = np.random.default_rng(seed)
    probability = random.choice(np.array([0.0, 0.001, 0.3, 0.325, 0.5, 0.8, 1.0], np.float16), (4, 5, 6))
    truth = random.random((4, 5, 6)) < 0.3
    thresholds = choose_thresholds([tallied(probability, truth)])
    sweep = Sweep(thresholds={"x": thresholds}, patients={"c": "p"}, counts={"x": {"c": count(tallied(probability, truth), thresholds)}})
    points = Sweep.from_json(sweep.to_json()).points("x")
    assert points.settings == (*thresholds, NOTHING)
    expected = threshold_overlaps(probability, truth, points.settings)
    for name in ("dice", "fnr", "fpr"):
        rates = [np.nan if getattr(overlap, name) is None else getattr(overlap, name) for overlap in expected]
        assert getattr(points, name)[:, 0] == pytest.approx(rates, nan_ok=True)


def test_thresholds_match_any_rate_near_the_best_dice_within_a_sixteenth_of_an_octave() -> None:
    random = np.random.default_rng(0)
    truth = random.random(200_000) < 0.02
    probability = 1 / (1 + np.exp(-(random.normal(0, 1, truth.size) + 3 * truth - 3)))
    both = [tallied(part, true) for part, true in zip(np.split(probability, 4), np.split(truth, 4), strict=True)]
    thresholds = choose_thresholds(both)
    assert sorted(set(thresholds)) == [*thresholds]
    overlaps = threshold_overlaps(probability.astype(np.float16), truth, thresholds)
    at_best = max(threshold_overlaps(probability, truth, np.linspace(0, 1, 4001).tolist()), key=lambda overlap: overlap.dice or 0)
    assert max(overlap.dice or 0 for overlap in overlaps) == pytest.approx(at_best.dice, abs=1e-3)
    rates = np.array([overlap.fpr for overlap in overlaps])
    for wanted in (at_best.fpr or 0) * np.geomspace(0.55, 1.8, 20):
        reached = rates[rates <= wanted].max()
        assert reached > wanted * 2 ** (-1.5 / 16)
    assert rates.max() > 20 * (at_best.fpr or 0)


def test_a_system_that_is_never_sure_has_thresholds_where_it_differs() -> None:
    random = np.random.default_rng(1)
    truth = random.random(50_000) < 0.05
    probability = 0.01 / (1 + np.exp(-random.normal(0, 1, truth.size) - 2 * truth))
    thresholds = choose_thresholds([tallied(probability, truth)])
    assert len(thresholds) > 30
    assert thresholds[-1] <= 0.01


def test_without_the_target_or_without_anything_else_there_are_thresholds_all_the_same() -> None:
    probability = np.linspace(0, 1, 1000)
    nowhere = choose_thresholds([tallied(probability, np.zeros(1000, bool))])
    assert nowhere[0] < 0.9
    assert nowhere[-1] > 0.98
    assert len(choose_thresholds([tallied(probability, np.ones(1000, bool))])) >= 1


def test_a_case_is_tallied_where_masks_are_compared() -> None:
    truth = np.array([[[True, False, False]]])
    maps = np.array([[[[0.75, 0.25, 0.25]]]], np.float32)
    judged = np.array([[[True, True, False]]])
    case = SimpleNamespace(targets=("x",), truth=truth[None], judged=judged, maps=lambda _: maps)
    assert count(tally_case(case)["x"], (0.5,)) == ((0, 1), (1, 0))


def test_points_of_one_patient_take_in_its_cases_alone() -> None:
    full, none = ((0, 1), (0, 1)), ((1, 0), (1, 0))
    sweep = Sweep(thresholds={"x": (0.5,)}, patients={"a1": "a", "a2": "a", "b1": "b"}, counts={"x": {"a1": full, "a2": none, "b1": none}})
    assert sweep.points("x").patients == ("a", "b")
    alone = sweep.points("x", patient="a")
    assert (alone.patients, alone.fnr[0, 0], alone.fpr[0, 0]) == (("a",), 0.5, 0.5)
