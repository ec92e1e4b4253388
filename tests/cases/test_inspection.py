from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crgan.cases.case import Case
from crgan.cases.inspection import inspect_case
from crgan.cases.labels import LabelScheme
from crgan.cases.summary import FOREGROUND_PERCENTILES, PERCENTILES

MakeFile = Callable[..., Path]


def test_a_case_without_any_image_has_no_summary_and_leaves_that_to_the_data_set(tmp_path: Path, label: MakeFile) -> None:
    case = Case(case_id="a", patient_id="a", images=(tmp_path / "absent.nii.gz",), label=label("a_seg.nii.gz", 1))
    inspection = inspect_case(case, ("T1",), None)
    assert (inspection.summary, inspection.problems) == (None, ())


def test_what_is_there_is_summarised_where_a_modality_is_missing(tmp_path: Path, nifti: MakeFile) -> None:
    image = nifti("a_T2.nii.gz", affine=np.diag([2.0, 1.0, 1.0, 1.0]))
    case = Case(case_id="a", patient_id="p", images=(tmp_path / "a_T1.nii.gz", image))
    inspection = inspect_case(case, ("T1", "T2"), None)
    summary = inspection.summary
    assert inspection.problems == ()
    assert summary is not None
    assert (summary.spacing_mm, len(summary.channels), summary.bytes_on_disk) == ((2.0, 1.0, 1.0), 1, image.stat().st_size)


def test_without_declared_labels_all_values_are_counted_and_allowed(nifti: MakeFile, label: MakeFile) -> None:
    case = Case(case_id="a", patient_id="a", images=(nifti("a.nii.gz"),), label=label("a_seg.nii.gz", 3, 3, 200))
    inspection = inspect_case(case, ("T1",), None)
    summary = inspection.summary
    assert inspection.problems == ()
    assert summary is not None
    assert summary.label_voxels == {0: 117, 3: 2, 200: 1}


def test_percentiles_of_large_volumes_are_estimated(nifti: MakeFile) -> None:
    array = np.random.default_rng(0).normal(100, 15, (100, 100, 100)).astype(np.float32)
    inspection = inspect_case(Case(case_id="a", patient_id="a", images=(nifti("a.nii", array),)), ("T1",), None)
    summary = inspection.summary
    assert summary is not None
    assert summary.channels[0].percentiles == pytest.approx(np.percentile(array, PERCENTILES), abs=1)
    assert summary.channels[0].mean == pytest.approx(array.mean(), abs=1e-3)


@pytest.mark.parametrize(
    ("values", "words"), [([9, 1], []), ([9], []), ([9] * 120, ["voxels to be ignored alone"]), ([7], ["7 (1 voxels)"])]
)
def test_the_value_to_ignore_is_declared_but_marks_nothing(nifti: MakeFile, label: MakeFile, values: list[int], words: list[str]) -> None:
    case = Case(case_id="a", patient_id="a", images=(nifti("a.nii.gz"),), label=label("a_seg.nii.gz", *values))
    problems = inspect_case(case, ("T1",), LabelScheme(classes={1: "lesion"}, ignore=9)).problems
    got = [problem.got for problem in problems if problem.got != "background alone"]
    assert got == words
    assert any("is empty" in problem.what for problem in problems) == (1 not in values and 7 not in values)


def test_percentiles_are_those_of_numpy_and_leave_the_background_out(nifti: MakeFile) -> None:
    array = np.zeros((6, 7, 8), np.float32)
    array[1:5, 2:6, 1:7] = np.random.default_rng(0).normal(100, 15, (4, 4, 6))
    summary = inspect_case(Case(case_id="a", patient_id="a", images=(nifti("a.nii", array),)), ("T1",), None).summary
    assert summary is not None
    assert summary.channels[0].percentiles == pytest.approx(np.percentile(array, PERCENTILES))
    assert summary.channels[0].foreground == pytest.approx(np.percentile(array[array != 0], FOREGROUND_PERCENTILES))
    everything = inspect_case(
        Case(case_id="a", patient_id="a", images=(nifti("b.nii", array + np.indices(array.shape)[2]),)), ("T1",), None
    )
    assert everything.summary is not None
    shown = (array + np.indices(array.shape)[2]).ravel()
    assert everything.summary.channels[0].foreground == pytest.approx(np.percentile(shown, FOREGROUND_PERCENTILES))


def test_equal_voxels_have_equal_hashes_however_they_are_stored(nifti: MakeFile) -> None:
    array = np.random.default_rng(0).integers(0, 99, (5, 6, 7)).astype(np.int16)
    changed = array.copy()
    changed[4, 5, 6] += 1
    paths = [nifti("a.nii", array), nifti("b.nii.gz", array.astype(np.float32)), nifti("c.nii.gz", changed)]
    hashes = [inspect_case(Case(case_id="a", patient_id="a", images=(path,)), ("T1",), None).evidence.image_hashes for path in paths]
    assert hashes[0] == hashes[1] != hashes[2]
