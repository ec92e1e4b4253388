from __future__ import annotations

from pathlib import Path

import pytest

from crgan.cases.layouts import open_dataset, open_labels
from crgan.cases.layouts.lits import LABELS, Lits, split_name

LAYOUT = Lits()


@pytest.mark.parametrize(
    ("first", "second", "ending"),
    [("", "", ".nii"), ("Training Batch 1/", "Training Batch 2/", ".nii"), ("volumes/", "segmentations/", ".nii.gz")],
)
def test_volumes_and_segmentations_are_paired_by_number(folder, first: str, second: str, ending: str) -> None:
    names = [f"{first}volume-0{ending}", f"{second}volume-10{ending}", f"{first}segmentation-0{ending}", f"{second}segmentation-10{ending}"]
    root = folder(*names, "readme.txt")
    assert LAYOUT.detect(root)
    dataset = open_dataset(root)
    assert (dataset.layout, dataset.modalities, dataset.labels) == ("lits", ("CT",), LABELS)
    assert [(case.case_id, case.images[0].name) for case in dataset.cases] == [
        ("volume-0", f"volume-0{ending}"),
        ("volume-10", f"volume-10{ending}"),
    ]
    assert [case.label for case in dataset.cases] == [root / names[2], root / names[3]]
    assert open_labels(root)[:2] == ({"volume-0": root / names[2], "volume-10": root / names[3]}, LABELS)


def test_the_liver_takes_in_its_lesions() -> None:
    assert LABELS.targets == ("liver", "lesion")
    assert LABELS.table().astype(int).tolist() == [[0, 1, 1], [0, 0, 1]]


def test_test_volumes_have_numbers_of_their_own(folder) -> None:
    root = folder("test-volume-0.nii", "volume-0.nii", "segmentation-0.nii")
    labels = {case.case_id: case.label for case in LAYOUT.cases(root).cases}
    assert labels == {"test-volume-0": None, "volume-0": root / "segmentation-0.nii"}
    assert LAYOUT.cases(folder("Test/test-volume-0.nii") / "Test").labels is None


def test_a_segmentation_without_its_volume_names_it(folder) -> None:
    root = folder("volume-1.nii", "segmentation-1.nii", "segmentation-2.nii")
    assert [case.images[0].name for case in LAYOUT.cases(root).cases] == ["volume-1.nii", "volume-2.nii"]


def test_a_volume_that_came_twice_is_two_cases_for_the_check_to_report(folder) -> None:
    root = folder("a/volume-1.nii", "b/volume-1.nii", "a/segmentation-1.nii")
    assert [case.case_id for case in LAYOUT.cases(root).cases] == ["volume-1", "volume-1"]


def test_names() -> None:
    assert split_name(Path("test-volume-07.nii")) == (True, "volume", 7)
    assert split_name(Path("segmentation-12.nii.gz")) == (False, "segmentation", 12)
    assert split_name(Path("volume-1_seg.nii")) is None
    assert split_name(Path("volume-1.txt")) is None


def test_other_folders_are_not_taken(folder) -> None:
    root = folder("volume1.nii", "deep/er/volume-1.nii")
    assert not LAYOUT.detect(root)
    assert not LAYOUT.detect(root / "absent")
    assert not LAYOUT.detect(folder(*(f"p{number}/volume-1.nii" for number in range(20))))  # a patient each: another naming
