from __future__ import annotations

from pathlib import Path

import pytest

from crgan.cases.case import Case, Dataset
from crgan.errors import CrganError
from crgan.inference.modalities import in_model_order, on_model_grid


def dataset(*modalities: str, files: bool = True) -> Dataset:
    """Two cases with a file for each modality, or with one file for all."""
    cases = tuple(
        Case(case_id=name, patient_id=name, images=tuple(Path(f"{name}_{word}") for word in (modalities if files else ("all",))))
        for name in ("p1", "p2")
    )
    return Dataset(root=Path("DATA"), layout="plain", cases=cases, modalities=modalities, labels=None)


def order(found: Dataset, *modalities: str) -> tuple[str, ...]:
    """The files of the second case as the model gets them."""
    ordered = in_model_order(found, found.cases, modalities)
    assert [case.case_id for case in ordered.cases] == ["p1", "p2"]
    return tuple(path.name.removeprefix("p2_") for path in ordered.cases[1].images)


def test_the_models_order_is_what_counts() -> None:
    assert order(dataset("flair", "t1"), "flair", "t1") == ("flair", "t1")
    assert order(dataset("flair", "t1"), "t1", "flair") == ("t1", "flair")
    assert order(dataset("FLAIR", "T1", "t2"), "t2", "Flair", "t1") == ("t2", "FLAIR", "T1")  # whatever the case
    assert in_model_order(dataset("flair", "t1"), (), ("t1", "flair")).modalities == ("t1", "flair")


def test_only_the_cases_wanted_are_given() -> None:
    found = dataset("a", "b")
    assert in_model_order(found, found.cases[1:], ("b", "a")).cases[0].case_id == "p2"


@pytest.mark.parametrize(
    ("found", "model"),
    [
        (("T1",), ("MRI",)),  # a single modality may be called anything
        (("image",), ("ct",)),
        (("channel 1", "channel 2"), ("flair", "t1")),  # channels of one file, which nothing names
        (("flair", "t1"), ("channel 1", "channel 2")),
    ],
)
def test_what_nothing_names_is_taken_by_its_position(found: tuple[str, ...], model: tuple[str, ...]) -> None:
    data = dataset(*found, files=len(found) == 1)
    ordered = in_model_order(data, data.cases, model)
    assert (ordered.cases, ordered.modalities) == (data.cases, model)


def test_a_grey_picture_suits_a_model_of_colours() -> None:
    assert order(dataset("image"), "red", "green", "blue") == ("image",)


@pytest.mark.parametrize(
    ("found", "model"),
    [
        (("t1",), ("t1", "t2")),
        (("t1", "t2", "t3"), ("t1", "t2")),
        (("t1", "swi"), ("t1", "t2")),
        (("image",), ("t1", "t2")),
        (("red", "green", "blue"), ("image",)),
        (("red", "green", "blue"), ("t1", "t2", "flair")),
    ],
)
def test_other_modalities_are_refused(found: tuple[str, ...], model: tuple[str, ...]) -> None:
    with pytest.raises(CrganError) as caught:
        order(dataset(*found), *model)
    told = str(caught.value)
    assert ", ".join(found) in told
    assert ", ".join(model) in told


def test_named_channels_of_one_file_cannot_be_put_in_another_order() -> None:
    data = dataset("flair", "t1", files=False)
    assert in_model_order(data, data.cases, ("flair", "t1")).cases == data.cases
    with pytest.raises(CrganError, match="in its order"):
        in_model_order(data, data.cases, ("t1", "flair"))


def test_cases_come_on_the_grid_of_the_models_reference() -> None:
    assert [case.reference for case in on_model_grid(dataset("a", "b"), 1).cases] == [1, 1]
    assert [case.reference for case in on_model_grid(dataset("a", "b", files=False), 1).cases] == [None, None]  # all in one file
