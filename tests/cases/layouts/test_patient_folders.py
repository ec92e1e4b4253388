from __future__ import annotations

import pytest

from crgan.cases.case import Case
from crgan.cases.layouts.patient_folders import PatientFolders

LAYOUT = PatientFolders()


def table(root, cases: tuple[Case, ...]) -> list[tuple[str, str, list[str], str | None]]:
    """Cases as rows: id, patient, images, label, with paths relative to the folder."""
    rows = [
        (
            case.case_id,
            case.patient_id,
            [path.relative_to(root).as_posix() for path in case.images],
            None if case.label is None else case.label.relative_to(root).as_posix(),
        )
        for case in cases
    ]
    return sorted(rows)


def test_two_time_points_of_a_patient_are_two_cases(folder) -> None:
    root = folder(
        *(f"patient001/patient001_frame{frame}{kind}.nii.gz" for frame in ("01", "12") for kind in ("", "_gt")),
        *(f"patient002/patient002_frame{frame}{kind}.nii.gz" for frame in ("01", "09") for kind in ("", "_gt")),
        "patient001/patient001_4d.nii.gz",
        "patient001/Info.cfg",
    )
    assert LAYOUT.detect(root)
    found = LAYOUT.cases(root)
    assert found.modalities == ("image",)
    assert table(root, found.cases)[1] == (
        "patient001_frame12",
        "patient001",
        ["patient001/patient001_frame12.nii.gz"],
        "patient001/patient001_frame12_gt.nii.gz",
    )
    assert [(case.case_id, case.patient_id) for case in sorted(found.cases, key=lambda case: case.case_id)] == [
        ("patient001_frame01", "patient001"),
        ("patient001_frame12", "patient001"),
        ("patient002_frame01", "patient002"),
        ("patient002_frame09", "patient002"),
    ]


@pytest.mark.parametrize("labels", [True, False])
@pytest.mark.parametrize(
    ("patient", "separator", "modalities", "label"),
    [
        ("brats_2013_pat0001_1", "_", ("flair", "t1ce"), "seg"),
        ("patient07", "_", ("FLAIR", "T1", "T1POST", "T2"), "lesion"),
        ("subject1", "_", ("T1",), "seg"),
        ("BraTS-GLI-00000-000", "-", ("t1c", "t1n", "t2f", "t2w"), "seg"),
        ("p1", "_", ("mapA", "mapB"), "mask"),  # unknown words, but the patient's folder is named like what stands before
    ],
)
def test_modalities_of_a_patient_are_one_case(
    folder, patient: str, separator: str, modalities: tuple[str, ...], label: str, labels: bool
) -> None:
    other = patient.replace("1", "2").replace("7", "8").replace("000-000", "000-001")
    words = (*modalities, label) if labels else modalities
    root = folder(*(f"{name}/{name}{separator}{word}.nii.gz" for name in (patient, other) for word in words))
    assert LAYOUT.detect(root)
    found = LAYOUT.cases(root)
    assert found.modalities == modalities
    assert table(root, found.cases) == sorted(
        (
            name,
            name,
            [f"{name}/{name}{separator}{modality}.nii.gz" for modality in modalities],
            f"{name}/{name}{separator}{label}.nii.gz" if labels else None,
        )
        for name in (patient, other)
    )


@pytest.mark.parametrize("labels", [True, False])
def test_single_images_with_different_contrasts_are_of_one_modality(folder, labels: bool) -> None:
    images = ["t1/t1w.nii.gz", "t2/t2.nii.gz", "t2s/t2s_uncropped.nii.gz"]
    files = ["t1/t1w_seg-manual.nii.gz", "t2/t2_seg-manual.nii.gz", "t2s/t2s_uncropped_gmseg_manual.nii.gz"]
    root = folder(*images, *(files if labels else []))
    found = LAYOUT.cases(root)
    assert found.modalities == ("image",)
    rows = zip(["t1w", "t2", "t2s_uncropped"], ["t1", "t2", "t2s"], images, files, strict=True)
    assert table(root, found.cases) == [(case, patient, [image], label if labels else None) for case, patient, image, label in rows]


def test_files_may_be_named_by_modality_alone(folder) -> None:
    root = folder(*(f"{patient}/{word}.nii.gz" for patient in ("A", "B") for word in ("T1", "FLAIR", "seg")))
    found = LAYOUT.cases(root)
    assert found.modalities == ("FLAIR", "T1")
    assert table(root, found.cases)[0] == ("A", "A", ["A/FLAIR.nii.gz", "A/T1.nii.gz"], "A/seg.nii.gz")


def test_equal_names_in_several_folders_are_told_apart_by_the_folder(folder) -> None:
    root = folder("A/scan.nii.gz", "A/scan_seg.nii.gz", "B/scan.nii.gz", "B/scan_seg.nii.gz", "C/other.nii.gz")
    found = LAYOUT.cases(root)
    assert [row[:2] for row in table(root, found.cases)] == [("A_scan", "A"), ("B_scan", "B"), ("other", "C")]


def test_a_label_named_after_one_of_the_modalities_is_of_the_whole_case(folder) -> None:
    root = folder(*(f"P{n}/P{n}_{word}.nii.gz" for n in (1, 2) for word in ("T1", "FLAIR", "FLAIR_seg")))
    found = LAYOUT.cases(root)
    assert found.modalities == ("FLAIR", "T1")
    assert table(root, found.cases)[0] == ("P1", "P1", ["P1/P1_FLAIR.nii.gz", "P1/P1_T1.nii.gz"], "P1/P1_FLAIR_seg.nii.gz")


def test_two_labelled_images_of_a_patient_are_two_cases_whatever_they_are_called(folder) -> None:
    root = folder(
        *(f"P1/P1_{phase}{kind}.nii.gz" for phase in ("ED", "ES") for kind in ("", "_gt")),
        "P2/P2_ED.nii.gz",  # not labelled, and still no modality
    )
    found = LAYOUT.cases(root)
    assert found.modalities == ("image",)
    assert [row[:2] for row in table(root, found.cases)] == [("P1_ED", "P1"), ("P1_ES", "P1"), ("P2_ED", "P2")]


def test_examinations_with_several_modalities_each(folder) -> None:
    root = folder(*(f"P1/P1_visit{visit}_{word}.nii.gz" for visit in (1, 2) for word in ("T1", "T2", "seg")))
    found = LAYOUT.cases(root)
    assert found.modalities == ("T1", "T2")
    assert [row[:2] for row in table(root, found.cases)] == [("P1_visit1", "P1"), ("P1_visit2", "P1")]


def test_a_missing_modality_is_named_where_it_would_be(folder) -> None:
    root = folder(*(f"{p}/{p}_{word}.nii.gz" for p in ("A", "B") for word in ("T1", "T2", "seg")), "C/C_T2.nii.gz")
    found = LAYOUT.cases(root)
    assert table(root, found.cases)[2] == ("C", "C", ["C/C_T1.nii.gz", "C/C_T2.nii.gz"], None)
    assert not found.cases[2].images[0].exists()


def test_a_label_without_image_is_a_case_whose_images_are_missing(folder) -> None:
    root = folder("A/A_T1.nii.gz", "A/A_T2.nii.gz", "A/A_seg.nii.gz", "B/B_seg.nii.gz")
    found = LAYOUT.cases(root)
    assert table(root, found.cases)[1] == ("B", "B", ["B/B_T1.nii.gz", "B/B_T2.nii.gz"], "B/B_seg.nii.gz")


def test_brain_masks_are_left_out(folder) -> None:
    root = folder(*(f"{p}/{p}_{word}.nii.gz" for p in ("A", "B") for word in ("T1", "seg", "brainmask", "brain_mask")))
    found = LAYOUT.cases(root)
    assert found.modalities == ("T1",)
    assert table(root, found.cases)[0] == ("A", "A", ["A/A_T1.nii.gz"], "A/A_seg.nii.gz")


def test_two_labels_of_a_case_are_told(folder) -> None:
    root = folder(*(f"{p}/{p}_{word}.nii.gz" for p in "AB" for word in ("T1", "seg", "lesion")))
    found = LAYOUT.cases(root)
    assert found.modalities == ("T1",)
    assert [(problem.what, problem.where, problem.got) for problem in found.ambiguous] == [
        ("Case A has 2 label files.", root / "A", "A_lesion.nii.gz, A_seg.nii.gz"),
        ("Case B has 2 label files.", root / "B", "B_lesion.nii.gz, B_seg.nii.gz"),
    ]


def test_patients_may_lie_in_one_folder(folder) -> None:
    root = folder(*(f"{p}_{word}.nii.gz" for p in ("A", "B") for word in ("flair", "t1", "seg")))
    assert LAYOUT.detect(root)
    found = LAYOUT.cases(root)
    assert found.modalities == ("flair", "t1")
    assert table(root, found.cases)[1] == ("B", "B", ["B_flair.nii.gz", "B_t1.nii.gz"], "B_seg.nii.gz")


@pytest.mark.parametrize(
    "names",
    [
        ["a_01.nii.gz", "a_02.nii.gz"],
        ["masks/a.nii.gz", "other/notes.txt", "more/notes.txt"],
        ["a.nii.gz", "b.nii.gz", "maps/a_fn.nii.gz"],
        ["notes.txt"],
    ],
)
def test_other_folders_are_not_taken(folder, names: list[str]) -> None:
    assert not LAYOUT.detect(folder(*names))
