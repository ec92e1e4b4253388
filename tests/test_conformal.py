from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crgan.conformal import Counted, Guarantee, Promise, control, count, promised_set
from crgan.errors import CrganError

SHAPES = hnp.array_shapes(min_dims=3, max_dims=3, max_side=5)


def images(*columns: tuple[list[float], list[int]]) -> list[list[Counted]]:
    """Patients of one image each, given as the probabilities of its voxels and its truth."""
    return [[count(np.array(p, np.float32).reshape(1, 1, -1), np.array(t, bool).reshape(1, 1, -1), per="voxel")] for p, t in columns]


def at(curve: np.ndarray, probability: float) -> float:
    """The value of a curve where this probability is asked for."""
    return float(curve[int(np.array(probability, np.float16).view(np.uint16))])


def test_what_is_missed_and_marked_is_counted_at_every_sensitivity() -> None:
    ((image,),) = images(([0.0, 0.25, 0.5, 1.0], [0, 1, 1, 1]))
    assert image.missed is not None
    asked = [0.0, 0.125, 0.25, 0.375, 0.5, 0.75, 1.0]
    assert [at(image.missed, value) for value in asked] == pytest.approx([0, 0, 0, 1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert [at(image.marked, value) for value in asked] == pytest.approx([1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25])


def test_without_truth_nothing_can_be_missed() -> None:
    ((image,),) = images(([0.5, 0.5], [0, 0]))
    assert image.missed is None
    assert at(image.marked, 0.25) == 1


def test_where_the_truth_is_not_known_nothing_counts() -> None:
    probabilities, truth = np.array([[[0.9, 0.2, 0.8]]], np.float32), np.array([[[True, False, False]]])
    image = count(probabilities, truth, per="voxel", within=np.array([[[True, True, False]]]))
    assert at(image.marked, 0.5) == 0.5


def test_a_lesion_is_missed_where_none_of_its_voxels_is_marked() -> None:
    probabilities, truth = np.zeros((1, 5, 9), np.float32), np.zeros((1, 5, 9), bool)
    truth[0, 0:2, 0:2] = truth[0, 2, 2] = True  # one lesion, since corners touch
    truth[0, 4, 8] = True
    probabilities[0, 2, 2], probabilities[0, 4, 8] = 0.75, 0.25
    image = count(probabilities, truth, per="lesion")
    assert image.missed is not None
    assert [at(image.missed, value) for value in (0.25, 0.5, 0.875)] == [0, 0.5, 1]


@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(0, 1, width=32)), st.data())
def test_the_sets_hold_what_was_counted(probabilities: np.ndarray, data: st.DataObject) -> None:
    truth = data.draw(hnp.arrays(bool, probabilities.shape))
    asked = float(np.float16(data.draw(st.floats(0, 1))))
    found = promised_set(probabilities, 1 - asked)
    image = count(probabilities, truth, per="voxel")
    assert found.mean() == pytest.approx(at(image.marked, asked))
    if truth.any():
        assert image.missed is not None
        assert (truth & ~found).sum() / truth.sum() == pytest.approx(at(image.missed, asked))
        assert np.all(np.diff(image.missed) >= 0)
    assert promised_set(probabilities, 1.0).all()


def test_the_smallest_sensitivity_that_keeps_to_the_limit() -> None:
    # Nine patients whose single true voxel has .1 … .9; (9 R + 1) / 10 <= .3 allows two of nine to be missed.
    patients = images(*[([value / 10, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0]) for value in range(1, 10)])
    found = control(patients, max_fnr=0.3, target="lesion")
    assert found.sensitivity == pytest.approx(1 - 0.3, abs=1e-3)  # .3 is still marked, .1 and .2 are not
    assert found.missed == pytest.approx(2 / 9)
    assert found.marked == pytest.approx(7 / 9 / 8)
    assert found.patients == 9


def test_volumes_count_within_their_patient_and_patients_without_the_target_only_for_what_is_marked() -> None:
    found, lost = images(([1.0, 0, 0, 0, 0], [1, 0, 0, 0, 0]), ([0.0, 0, 0, 0, 1.0], [1, 0, 0, 0, 0]))
    (healthy,) = images(([0.0] * 5, [0] * 5))
    patients = [found] * 8 + [[*found, *lost], healthy]
    result = control(patients, max_fnr=0.2, target="lesion")
    assert result.patients == 9
    assert result.missed == pytest.approx(0.5 / 9)  # (9 × .5/9 + 1) / 10 = .15; missing it all would need .2
    assert result.sensitivity == pytest.approx(0)


@pytest.mark.parametrize(("max_fnr", "needed"), [(0.1, 9), (0.2, 4), (0.05, 19), (0.5, 1), (0.7, 1)])
def test_too_few_patients_are_told_how_many_it_takes(max_fnr: float, needed: int) -> None:
    patients = images(([1.0, 0, 0, 0, 0], [1, 0, 0, 0, 0])) * needed
    assert control(patients, max_fnr=max_fnr, target="lesion").patients == needed
    with pytest.raises(CrganError, match=f"at least {needed} patients"):
        control(patients[1:], max_fnr=max_fnr, target="lesion")


def test_a_set_that_says_nothing_is_refused() -> None:
    with pytest.raises(CrganError, match="mark so much that it says nothing"):
        control(images(([0.0, 0, 0], [1, 0, 0])) * 20, max_fnr=0.1, target="lesion")


def test_new_patients_are_missed_no_more_than_promised() -> None:
    """Over many draws of calibration and new patients the mean share missed stays below the limit, and not far below it."""
    random = np.random.default_rng(0)
    limit, draws, n = 0.2, 300, 15
    missed = []
    for _ in range(draws):
        sure = random.beta(2, 1, size=(n + 1, 12))  # patients whose 12 true voxels are found with very different ease
        sure *= random.uniform(0.3, 1, size=(n + 1, 1))
        drawn = images(*[([*row, *[0.0] * 60], [1] * 12 + [0] * 60) for row in sure.tolist()])
        found = control(drawn[:n], max_fnr=limit, target="lesion")
        missed.append(1 - promised_set(sure[n], found.sensitivity).mean())
    error = np.std(missed) / np.sqrt(draws)
    assert limit - 1 / (n + 1) - 3 * error - 0.02 < np.mean(missed) < limit + 2 * error


def test_a_promise_reads_back_and_says_what_it_means() -> None:
    guarantee = Guarantee(sensitivity=0.75, patients=20, marked=0.01, missed=0.04)
    promise = Promise(max_fnr=0.1, per="lesion", targets={"tumour core": guarantee})
    assert Promise.from_json(promise.to_json()) == promise
    said = promise.statement("tumour core")
    assert "have tumour core" in said
    assert "at most 10 % of its lesions" in said
    assert "the 20 patients" in said
