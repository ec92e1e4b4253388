from __future__ import annotations

import pytest

from crgan.cases.layouts import open_dataset
from crgan.cases.layouts.brats import Brats
from crgan.cases.layouts.brats_names import FROM_2023, TO_2015, TO_2021
from crgan.errors import CrganError

LAYOUT = Brats()
WORDS = ("t1", "t1ce", "t2", "flair", "seg")


def year_2021(*cases: str, folder: str = "") -> list[str]:
    return [f"{folder}{case}/{case}_{word}.nii.gz" for case in cases for word in WORDS]


def year_2023(*cases: str) -> list[str]:
    return [f"{case}/{case}-{word}.nii.gz" for case in cases for word in ("t1n", "t1c", "t2w", "t2f", "seg")]


def year_2015(folder: str, *, first: int = 1, words: tuple[str, ...] = ("Flair", "T1", "T1c", "T2", "OT")) -> list[str]:
    names = [
        f"VSD.Brain_3more.XX.O.OT.{number}" if word == "OT" else f"VSD.Brain.XX.O.MR_{word}.{number}"
        for number, word in enumerate(words, start=first)
    ]
    return [f"{folder}/{name}/{name}.mha" for name in names]


@pytest.mark.parametrize("grade", ["", "HGG/", "LGG/"])
def test_cases_in_the_names_of_2017_to_2021(folder, grade: str) -> None:
    names = year_2021("Brats18_CBICA_AAB_1", "Brats18_TCIA01_101_1", "Brats18_TCIA01_101_2", folder=grade)
    root = folder(*names, "survival_data.csv")
    assert LAYOUT.detect(root)
    found = LAYOUT.cases(root)
    assert [(case.case_id, case.patient_id) for case in found.cases] == [
        ("Brats18_CBICA_AAB_1", "Brats18_CBICA_AAB"),
        ("Brats18_TCIA01_101_1", "Brats18_TCIA01_101"),
        ("Brats18_TCIA01_101_2", "Brats18_TCIA01_101"),
    ]
    assert found.modalities == ("flair", "t1", "t1ce", "t2")
    assert [path.name.split("_")[-1] for path in found.cases[0].images] == [f"{name}.nii.gz" for name in found.modalities]
    assert all(case.label is not None and case.label.name == f"{case.case_id}_seg.nii.gz" for case in found.cases)
    assert (found.labels, found.ambiguous) == (TO_2021, ())


def test_cases_in_the_names_of_2023(folder) -> None:
    root = folder(*year_2023("BraTS-GLI-00000-000", "BraTS-GLI-00000-001", "BraTS-GLI-00002-000"))
    assert LAYOUT.detect(root)
    found = LAYOUT.cases(root)
    assert [case.patient_id for case in found.cases] == ["BraTS-GLI-00000", "BraTS-GLI-00000", "BraTS-GLI-00002"]
    assert found.modalities == ("flair", "t1", "t1ce", "t2")  # whatever the year calls them: models are to go on being of use
    assert [path.name[-10:-7] for path in found.cases[0].images] == ["t2f", "t1n", "t1c", "t2w"]
    assert found.labels == FROM_2023


def test_cases_of_the_virtual_skeleton_database(folder) -> None:
    root = folder(*year_2015("HGG/brats_2013_pat0001_1"), *year_2015("LGG/brats_tcia_pat101_1", first=11, words=("Flair", "T1c", "T2")))
    assert LAYOUT.detect(root)
    found = LAYOUT.cases(root)
    first, second = found.cases
    assert (first.case_id, first.patient_id, second.patient_id) == ("brats_2013_pat0001_1", "brats_2013_pat0001", "brats_tcia_pat101")
    assert [path.name for path in first.images] == [
        f"VSD.Brain.XX.O.MR_{word}.{number}.mha" for word, number in [("Flair", 1), ("T1", 2), ("T1c", 3), ("T2", 4)]
    ]
    assert first.label is not None
    assert first.label.name == "VSD.Brain_3more.XX.O.OT.5.mha"
    assert (second.label, second.images[1].exists(), found.labels) == (None, False, TO_2015)


def test_numbers_count_anew_in_each_grade(folder) -> None:
    root = folder(*year_2015("HG/0001"), *year_2015("LG/0001", first=6))
    assert LAYOUT.detect(root)
    assert [(case.case_id, case.patient_id) for case in LAYOUT.cases(root).cases] == [("HG_0001", "HG_0001"), ("LG_0001", "LG_0001")]


@pytest.mark.parametrize(
    ("names", "inner"),
    [
        (year_2021("BraTS2021_00000"), "BraTS2021_00000"),
        (year_2015("HGG/brats_2013_pat0001_1"), "HGG/brats_2013_pat0001_1"),
        ([f"BraTS2021_00000_{word}.nii.gz" for word in WORDS], ""),
    ],
)
def test_one_patient_or_all_files_in_one_folder(folder, names: list[str], inner: str) -> None:
    root = folder(*names) / inner
    assert LAYOUT.detect(root)
    (case,) = LAYOUT.cases(root).cases
    assert case.label is not None
    assert len(case.images) == 4
    assert all(path.is_file() for path in case.images)


def test_a_derivative_keeps_what_its_names_tell(folder) -> None:
    name = "brats_2013_pat0001_1"
    root = folder(*(f"{name}/{name}_{word}.nii.gz" for word in ("flair", "t1ce", "seg")))
    assert LAYOUT.detect(root)
    found = LAYOUT.cases(root)
    assert (found.modalities, found.labels, found.cases[0].patient_id) == (("flair", "t1ce"), TO_2015, "brats_2013_pat0001")


def test_the_label_that_was_handed_out_with_a_wrong_name(folder) -> None:
    names = [name for name in year_2021("BraTS20_Training_354", "BraTS20_Training_355") if "355_seg" not in name]
    root = folder(*names, "BraTS20_Training_355/W39_1998.09.19_Segm.nii")
    labels = {case.case_id: case.label and case.label.name for case in LAYOUT.cases(root).cases}
    assert labels == {"BraTS20_Training_354": "BraTS20_Training_354_seg.nii.gz", "BraTS20_Training_355": "W39_1998.09.19_Segm.nii"}


def test_what_is_missing_is_named(folder) -> None:
    root = folder(*(name for name in year_2023("BraTS-GLI-00000-000", "BraTS-GLI-00001-000") if "00001-000-t1c" not in name))
    (missing,) = [path for case in LAYOUT.cases(root).cases for path in case.images if not path.exists()]
    assert missing == root / "BraTS-GLI-00001-000/BraTS-GLI-00001-000-t1c.nii.gz"


def test_two_files_of_a_scan_are_refused(folder) -> None:
    root = folder(*year_2021("BraTS2021_00000"), "BraTS2021_00000/BraTS2021_00000_t1.nii")
    with pytest.raises(CrganError, match=r"Two files are the image t1 of case BraTS2021_00000[\s\S]*t1\.nii, BraTS2021_00000_t1\.nii\.gz"):
        LAYOUT.cases(root)


def test_years_that_mean_other_things_are_not_mixed(folder) -> None:
    root = folder(*year_2021("BraTS2021_00000"), *year_2023("BraTS-GLI-00000-000"))
    with pytest.raises(CrganError, match=r"mean different things[\s\S]*got:\s+2017–2021, 2023"):
        open_dataset(root)
    assert len(open_dataset(root, ignore_labels=True).cases) == 2


def test_test_cases_have_no_labels(folder) -> None:
    root = folder(*(name for name in year_2021("BraTS20_Validation_001") if "seg" not in name))
    found = LAYOUT.cases(root)
    assert ([case.label for case in found.cases], found.labels) == ([None], None)


def test_other_folders_are_not_taken(folder) -> None:
    root = folder("HGG/p1/p1_t1.nii.gz", "BraTS2021_00000/notes.nii.gz", "BRATS_001.nii.gz", "a_T1.nii.gz")
    assert not LAYOUT.detect(root)
    assert not LAYOUT.detect(root / "a_T1.nii.gz")
    assert not LAYOUT.detect(root / "absent")
