from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from crgan.cases.integrity import check_cases
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import open_dataset
from crgan.cases.reading import read_case

CELLS = LabelScheme(classes={1: "cell"}, instances=True, ignore=-1)


def write(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, photometric="minisblack")
    return path


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    """Two sequences of volumes: 3 slices of 8 x 9 pixels, one cell in each; whole truth, truth of a slice, silver truth, none."""
    random = np.random.default_rng(0)
    ids = np.zeros((3, 8, 9), np.uint16)
    ids[1:, 2:7, 2:7] = 40
    for sequence in ("01", "02"):
        for time in range(4):
            write(tmp_path / sequence / f"t{time:03d}.tif", random.integers(0, 999, (3, 8, 9), np.uint16))
    write(tmp_path / "01_GT/SEG/man_seg000.tif", ids)
    write(tmp_path / "01_GT/SEG/man_seg_001_001.tif", ids[1])
    write(tmp_path / "01_GT/SEG/man_seg_001_002.tif", ids[2])
    write(tmp_path / "01_GT/TRA/man_track000.tif", ids)
    write(tmp_path / "01_ST/SEG/man_seg000.tif", ids * 2)
    write(tmp_path / "01_ST/SEG/man_seg002.tif", ids)
    return tmp_path


def test_sequences_are_patients_and_time_points_cases(volumes: Path) -> None:
    dataset = open_dataset(volumes)
    assert dataset.layout == "ctc"
    assert dataset.labels == CELLS
    assert [(case.case_id, case.patient_id) for case in dataset.cases[3:6]] == [("01_t003", "01"), ("02_t000", "02"), ("02_t001", "02")]
    assert [case.label and case.label.relative_to(volumes).as_posix() for case in dataset.cases[:5]] == [
        "01_GT/SEG/man_seg000.tif",
        "01_GT/SEG/man_seg_001_001.tif",
        "01_ST/SEG/man_seg002.tif",
        None,
        None,
    ]
    assert [case.label_format for case in dataset.cases[:4]] == [None, "ctc_slices", None, None]
    assert open_dataset(volumes / "01").cases == dataset.cases[:4]
    assert not [problem for problem in check_cases(dataset, need_labels=False)[1] if problem.severity == "error"]


def test_slices_without_truth_are_ignored(volumes: Path) -> None:
    dataset = open_dataset(volumes)
    label = read_case(dataset.cases[1], dataset).label
    assert label is not None
    assert (label[0] == 255).all()
    assert (label[1, 2:7, 2:7] == [[2, 2, 2, 2, 2], [2, 2, 2, 2, 2], [2, 2, 1, 2, 2], [2, 2, 2, 2, 2], [2, 2, 2, 2, 2]]).all()
    assert (label[1:] > 0).sum() == 50
    summaries, _ = check_cases(dataset, cases=dataset.cases[1:2], need_labels=True)
    assert summaries[0].label_voxels == {-1: 72, 0: 94, 40: 50}


def test_a_slice_that_does_not_fit_is_told(volumes: Path) -> None:
    write(volumes / "01_GT/SEG/man_seg_001_007.tif", np.ones((8, 9), np.uint16))
    write(volumes / "02_GT/SEG/man_seg_000_001.tif", np.ones((4, 9), np.uint16))
    problems = [problem for problem in check_cases(open_dataset(volumes), need_labels=False)[1] if problem.severity == "error"]
    assert [(problem.what, problem.where and Path(problem.where).name, problem.got) for problem in problems] == [
        ("The annotated slice does not fit the image.", "man_seg_001_007.tif", "8 x 9 pixels, slice 7"),
        ("The annotated slice does not fit the image.", "man_seg_000_001.tif", "4 x 9 pixels, slice 1"),
    ]


def test_pictures_have_whole_masks_and_times_may_have_four_digits(tmp_path: Path) -> None:
    for time in range(2):
        write(tmp_path / "03" / f"t{time:04d}.tif", np.arange(72, dtype=np.uint8).reshape(8, 9))
    write(tmp_path / "03_GT/SEG/man_seg0001.tif", np.eye(8, 9, dtype=np.uint16))
    dataset = open_dataset(tmp_path)
    assert [(case.case_id, case.label is not None) for case in dataset.cases] == [("03_t0000", False), ("03_t0001", True)]
    assert read_case(dataset.cases[1], dataset).image.shape == (1, 1, 8, 9)
