from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from crgan.cases.case import Case
from crgan.cases.layouts.found import channel_names, distinct_ids, image_files, label_files, sorted_names, subfolders


def test_what_is_not_there_is_empty() -> None:
    assert image_files(Path("absent")) == []
    assert subfolders(Path("absent")) == []
    assert label_files(Path("absent")) == {}
    assert channel_names([]) == ("image",)


def test_folders_and_images_are_sorted_and_hidden_ones_left_out(folder) -> None:
    root = folder("b/x.nii.gz", "a/y.nii.gz", ".cache/z.nii.gz", "q.png", "p.nii.gz", "r.txt")
    assert subfolders(root) == [root / "a", root / "b"]
    assert image_files(root) == [root / "p.nii.gz", root / "q.png"]


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (["a.png", "b.png"], ["a", "b"]),
        (["a_seg.png", "b_seg.png"], ["a", "b"]),
        (["a_seg.png", "b.png"], ["a_seg", "b"]),  # not all carry the word: it belongs to the name
        (["a_seg.png", "a_gt.png"], ["a_gt", "a_seg"]),  # two files may not become one case
        (["mask.png"], ["mask"]),
    ],
)
def test_label_words_are_cut_off_if_all_files_have_one(folder, names: list[str], ids: list[str]) -> None:
    assert sorted(label_files(folder(*names))) == ids


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ([1, 1], ("image",)),
        ([1, 3], ("red", "green", "blue")),
        ([3, 3], ("red", "green", "blue")),
    ],
)
def test_pictures_are_grey_or_coloured(tmp_path: Path, channels: list[int], expected: tuple[str, ...]) -> None:
    paths = []
    for number, count in enumerate(channels):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(np.zeros((2, 2, 3), np.uint8) if count == 3 else np.zeros((2, 2), np.uint8)).save(paths[-1])
    assert channel_names(paths) == expected


def test_the_channels_of_volumes_are_those_of_most(tmp_path: Path) -> None:
    paths = []
    for number, count in enumerate([1, 3, 3]):
        paths.append(tmp_path / f"{number}.nii")
        nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, count), np.uint8), np.eye(4)), paths[-1])
    (tmp_path / "broken.nii").touch()
    assert channel_names([*paths, tmp_path / "broken.nii"]) == ("channel 1", "channel 2", "channel 3")


def test_names_are_sorted_regardless_of_case_and_stand_once() -> None:
    assert sorted_names(["t2", "T1", "FLAIR", "t1", "T1"]) == ("FLAIR", "T1", "t1", "t2")


def test_ids_that_several_patients_have_get_the_patient_in_front() -> None:
    cases = [Case(case_id=case, patient_id=patient, images=()) for case, patient in [("a", "P"), ("a", "Q"), ("b", "P"), ("b", "P")]]
    assert [case.case_id for case in distinct_ids(cases)] == ["P_a", "Q_a", "b", "b"]
