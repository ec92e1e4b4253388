from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crgan.cases.integrity import check_cases
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import open_dataset, open_labels

Folder = Callable[..., Path]
FILES = ("a1/images/a1.png", "a1/masks/x_mask.png", "a1/masks/y_mask.png", "b2/images/b2.png", "b2/masks/z_mask.png", "c3/images/c3.png")


@pytest.mark.parametrize("stage", ["", "stage1_train/"])
def test_a_folder_for_each_picture_with_a_mask_for_each_nucleus(folder: Folder, stage: str) -> None:
    root = folder(*(stage + name for name in FILES))
    dataset = open_dataset(root)
    assert dataset.layout == "dsb2018"
    assert [(case.case_id, case.patient_id, case.label and case.label.name, case.label_format) for case in dataset.cases] == [
        ("a1", "a1", "masks", "objects"),
        ("b2", "b2", "masks", "objects"),
        ("c3", "c3", None, None),
    ]
    assert dataset.labels == LabelScheme(classes={1: "nucleus"}, instances=True)
    summaries, problems = check_cases(dataset, need_labels=False)
    assert not [problem for problem in problems if problem.severity == "error"]
    assert [set(summary.label_voxels or {}) for summary in summaries] == [{0, 1}, {0, 1}, set()]
    assert open_labels(root).formats == {"a1": "objects", "b2": "objects"}


def test_damage_is_told(folder: Folder) -> None:
    root = folder(*FILES)
    (root / "b2/masks/z_mask.png").unlink()
    (root / "a1/masks/y_mask.png").write_bytes(b"no picture")
    problems = check_cases(open_dataset(root), need_labels=False)[1]
    errors = [problem.what for problem in problems if problem.severity == "error"]
    assert errors == ["The image file cannot be read.", "The folder of masks is empty."]


def test_other_folders_are_none(folder: Folder) -> None:
    assert open_dataset(folder("images/a.png", "masks/a.png")).layout == "paired"
