from __future__ import annotations

from collections.abc import Callable

import pytest

from crgan.evaluation.scores import Scores
from crgan.evaluation.tables import FAIR
from crgan.study.fair import MEAN, Trained, fair_scores, over_targets
from crgan.study.record import Measured
from crgan.study.sweeping import Counts, Sweep

Count = Callable[..., Counts]

GRID = tuple(number / 40 for number in range(1, 40))

# Dice is best from .325 on, where two voxels are found and one of four others is marked: a rate of .25.
REFERENCE = ((0.9, 0.6), (0.7, 0.3, 0.1, 0.1))
# At most one of four others is marked from .175 on, where nothing is missed yet.
SYSTEM = ((0.95, 0.2), (0.5, 0.15, 0.05, 0.05))
UNSEEN = ((0.19, 0.1), (0.18, 0.02))


def run(seed: int, validation: Counts, fold: int | None = None, **test: Counts) -> Trained:
    sweeps = [
        Sweep(thresholds={"x": GRID}, patients={case: case for case in cases}, counts={"x": cases}) for cases in ({"v": validation}, test)
    ]
    return Trained(seed=seed, fold=fold, measured=Measured(scores=Scores.of({}, patients={}), validation=sweeps[0], test=sweeps[1]))


def test_each_system_is_held_to_the_reference_by_its_own_validation_patients(sweep_voxels: Count) -> None:
    rows = {
        "unet": [run(0, sweep_voxels(*REFERENCE), p=sweep_voxels((0.5, 0.3), (0.4, 0.1)))],
        "mine": [run(0, sweep_voxels(*SYSTEM), p=sweep_voxels(*UNSEEN))],
    }
    fair = fair_scores(rows, reference=rows["unet"])
    # At .175 one of two is found and one of two others marked; below, up to a rate of .5, nothing is found without that one.
    mine = {"dice_best": 0.5, "fnr_best": 0.5, "fpr_best": 0.5, "fnr_matched": 0.5, "fpr_matched": 0.5, "curve_area": 1.0}
    assert fair["mine"].cases["p"]["x"] == pytest.approx(mine)
    unet = fair["unet"].cases["p"]["x"]
    assert (unet["dice_best"], unet["fnr_matched"], unet["fpr_matched"]) == pytest.approx((0.5, 0.5, 0.5))
    assert unet["curve_area"] == pytest.approx(0.5)  # one of two is found before anything else is marked


def test_another_seed_is_held_to_the_mean_of_the_references(sweep_voxels: Count) -> None:
    cautious = sweep_voxels((0.9, 0.9), (0.1, 0.1, 0.1, 0.1))  # no false positives where Dice is best
    test = sweep_voxels(*UNSEEN)
    reference = [run(0, sweep_voxels(*REFERENCE), p=test), run(1, cautious, p=test)]
    strict, mean = (
        fair_scores({"mine": [run(seed, sweep_voxels(*SYSTEM), p=test)]}, reference=reference) for seed in (1, 2)
    )
    # None of four marked: from .525 on. One eighth of the others, on average, comes to the same.
    assert strict["mine"].cases["p"]["x"]["fnr_matched"] == mean["mine"].cases["p"]["x"]["fnr_matched"] == 1
    assert strict["mine"].cases["p"]["x"]["curve_area"] is None  # no rate to average up to
    assert mean["mine"].cases["p"]["x"]["curve_area"] == 1


def test_the_mean_over_the_targets_is_that_of_those_that_a_patient_has() -> None:
    figures: dict[str, float | None] = dict.fromkeys(FAIR, 0.5)
    nothing: dict[str, float | None] = dict.fromkeys(FAIR)
    cases = {
        "p": {"x": {**figures, "fnr_matched": 0.2}, "y": {**figures, "fnr_matched": 0.4}},
        "q": {"x": {**figures, "fnr_matched": 0.1}, "y": nothing},
        "r": {"x": nothing, "y": nothing},
    }
    found = over_targets(Scores.of(cases, patients={name: name for name in cases}))
    assert {name: targets[MEAN]["fnr_matched"] for name, targets in found.cases.items()} == pytest.approx({"p": 0.3, "q": 0.1, "r": None})
    assert found.cases["r"][MEAN] == nothing
    mean = found.summary[MEAN]["fnr_matched"]
    assert (mean.mean, mean.n) == (pytest.approx(0.2), 2)


def test_seeds_are_averaged_patient_by_patient(sweep_voxels: Count) -> None:
    runs = [
        run(0, sweep_voxels(*REFERENCE), p=sweep_voxels((0.9,), (0.1,))),
        run(1, sweep_voxels(*REFERENCE), p=sweep_voxels((0.1,), (0.1,))),
    ]
    scores = fair_scores({"unet": runs}, reference=runs)["unet"]
    assert scores.cases["p"]["x"]["fnr_best"] == 0.5
    assert scores.summary["x"]["fnr_best"].n == 1


def test_what_no_validation_patient_has_cannot_be_set(sweep_voxels: Count) -> None:
    nowhere = sweep_voxels((), (0.2, 0.1))
    rows = {"unet": [run(0, nowhere, p=sweep_voxels(*UNSEEN))], "mine": [run(0, sweep_voxels(*SYSTEM), p=sweep_voxels(*UNSEEN))]}
    for scores in fair_scores(rows, reference=rows["unet"]).values():
        assert set(scores.cases["p"]["x"].values()) == {None}


def test_a_patient_without_the_target_has_false_positives_alone(sweep_voxels: Count) -> None:
    runs = [run(0, sweep_voxels(*REFERENCE), p=sweep_voxels((), (0.9, 0.1)))]
    found = fair_scores({"unet": runs}, reference=runs)["unet"].cases["p"]["x"]
    assert (found["fpr_matched"], found["fnr_matched"], found["dice_best"], found["curve_area"]) == (0.5, None, None, None)


def test_a_patient_on_both_sides_is_refused(sweep_voxels: Count) -> None:
    runs = [run(0, sweep_voxels(*REFERENCE), v=sweep_voxels(*UNSEEN))]
    with pytest.raises(ValueError, match="both sides"):
        fair_scores({"unet": runs}, reference=runs)
