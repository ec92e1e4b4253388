from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from crgan.cases.case import Dataset
from crgan.cases.labels import LabelScheme
from crgan.config import Config
from crgan.errors import CrganError
from crgan.model import Model
from crgan.training.start import take_labels, take_settings

OTHER = LabelScheme(classes={1: "anterior", 2: "posterior"})


@pytest.fixture(scope="module")
def start(trained: Path) -> Model:
    return Model.load(trained)


def dataset(labels: LabelScheme | None, *, modalities: tuple[str, ...] = ("flair", "t1")) -> Dataset:
    return Dataset(root=Path("DATA"), layout="plain", cases=(), modalities=modalities, labels=labels)


def test_the_same_targets_may_stand_for_other_values(start: Model) -> None:
    """BraTS moved the enhancing tumour from 4 to 3: the regions' names tell what is meant."""
    moved = LabelScheme(classes={1: "rim", 3: "core"}, regions={"whole": (1, 3), "core": (3,)})
    assert take_labels(dataset(moved), start).labels == moved


@pytest.mark.parametrize("values", [(1, 2), (1,), (2,)])
def test_values_that_nothing_names_get_the_models_names(start: Model, values: tuple[int, ...]) -> None:
    found = LabelScheme(classes={value: f"class {value}" for value in values})
    assert take_labels(dataset(found), start).labels == start.labels


@pytest.mark.parametrize(
    "labels",
    [
        OTHER,  # declared by the data: the model's names for 1 and 2 would be wrong
        LabelScheme(classes={3: "class 3"}),
        LabelScheme(classes={1: "object"}, instances=True),
        LabelScheme(classes={1: "rim", 2: "core"}),  # exclusive, and not nested
        LabelScheme(classes={1: "rim", 2: "core"}, regions={"core": (2,), "whole": (1, 2)}),  # in another order
        None,
    ],
)
def test_other_targets_are_refused(start: Model, labels: LabelScheme | None) -> None:
    with pytest.raises(CrganError, match=r"other modalities or targets[\s\S]*flair, t1 → whole, core"):
        take_labels(dataset(labels), start)


@pytest.mark.parametrize("modalities", [("flair",), ("flair", "t1", "t2")])
def test_other_modalities_are_refused(start: Model, modalities: tuple[str, ...]) -> None:
    with pytest.raises(CrganError, match="other modalities or targets"):
        take_labels(dataset(start.labels, modalities=modalities), start)


def test_instances_go_on_as_instances(start: Model) -> None:
    cells = LabelScheme(classes={1: "cell"}, instances=True)
    found = dataset(LabelScheme(classes={1: "object"}, instances=True))
    assert take_labels(found, replace(start, labels=cells)).labels == cells


def test_sizes_and_preprocessing_are_taken_over(start: Model, small_config: Callable[..., Config]) -> None:
    config = small_config(
        "generator.widths=[2,2]", "batch.length=9", "batch.sequences=5", "preprocessing.spacing_mm=native", system="rnn-unet", steps=7
    )
    taken = take_settings(config, start, where=Path("DATA"))
    for name in ("planes", "generator", "refiner", "patient_wise", "noise_channel"):
        assert getattr(taken, name) == getattr(start.config, name), name
    assert (taken.batch.length, taken.batch.sequences) == (3, 5)
    assert taken.preprocessing == start.pipeline.settings
    assert (taken.system, taken.steps) == ("rnn-unet", 7)


def test_a_refiner_that_is_not_there_leaves_the_settings_of_the_new_one(start: Model, small_config: Callable[..., Config]) -> None:
    taken = take_settings(small_config("refiner.widths=[6,6,6]"), replace(start, refiner=None), where=Path("DATA"))
    assert taken.refiner.widths == (6, 6, 6)


def test_a_generator_with_other_weights_is_refused(start: Model, small_config: Callable[..., Config]) -> None:
    with pytest.raises(CrganError, match=r"another generator[\s\S]*rnn-cgan\+refinement[\s\S]*with rnn-"):
        take_settings(small_config(system="cgan"), start, where=Path("DATA"))


def test_slices_alone_have_no_recurrence_to_differ_in(start: Model, small_config: Callable[..., Config]) -> None:
    flat = start.config.model_copy(update={"batch": start.config.batch.model_copy(update={"length": 1})})
    assert take_settings(small_config(system="cgan"), replace(start, config=flat), where=Path("DATA")).system == "cgan"
