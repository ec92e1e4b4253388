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


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """A sequence of four pictures, whose times have four digits: gold truth of the third, silver of the second and third."""
    for time in range(4):
        write(tmp_path / "03" / f"t{time:04d}.tif", np.arange(72, dtype=np.uint8).reshape(8, 9) + time)
    ids = np.zeros((8, 9), np.uint16)
    ids[1:7, 1:7] = 5
    write(tmp_path / "03_GT/SEG/man_seg0002.tif", ids)
    write(tmp_path / "03_ST/SEG/man_seg0001.tif", ids // 5 * 2)
    write(tmp_path / "03_ST/SEG/man_seg0002.tif", np.zeros_like(ids))
    write(tmp_path / "03_ST/SEG/man_seg0077.tif", ids)  # of a frame that is not there
    return tmp_path


def test_pictures_make_up_a_movie(movie: Path) -> None:
    dataset = open_dataset(movie)
    (case,) = dataset.cases
    assert (case.case_id, case.patient_id, case.images, case.label_format) == ("03", "03", (movie / "03",), "ctc_movie")
    found = read_case(case, dataset)
    assert found.geometry.is_movie
    assert found.spacing_mm == (10, 1, 1)  # far enough apart for time never to be seen from the side
    assert found.image.shape == (1, 4, 8, 9)
    assert (found.image[0, :, 0, 0] == [0, 1, 2, 3]).all()
    summaries, problems = check_cases(dataset, need_labels=True)
    assert problems == []
    # An object is a cell in a frame; frames without a mask are not known.
    assert summaries[0].label_voxels == {-1: 144, 0: 72, 2: 36, 7: 36}


def test_borders_run_within_frames_and_frames_without_truth_are_ignored(movie: Path) -> None:
    dataset = open_dataset(movie)
    label = read_case(dataset.cases[0], dataset).label
    assert label is not None
    assert (label[[0, 3]] == 255).all()
    assert np.array_equal(label[1], label[2])
    assert (label[1, 1:7, 1:7] == 2).sum() == 32  # the inside of 2 x 2 pixels is not border, though its neighbours in time are none
    assert open_dataset(movie / "03").cases[0].label is not None


@pytest.mark.parametrize(
    ("file", "array", "what"),
    [
        ("03/t0002.tif", np.ones((7, 9), np.uint8), "The frames of a movie differ in size."),
        ("03/t0002.tif", np.ones((3, 8, 9), np.uint8), "The frames of a movie differ in size."),
        ("03_GT/SEG/man_seg0003.tif", np.ones((7, 9), np.uint16), "The mask does not fit its frame."),
        ("03_GT/SEG/man_seg_0003_0002.tif", np.ones((8, 9), np.uint16), "The mask does not fit its frame."),
    ],
)
def test_what_does_not_fit_the_movie_is_told_of_its_file(movie: Path, file: str, array: np.ndarray, what: str) -> None:
    (movie / file).unlink(missing_ok=True)
    write(movie / file, array)
    problems = [problem for problem in check_cases(open_dataset(movie), need_labels=True)[1] if problem.severity == "error"]
    assert [(problem.what, problem.where) for problem in problems] == [(what, movie / file)]


def test_a_damaged_frame_is_told_of_its_file(movie: Path) -> None:
    path = movie / "03/t0002.tif"
    path.write_bytes(path.read_bytes()[:60])
    (problem,) = check_cases(open_dataset(movie), need_labels=True)[1]
    assert (problem.kind, problem.where) == ("unreadable", path)
