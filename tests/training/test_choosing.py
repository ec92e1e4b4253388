from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crgan.cases.labels import LabelScheme
from crgan.evaluation.tally import VALUES
from crgan.model import Model
from crgan.progress import Silent
from crgan.sweep.decision import decide_corrected
from crgan.sweep.volumes import decide
from crgan.training.choosing import choose, whole_targets
from crgan.training.judged import judge
from crgan.training.patients import Patients
from crgan.training.validation import truth_masks


@pytest.fixture(scope="module")
def model(trained: Path) -> Model:
    return Model.load(trained, device="cpu")


@pytest.fixture(scope="module")
def patients_of_run(patients: Path, small_config) -> Patients:
    return Patients(patients, small_config(), None, Silent())


def test_what_training_chose_is_chosen_again(model: Model, patients_of_run: Patients) -> None:
    again = choose(replace(model, dial=model.dial.neutral(model.labels.targets)), patients_of_run.validation, Silent())
    for name in ("dial", "generator_dial", "temperatures"):
        assert getattr(again, name).to_json() == getattr(model, name).to_json()


def test_a_system_without_a_refiner_has_one_dial_and_one_temperature(model: Model, patients_of_run: Patients) -> None:
    alone = choose(replace(model, refiner=None), patients_of_run.train, Silent())
    assert alone.dial is alone.generator_dial
    assert alone.temperatures.refiner == {}
    assert alone.temperatures.generator["whole"].patients == 3
    assert alone.generator_dial.curves["whole"].patients == 3


@pytest.mark.parametrize(
    ("cases", "whole", "said"), [(20, 20, True), (20, 18, True), (20, 17, False), (5, 5, True), (4, 4, False), (0, 0, False)]
)
def test_what_most_patients_have_in_one_piece_is_whole(model: Model, cases: int, whole: int, said: bool) -> None:
    organ = replace(model.fingerprint.codes[0], cases=cases, whole=whole)
    lesion = replace(model.fingerprint.codes[1], cases=20, whole=3)
    fingerprint = replace(model.fingerprint, codes=(organ, lesion))
    classes = LabelScheme(classes={1: "organ", 2: "lesion"})
    assert whole_targets(fingerprint, classes) == ({"organ"} if said else set())
    # Of nested regions the pieces are not known, and instances are many by their nature.
    assert whole_targets(fingerprint, LabelScheme(classes=classes.classes, regions={"both": (1, 2), "lesion": (2,)})) == set()
    assert whole_targets(fingerprint, LabelScheme(classes={1: "organ"}, instances=True)) == set()


def test_a_case_is_counted_where_the_refiner_looked(model: Model, patients_of_run: Patients) -> None:
    case = patients_of_run.train[0]
    estimate, truth = model.estimate(case.image, case_id=case.case_id), truth_masks(case, model.labels)
    alone, system = judge(model, case)
    assert alone.levels[0].sum() == truth[0].size
    assert system.levels[0].sum() == estimate.seen.sum()
    assert system.levels[0][1].sum() == (truth[0] & estimate.seen).sum()
    given = (estimate.corrected[0].astype(np.float32)[estimate.seen]).sum()
    assert (system.levels[0].sum(axis=0) @ VALUES) == pytest.approx(given, rel=1e-4)
    decided = decide(estimate.generator, exclusive=False)
    expected = decide_corrected(decided, estimate.corrected, p=0.3, q=0.6, exclusive=False)
    settings = [replace(setting, p=0.3, q=0.6) for setting in model.dial.settings.values()]
    assert system.decide(settings).sum(axis=1).tolist() == expected.sum(axis=(1, 2, 3)).tolist()
