from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from crgan.cases.case import Case, Dataset
from crgan.cases.labels import LabelScheme
from crgan.config import DataSettings
from crgan.errors import CrganError
from crgan.training.partition import divide


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Ten labelled patients with two visits each, and one without a label."""
    cases = [
        Case(case_id=f"p{number}_{visit}", patient_id=f"p{number}", images=(tmp_path / f"p{number}_{visit}.nii.gz",), label=tmp_path / "l")
        for number in range(10)
        for visit in "ab"
    ]
    cases.append(Case(case_id="new_a", patient_id="new", images=(tmp_path / "new_a.nii.gz",)))
    return Dataset(root=tmp_path, layout="plain", cases=tuple(cases), modalities=("image",), labels=LabelScheme(classes={1: "x"}))


def split_file(folder: Path, content: object) -> Path:
    path = folder / "split.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize(("share", "held"), [(0.2, 2), (0.01, 1), (0.99, 9)])
def test_patients_are_on_one_side_each(dataset: Dataset, share: float, held: int) -> None:
    found = divide(dataset, DataSettings(validation=share, validation_cases=100), seed=0)
    assert len(found.validation) == held
    assert sorted((*found.train, *found.validation)) == [f"p{number}" for number in range(10)]  # the unlabelled one on none
    assert found.test == ()
    assert found.trained_on == {*found.train, *found.validation}


@pytest.mark.parametrize(("looked_at", "held"), [(1, 1), (4, 2), (12, 5), (100, 5)])
def test_no_more_patients_are_held_back_than_are_looked_at(dataset: Dataset, looked_at: int, held: int) -> None:
    found = divide(dataset, DataSettings(validation=0.5, validation_cases=looked_at), seed=0)
    assert len(found.validation) == held


def test_the_seed_draws_the_validation_patients(dataset: Dataset) -> None:
    settings = DataSettings(validation=0.3)
    draws = {divide(dataset, settings, seed=seed).validation for seed in range(8)}
    assert len(draws) > 1
    assert divide(dataset, settings, seed=3) == divide(dataset, settings, seed=3)


def test_fewer_training_patients_are_among_more_and_are_validated_alike(dataset: Dataset) -> None:
    found = [divide(dataset, DataSettings(validation=0.3, training_patients=count), seed=2) for count in (1, 3, 5, None)]
    assert [len(partition.train) for partition in found] == [1, 3, 5, 7]
    for fewer, more in pairwise(found):
        assert {*fewer.train} < {*more.train}
        assert fewer.validation == more.validation
    others = {divide(dataset, DataSettings(training_patients=3), seed=seed).train for seed in range(4)}
    assert len(others) > 1


def test_more_training_patients_than_there_are_cannot_be_drawn(dataset: Dataset) -> None:
    with pytest.raises(CrganError, match=r"up to 9[\s\S]*got:\s+10"):
        divide(dataset, DataSettings(training_patients=10, validation_cases=2), seed=0)


def test_test_patients_of_a_split_are_not_trained_on(dataset: Dataset, tmp_path: Path) -> None:
    settings = DataSettings(split=split_file(tmp_path, {"train": ["p1", "p2", "p3", "new"], "test": ["p4", "p5_a"]}))
    found = divide(dataset, settings, seed=0)
    assert found.trained_on == {"p1", "p2", "p3"}
    assert found.test == ("p4", "p5")
    described = found.to_json()
    assert described["refinement"] == described["train"] == list(found.train)
    assert (described["test"], described["calibration"]) == (["p4", "p5"], [])


def test_a_fold_is_the_test_side(dataset: Dataset, tmp_path: Path) -> None:
    folds = split_file(tmp_path, {"folds": [["p0", "p1"], ["p2", "p3"]]})
    found = divide(dataset, DataSettings(split=folds, fold=1), seed=0)
    assert found.test == ("p2", "p3")
    assert found.trained_on == {f"p{number}" for number in (0, 1, 4, 5, 6, 7, 8, 9)}


def test_a_fold_without_a_split_file_is_not_passed_over(dataset: Dataset) -> None:
    with pytest.raises(CrganError, match="--split"):
        divide(dataset, DataSettings(fold=1), seed=0)


@pytest.mark.parametrize("train", [[], ["p1"], ["p1", "new"], ["p1_a", "p1_b"]])
def test_one_patient_is_too_few(dataset: Dataset, tmp_path: Path, train: list[str]) -> None:
    with pytest.raises(CrganError, match=r"too few labelled patients[\s\S]*--group"):
        divide(dataset, DataSettings(split=split_file(tmp_path, {"train": train, "test": ["p9"]})), seed=0)


def test_two_are_enough(dataset: Dataset, tmp_path: Path) -> None:
    found = divide(dataset, DataSettings(split=split_file(tmp_path, {"train": ["p1", "p2"]})), seed=0)
    assert (len(found.train), len(found.validation)) == (1, 1)
