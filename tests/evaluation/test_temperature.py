from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from crgan.conformal import LEVELS, levels_of
from crgan.evaluation.calibration import reliability
from crgan.evaluation.tally import VALUES
from crgan.evaluation.temperature import Temperature, Temperatures, fit_temperature, scaled


def counts(probabilities: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return np.stack([np.bincount(levels_of(probabilities[truth == value]), minlength=LEVELS) for value in (False, True)])


def patient(seed: int, *, temperature: float, voxels: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that are too sure by a temperature, and a truth that comes true as often as it should."""
    random = np.random.default_rng(seed)
    honest = random.normal(-1, 1.5, voxels)
    return expit(honest * temperature).astype(np.float16), random.random(voxels) < expit(honest)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0, 4.0])
def test_the_temperature_of_what_is_too_sure_is_found(temperature: float) -> None:
    found = fit_temperature([counts(*patient(seed, temperature=temperature)) for seed in range(4)])
    assert found.value == pytest.approx(temperature, rel=0.05)
    assert found.patients == 4
    if temperature != 1:
        assert found.ece_after < 0.5 * found.ece_before
        assert found.brier_after < found.brier_before
    else:
        assert found.ece_after == pytest.approx(found.ece_before, abs=0.005)


def test_figures_are_those_of_whole_images() -> None:
    """Before: the voxels given 0.01 or more. After: each patient by the temperature of the others."""
    patients = [patient(seed, temperature=2.5, voxels=3000) for seed in range(3)]
    found = fit_temperature([counts(*each) for each in patients])
    probabilities, truth = (np.concatenate(arrays) for arrays in zip(*patients, strict=True))
    before = reliability(probabilities, truth, within=probabilities >= np.float16(0.01))
    assert (found.ece_before, found.brier_before) == pytest.approx((before.ece, before.brier), rel=1e-3)
    parts = []
    for left_out in range(3):
        others = fit_temperature([counts(*each) for number, each in enumerate(patients) if number != left_out])
        values, true = patients[left_out]
        parts.append(reliability(expit(logit(values.astype(float)) / others.value), true, within=values >= np.float16(0.01)))
    after = parts[0] + parts[1] + parts[2]
    assert (found.ece_after, found.brier_after) == pytest.approx((after.ece, after.brier), rel=1e-2)


def test_one_patient_gives_a_temperature_and_no_honest_figure() -> None:
    found = fit_temperature([counts(*patient(0, temperature=2))])
    assert found.value == pytest.approx(2, rel=0.1)
    assert found.ece_before is not None
    assert (found.ece_after, found.brier_after) == (None, None)


def test_without_the_target_nothing_is_fitted() -> None:
    nothing = counts(np.array([0.1, 0.9]), np.array([False, False]))
    assert fit_temperature([nothing, nothing]) == Temperature(patients=2)
    assert fit_temperature([]) == Temperature()


def test_a_perfect_system_stays_within_bounds() -> None:
    perfect = counts(np.array([0.0, 1.0, 0.3, 0.8]), np.array([False, True, False, True]))
    assert 0.1 <= fit_temperature([perfect, perfect]).value <= 20


@given(st.floats(0.1, 20), st.floats(0.1, 20))
def test_order_and_one_half_stay(one: float, other: float) -> None:
    every = np.stack([VALUES, VALUES]).astype(np.float16)
    found = scaled(every, {"a": Temperature(value=one), "b": Temperature(value=other)})
    assert found.dtype == np.float16
    assert (np.diff(found, axis=1) >= 0).all()
    for values, temperature in zip(found, (one, other), strict=True):
        assert (values[0], values[levels_of(np.array(0.5))]) == (0, 0.5)
        above, below = (VALUES > 0.51) & (VALUES < 0.99), (VALUES < 0.49) & (VALUES > 0.01)
        if temperature > 1.1:
            assert (values[above] < every[0][above]).all()
            assert (values[below] > every[0][below]).all()
        expected = expit(logit(every[0][above].astype(float)) / temperature)
        assert values[above] == pytest.approx(expected, abs=1e-3)


def test_without_a_temperature_nothing_is_copied() -> None:
    values = np.zeros((2, 3), np.float16)
    assert scaled(values, {}) is values
    assert scaled(values, {"a": Temperature(), "b": Temperature()}) is values


def test_json_and_back() -> None:
    found = Temperatures(generator={"a": fit_temperature([counts(*patient(0, temperature=2))])}, refiner={})
    read = Temperatures.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    assert read.generator["a"].value == pytest.approx(found.generator["a"].value, abs=1e-6)
    assert read.to_json() == found.to_json()
    assert Temperatures.from_json(Temperatures.none().to_json()) == Temperatures.none()


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan")])
def test_what_is_no_temperature_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        Temperatures.from_json({"generator": {"a": {"value": value}}, "refiner": {}})
