from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import open_dataset, open_labels
from crgan.cases.layouts.nnunet import NnUNet, scheme_beside, split_channel
from crgan.errors import CrganError

LAYOUT = NnUNet()
VERSION_1 = {"modality": {"0": "T1", "1": "FLAIR"}, "labels": {"0": "background", "1": "oedema", "2": "core"}}
VERSION_2 = {"channel_names": {"0": "T1", "1": "FLAIR"}, "labels": {"background": 0, "oedema": 1, "core": 2}, "file_ending": ".nii.gz"}
NAMED = LabelScheme(classes={1: "oedema", 2: "core"})
FILES = [
    *(
        f"{part}/{case}_000{channel}.nii.gz"
        for part, case in [("imagesTr", "a"), ("imagesTr", "b_01"), ("imagesTs", "c")]
        for channel in (0, 1)
    ),
    *("labelsTr/a.nii.gz", "labelsTr/b_01.nii.gz", "labelsTs/c.nii.gz"),
]


def describe(root: Path, base: dict[str, object] = VERSION_2, **changes: object) -> Path:
    (root / "dataset.json").write_text(json.dumps({**base, **changes}))
    return root


@pytest.mark.parametrize("base", [VERSION_1, VERSION_2])
def test_the_training_cases_and_the_names_of_the_task_are_found(folder, base: dict[str, object]) -> None:
    listed = {"training": [{"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}]} if base is VERSION_1 else {}
    root = describe(folder(*FILES, "imagesTr/._a_0000.nii.gz"), base, **listed)
    dataset = open_dataset(root)
    assert (dataset.layout, dataset.modalities, dataset.labels) == ("nnunet", ("T1", "FLAIR"), NAMED)
    assert [(case.case_id, case.patient_id) for case in dataset.cases] == [("a", "a"), ("b_01", "b_01")]
    assert dataset.cases[1].images == (root / "imagesTr/b_01_0000.nii.gz", root / "imagesTr/b_01_0001.nii.gz")
    assert dataset.cases[1].label == root / "labelsTr/b_01.nii.gz"


@pytest.mark.parametrize("base", [VERSION_1, VERSION_2])
def test_the_folder_for_tests_alone(folder, base: dict[str, object]) -> None:
    root = describe(folder(*FILES), base)
    assert LAYOUT.detect(root / "imagesTs")
    found = LAYOUT.cases(root / "imagesTs")
    assert [(case.case_id, len(case.images), case.label) for case in found.cases] == [("c", 2, None)]
    assert found.labels is None
    assert open_labels(root / "labelsTs")[:2] == ({"c": root / "labelsTs/c.nii.gz"}, NAMED)


def test_regions_and_the_ignore_label(folder) -> None:
    labels = {"background": 0, "WT": [1, 2, 3], "TC": [2, 3], "ET": 3, "ignore": 4}
    root = describe(folder(*FILES), labels=labels, regions_class_order=[1, 2, 3])
    found = LAYOUT.cases(root).labels
    assert found == LabelScheme(
        classes={1: "class 1", 2: "class 2", 3: "ET"}, regions={"WT": (1, 2, 3), "TC": (2, 3), "ET": (3,)}, ignore=4
    )
    assert scheme_beside(root / "labelsTs") == found
    # The value that nnU-Net itself writes for a region is its place in regions_class_order.
    assert found.decode(found.masks(found.encode(np.array([0, 1, 2, 3])))).tolist() == [0, 1, 2, 3]


def test_classes_with_an_ignore_label(folder) -> None:
    root = describe(folder(*FILES), labels={"background": 0, "oedema": 1, "core": 2, "ignore": 3})
    assert LAYOUT.cases(root).labels == LabelScheme(classes={1: "oedema", 2: "core"}, ignore=3)


def test_regions_are_put_in_order_from_the_outermost(folder) -> None:
    root = describe(folder(*FILES), labels={"background": 0, "ET": [3], "WT": [1, 2, 3], "TC": [2, 3]})
    assert list(LAYOUT.cases(root).labels.regions) == ["WT", "TC", "ET"]


def test_regions_that_are_not_nested_are_refused_but_images_are_read(folder) -> None:
    root = describe(folder(*FILES), labels={"background": 0, "kidney": [1, 2], "other": [2, 3]})
    with pytest.raises(CrganError, match=r"do not lie within each other[\s\S]*kidney: \[1, 2\], other: \[2, 3\]"):
        LAYOUT.cases(root)
    assert len(LAYOUT.cases(root / "imagesTs").cases) == 1


def test_cases_may_be_listed_anywhere(folder) -> None:
    listed = {"x": {"images": ["elsewhere/x_0000.nii.gz", "elsewhere/x_0001.nii.gz"], "label": "elsewhere/x.nii.gz"}}
    root = describe(folder("elsewhere/x_0000.nii.gz"), dataset=listed)
    (case,) = LAYOUT.cases(root).cases
    assert (case.case_id, case.images[1], case.label) == ("x", root / "elsewhere/x_0001.nii.gz", root / "elsewhere/x.nii.gz")


def test_a_picture_holds_its_colours_in_one_file(folder) -> None:
    root = describe(folder("imagesTr/a_0000.png", "labelsTr/a.png"), channel_names={"0": "R", "1": "G", "2": "B"}, file_ending=".png")
    found = LAYOUT.cases(root)
    assert ([len(case.images) for case in found.cases], found.modalities) == ([1], ("R", "G", "B"))


def test_what_is_missing_is_named_all_the_same(folder) -> None:
    root = describe(folder(*(name for name in FILES if "b_01_0001" not in name), "labelsTr/d.nii.gz"))
    missing = [path.relative_to(root).as_posix() for case in LAYOUT.cases(root).cases for path in case.images if not path.exists()]
    assert missing == ["imagesTr/b_01_0001.nii.gz", "imagesTr/d_0000.nii.gz", "imagesTr/d_0001.nii.gz"]


@pytest.mark.parametrize("changes", [{"labels": ["a"]}, {"channel_names": {"x": "y"}}, {"dataset": {"a": {}}}, {"labels": {"a": "b"}}])
def test_a_damaged_description_is_refused(folder, changes: dict[str, object]) -> None:
    root = describe(folder(*FILES), **changes)
    assert LAYOUT.detect(root)
    with pytest.raises(CrganError, match=r"not that of an nnU-Net data set[\s\S]*channel_names"):
        LAYOUT.cases(root)
    assert changes.keys() & {"channel_names", "dataset"} or scheme_beside(root / "labelsTs") is None


def test_other_folders_are_not_taken(folder) -> None:
    root = folder(*FILES)
    assert not LAYOUT.detect(root)  # no dataset.json
    for text in ("{", "[]", '{"labels": {}}'):
        (root / "dataset.json").write_text(text)
        assert not LAYOUT.detect(root)
        assert not LAYOUT.detect(root / "imagesTs")
    assert not LAYOUT.detect(root / "labelsTr/a.nii.gz")


@pytest.mark.parametrize(
    "names",
    [
        ["imagesTr/a_001.nii.gz", "labelsTr/a_001.nii.gz"],
        ["imagesTr/a_0001.nii.gz", "labelsTr/a_0001.nii.gz"],  # four digits, but no channel 0
        ["imagesTr/a_0000.nii.gz", "labelsTr/a_0000.nii.gz"],  # a label of the very same name
        [],
    ],
)
def test_a_task_of_the_decathlon_is_not_taken(folder, names: list[str]) -> None:
    assert not LAYOUT.detect(describe(folder(*names), VERSION_1))


def test_channels_are_read_off_names() -> None:
    assert split_channel(Path("x/liver_01_0000.nii.gz")) == ("liver_01", 0)
    assert split_channel(Path("liver_01.nii.gz")) is None
