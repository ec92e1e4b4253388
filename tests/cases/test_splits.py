from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from crgan.cases.case import Case, Dataset
from crgan.cases.splits import Split, hold_out, read_split
from crgan.errors import CrganError

# Patients p1 and p2 have two cases each, p3 and p4 one.
CASES = ["p1_a", "p1_b", "p2_a", "p2_b", "p3_a", "p4_a"]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    root = tmp_path / "sets" / "heart"
    (root / "imagesTr").mkdir(parents=True)
    (root / "imagesTs").mkdir()
    cases = tuple(Case(case_id=name, patient_id=name[:2], images=(root / "imagesTr" / f"{name}.nii.gz",)) for name in CASES)
    return Dataset(root=root, layout="test", cases=cases, modalities=("MR",), labels=None)


@pytest.fixture
def split_file(tmp_path: Path):
    def write(content: object, name: str = "split.json") -> Path:
        path = tmp_path / name
        path.write_text(json.dumps(content) if name.endswith(".json") else yaml.safe_dump(content))
        return path

    return write


@pytest.mark.parametrize("name", ["split.json", "split.yaml", "split.yml"])
@pytest.mark.parametrize(
    ("content", "train", "test"),
    [
        ({"train": ["p1", "p3"], "test": ["p2"]}, ["p1_a", "p1_b", "p3_a"], ["p2_a", "p2_b"]),
        ({"train": ["p2_b", "p1_a"], "test": ["p4_a"]}, ["p1_a", "p2_b"], ["p4_a"]),  # cases, in the data set's order
        ({"test": ["p1_a"]}, ["p2_a", "p2_b", "p3_a", "p4_a"], ["p1_a"]),  # the rest without the tested patient's other case
        ({"train": ["p1"]}, ["p1_a", "p1_b"], []),
        ({"train": "imagesTr", "test": "imagesTs"}, CASES, []),
        ({"train": ["p1"], "test": [], "comment": "by hand"}, ["p1_a", "p1_b"], []),
    ],
)
def test_sides_name_patients_cases_or_folders(split_file, dataset, name, content, train, test) -> None:
    assert read_split(split_file(content, name), dataset) == Split(train=tuple(train), test=tuple(test))


@pytest.mark.parametrize(("fold", "test"), [(0, ["p1_a", "p1_b"]), (1, ["p2_a", "p2_b", "p3_a"]), (2, ["p4_a"])])
def test_the_folds_not_chosen_train(split_file, dataset, fold: int, test: list[str]) -> None:
    split = read_split(str(split_file({"folds": [["p1"], ["p2", "p3_a"], ["p4"]]})), dataset, fold=fold)
    assert split.test == tuple(test)
    assert split.train == tuple(case for case in CASES if case not in test)


@pytest.mark.parametrize("key", ["heart", "sets/heart", "/sets/heart/"])
def test_the_entry_named_like_the_data_sets_folder_counts(split_file, dataset, key: str) -> None:
    content = {"_about": "fixed", "lung": {"train": ["x"]}, "part": {"train": ["y"]}, "art": {}, key: {"train": ["p1"], "test": ["p2"]}}
    assert read_split(split_file(content), dataset).test == ("p2_a", "p2_b")


def test_the_longest_of_several_fitting_names_counts(split_file, dataset) -> None:
    content = {"heart": {"train": ["p1"]}, "sets/heart": {"train": ["p2"]}}
    assert read_split(split_file(content), dataset).train == ("p2_a", "p2_b")


def test_the_folder_may_be_given_from_within(split_file, dataset, monkeypatch) -> None:
    monkeypatch.chdir(dataset.root)
    here = Dataset(root=Path(), layout="test", cases=dataset.cases, modalities=("MR",), labels=None)
    assert read_split(split_file({"heart": {"train": ["p3"]}}), here).train == ("p3_a",)


def test_ids_that_yaml_takes_for_numbers_are_ids(tmp_path: Path) -> None:
    cases = tuple(Case(case_id=name, patient_id=name, images=(tmp_path / name,)) for name in ("7", "12"))
    (tmp_path / "split.yaml").write_text("train: [7]\ntest: [12]\n")
    split = read_split(tmp_path / "split.yaml", Dataset(root=tmp_path, layout="t", cases=cases, modalities=("a",), labels=None))
    assert split == Split(train=("7",), test=("12",))


@pytest.mark.parametrize(
    ("content", "fold", "words"),
    [
        ([1, 2], None, ["another form", "list"]),
        ({"lung": {"train": []}, "_note": 1}, None, ["no entry for this data set", "got:      lung"]),
        ({"_note": 1}, None, ["no entry", "nothing"]),
        ({"heart": ["p1"]}, None, ["entry heart", "another form"]),
        ({"folds": [["p1"], ["p2"]]}, None, ["none was chosen", "0 to 1", "--fold"]),
        ({"folds": [["p1"], ["p2"]]}, 2, ["no fold 2", "0 to 1"]),
        ({"folds": [["p1"], ["p2"]]}, -1, ["no fold -1"]),
        ({"folds": []}, 0, ["no fold 0", "none"]),
        ({"folds": "p1"}, 0, ["folds are no list"]),
        ({"folds": [3]}, 0, ["side of the split is no list"]),
        ({"train": ["p1"]}, 1, ["no fold 1", "leave --fold out"]),
        ({"train": {"p1": 1}}, None, ["side of the split is no list"]),
        ({"train": "imagesXy"}, None, ["folder imagesXy", "not there"]),
        ({"train": ["p1_a"], "test": ["p1_b"]}, None, ["Patient p1 is on both sides", "p1_a, p1_b"]),
        ({"train": ["p1", "p2"], "test": ["p2_a"]}, None, ["Patient p2 is on both sides"]),
    ],
)
def test_what_cannot_be_followed_is_refused(split_file, dataset, content, fold, words: list[str]) -> None:
    with pytest.raises(CrganError) as caught:
        read_split(split_file(content), dataset, fold=fold)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_all_unknown_ids_and_all_patients_on_both_sides_are_told_at_once(split_file, dataset) -> None:
    path = split_file({"train": ["p1", "p3", "q1", "q1"], "test": ["p3", "q2", "p1"]})
    with pytest.raises(CrganError) as caught:
        read_split(path, dataset)
    assert [problem.what for problem in caught.value.problems] == [
        "The split names 'q2', which is not in the data set.",
        "The split names 'q1', which is not in the data set.",
        "Patient p1 is on both sides of the split.",
        "Patient p3 is on both sides of the split.",
    ]
    assert {problem.where for problem in caught.value.problems} == {path}


def test_a_split_file_that_cannot_be_read_is_told(tmp_path: Path, dataset) -> None:
    with pytest.raises(CrganError, match="could not be read"):
        read_split(tmp_path / "absent.json", dataset)
    (tmp_path / "a.yaml").write_text("{")
    with pytest.raises(CrganError, match="not valid YAML"):
        read_split(tmp_path / "a.yaml", dataset)


@given(st.lists(st.text(min_size=1, max_size=3), max_size=30), st.floats(0, 0.99), st.integers(0, 2**32), st.randoms())
def test_patients_are_held_out_whatever_their_order(patients: list[str], fraction: float, seed: int, random) -> None:
    rest, held = hold_out(patients, fraction=fraction, seed=seed)
    assert sorted({*rest, *held}) == sorted(set(patients))
    assert not set(rest) & set(held)
    assert list(rest) == sorted(rest)
    assert list(held) == sorted(held)
    if len(set(patients)) > 1 and fraction > 0:
        assert abs(len(held) - fraction * len(set(patients))) <= 1
        assert rest
        assert held
    else:
        assert held == ()
    shuffled = list(patients)
    random.shuffle(shuffled)
    assert hold_out(shuffled * 2, fraction=fraction, seed=seed) == (rest, held)


def test_the_choice_depends_on_the_seed_and_is_the_same_on_every_machine() -> None:
    patients = [f"p{n}" for n in range(10)]
    choices = {hold_out(patients, fraction=0.3, seed=seed)[1] for seed in range(20)}
    assert len(choices) > 10
    assert {len(choice) for choice in choices} == {3}
    counts = [sum(patient in hold_out(patients, fraction=0.5, seed=seed)[1] for seed in range(200)) for patient in patients]
    assert all(60 < count < 140 for count in counts)  # each has an even chance
    assert hold_out(patients, fraction=0.3, seed=0)[1] == ("p2", "p4", "p6")


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(fraction: float) -> None:
    with pytest.raises(CrganError, match="share to hold out"):
        hold_out(["a", "b"], fraction=fraction, seed=0)
