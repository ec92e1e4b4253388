from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crgan.cases.integrity import check_cases
from crgan.cases.layouts import open_dataset
from crgan.errors import CrganError

Folder = Callable[..., Path]


def ids(root: Path) -> list[tuple[str, str, str | None]]:
    dataset = open_dataset(root)
    assert dataset.layout == "bids"
    return [(case.case_id, case.patient_id, case.label and case.label.name) for case in dataset.cases]


def test_sessions_are_cases_and_subjects_patients(folder: Folder) -> None:
    root = folder(
        "sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz",
        "sub-01/ses-1/anat/sub-01_ses-1_FLAIR.nii.gz",
        "sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz",
        "sub-01/ses-2/anat/sub-01_ses-2_FLAIR.nii.gz",
        "sub-02/anat/sub-02_T1w.nii",
        "sub-02/anat/sub-02_FLAIR.nii",
        "derivatives/experts/sub-01/ses-1/anat/sub-01_ses-1_label-lesion_mask.nii.gz",
        "derivatives/experts/sub-01/ses-2/anat/sub-01_ses-2_space-T1w_dseg.nii.gz",
        "derivatives/experts/sub-02/anat/sub-02_msk.nii.gz",
    )
    assert ids(root) == [
        ("sub-01_ses-1", "sub-01", "sub-01_ses-1_label-lesion_mask.nii.gz"),
        ("sub-01_ses-2", "sub-01", "sub-01_ses-2_space-T1w_dseg.nii.gz"),
        ("sub-02", "sub-02", "sub-02_msk.nii.gz"),
    ]
    dataset = open_dataset(root)
    assert dataset.modalities == ("FLAIR", "T1w")
    assert [path.name for path in dataset.cases[2].images] == ["sub-02_FLAIR.nii", "sub-02_T1w.nii"]


def test_raw_data_without_folders_of_modalities_and_labels_right_under_derivatives(folder: Folder) -> None:
    root = folder(
        "rawdata/sub-a/ses-1/sub-a_ses-1_dwi.nii.gz",
        "rawdata/sub-a/ses-1/sub-a_ses-1_adc.nii.gz",
        "derivatives/sub-a/ses-1/sub-a_ses-1_msk.nii.gz",
        "derivatives/sub-a/ses-1/sub-a_ses-1_snp.png",
    )
    assert ids(root) == [("sub-a_ses-1", "sub-a", "sub-a_ses-1_msk.nii.gz")]
    assert open_dataset(root).modalities == ("adc", "dwi")


def test_a_label_without_a_session_is_of_the_only_one(folder: Folder) -> None:
    root = folder("sub-a/ses-1/ct/sub-a_ses-1_ct.nii.gz", "derivatives/labels/sub-a/ct/sub-a_ct_seg-manual.nii.gz")
    assert ids(root) == [("sub-a_ses-1", "sub-a", "sub-a_ct_seg-manual.nii.gz")]


def test_what_is_no_anatomy_or_no_label_is_left_out(folder: Folder) -> None:
    root = folder(
        "sub-a/anat/sub-a_T1w.nii.gz",
        "sub-a/anat/sub-a_desc-brain_mask.nii.gz",
        "sub-a/func/sub-a_task-rest_bold.nii.gz",
        "sub-a/dwi/sub-a_dwi.nii.gz",
        "sub-a/dwi/sub-a_dwi.bval",
        "derivatives/fast/sub-a/anat/sub-a_label-GM_probseg.nii.gz",
        "derivatives/fast/sub-a/anat/sub-a_desc-brain_mask.nii.gz",
        "derivatives/fast/sub-a/anat/sub-a_dseg.nii.gz",
        "derivatives/fast/sub-a/anat/other.nii.gz",
    )
    assert ids(root) == [("sub-a", "sub-a", "sub-a_dseg.nii.gz")]
    assert open_dataset(root).modalities == ("T1w",)


def test_files_of_one_kind_are_told_apart_by_the_rest_of_their_names(folder: Folder) -> None:
    root = folder(
        "sub-a/anat/sub-a_acq-sag_T2w.nii.gz",
        "sub-a/anat/sub-a_acq-ax_T2w.nii.gz",
        "sub-a/anat/sub-a_rec-norm_T1w.nii.gz",
        "sub-b/anat/sub-b_acq-sag_T2w.nii.gz",
        "sub-b/anat/sub-b_T1w.nii.gz",
    )
    dataset = open_dataset(root)
    assert dataset.modalities == ("acq-ax_T2w", "acq-sag_T2w", "T1w")
    problems = check_cases(dataset, need_labels=False)[1]
    (lacking,) = [problem for problem in problems if problem.severity == "error"]
    assert lacking.what == "Case sub-b lacks the modality acq-ax_T2w."
    assert str(lacking.where).endswith("sub-b/anat/sub-b_acq-ax_T2w.nii.gz")


def test_two_labels_of_a_session_and_a_label_without_images_are_reported(folder: Folder) -> None:
    root = folder(
        "sub-a/anat/sub-a_T1w.nii.gz",
        "derivatives/one/sub-a/anat/sub-a_label-liver_mask.nii.gz",
        "derivatives/two/sub-a/anat/sub-a_label-spleen_mask.nii.gz",
    )
    with pytest.raises(CrganError, match="Case sub-a has 2 label files"):
        open_dataset(root)
    assert open_dataset(root, ignore_labels=True).labelled == ()
    (root / "derivatives/two/sub-a/anat/sub-a_label-spleen_mask.nii.gz").rename(root / "derivatives/two/sub-b_label-spleen_mask.nii.gz")
    dataset = open_dataset(root)
    problems = check_cases(dataset, need_labels=True)[1]
    assert next(problem.what for problem in problems if problem.severity == "error") == "Case sub-b has no image."


def test_folders_of_patients_with_such_names_stay_folders_of_patients(folder: Folder) -> None:
    root = folder("sub-1/sub-1_T1.nii.gz", "sub-1/sub-1_seg.nii.gz", "sub-2/sub-2_T1.nii.gz")
    assert open_dataset(root).layout == "patient_folders"
    (root / "dataset_description.json").write_text("{}")
    assert ids(root) == [("sub-1", "sub-1", "sub-1_seg.nii.gz"), ("sub-2", "sub-2", None)]
