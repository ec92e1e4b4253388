"""Official names of every year, and names that only look like them."""

from __future__ import annotations

from pathlib import Path

import pytest

from crgan.cases.layouts.brats_names import FROM_2023, TO_2015, TO_2021, is_case_name, read_name

OLD = "brats_2013_pat0001_1"
TCIA = "HGG_LGG/brats_tcia_pat103_0002"


@pytest.mark.parametrize(
    ("path", "case", "patient", "modality", "labels"),
    [
        (f"HGG/{OLD}/VSD.Brain.XX.O.MR_Flair.54512/VSD.Brain.XX.O.MR_Flair.54512.mha", OLD, OLD[:-2], "flair", TO_2015),
        (f"HGG/{OLD}/VSD.Brain.XX.O.MR_T1.54513/VSD.Brain.XX.O.MR_T1.54513.mha", OLD, OLD[:-2], "t1", TO_2015),
        (f"HGG/{OLD}/VSD.Brain.XX.O.MR_T1c.54514/VSD.Brain.XX.O.MR_T1c.54514.mha", OLD, OLD[:-2], "t1ce", TO_2015),
        (f"HGG/{OLD}/VSD.Brain_3more.XX.O.OT.54517/VSD.Brain_3more.XX.O.OT.54517.mha", OLD, OLD[:-2], None, TO_2015),
        (f"{TCIA}/VSD.Brain.XX.O.MR_T2.40000.mha", "brats_tcia_pat103_0002", "brats_tcia_pat103", "t2", TO_2015),
        ("HG/0001/VSD.Brain.XX.O.MR_T2/VSD.Brain.XX.O.MR_T2.687.mha", "HG_0001", "HG_0001", "t2", TO_2015),
        ("LG/0001/VSD.Brain_3more.XX.XX.OT/VSD.Brain_3more.XX.XX.OT.6645.mha", "LG_0001", "LG_0001", None, TO_2015),
        (f"{OLD}/{OLD}_t1ce.nii.gz", OLD, OLD[:-2], "t1ce", TO_2015),
        (f"{OLD}/{OLD}_seg.nii.gz", OLD, OLD[:-2], None, TO_2015),
        ("Brats17_2013_10_1_t1ce.nii.gz", "Brats17_2013_10_1", "Brats17_2013_10", "t1ce", TO_2021),
        ("Brats17_TCIA_101_1_seg.nii.gz", "Brats17_TCIA_101_1", "Brats17_TCIA_101", None, TO_2021),
        ("Brats18_CBICA_AAB_1_flair.nii.gz", "Brats18_CBICA_AAB_1", "Brats18_CBICA_AAB", "flair", TO_2021),
        ("BraTS19_TMC_06290_1_t2.nii", "BraTS19_TMC_06290_1", "BraTS19_TMC_06290", "t2", TO_2021),
        ("BraTS20_Training_001_t1.nii", "BraTS20_Training_001", "BraTS20_Training_001", "t1", TO_2021),
        ("BraTS20_Validation_125_flair.nii.gz", "BraTS20_Validation_125", "BraTS20_Validation_125", "flair", TO_2021),
        ("BraTS2021_00000_seg.nii.gz", "BraTS2021_00000", "BraTS2021_00000", None, TO_2021),
        ("BraTS-GLI-00000-001-t1n.nii.gz", "BraTS-GLI-00000-001", "BraTS-GLI-00000", "t1", FROM_2023),
        ("BraTS-GLI-00000-000-t1c.nii.gz", "BraTS-GLI-00000-000", "BraTS-GLI-00000", "t1ce", FROM_2023),
        ("BraTS-SSA-00002-000-t2w.nii.gz", "BraTS-SSA-00002-000", "BraTS-SSA-00002", "t2", FROM_2023),
        ("BraTS-MEN-00004-000-t2f.nii.gz", "BraTS-MEN-00004-000", "BraTS-MEN-00004", "flair", FROM_2023),
        ("BraTS-MET-00001-000-seg.nii.gz", "BraTS-MET-00001-000", "BraTS-MET-00001", None, FROM_2023),
    ],
)
def test_official_names(path: str, case: str, patient: str, modality: str | None, labels: object) -> None:
    scan = read_name(Path(path))
    assert scan is not None
    assert (scan.case_id, scan.patient_id, scan.modality, scan.release.labels) == (case, patient, modality, labels)
    assert scan.number == ("" if "VSD" not in path else path.split(".")[-2])


@pytest.mark.parametrize(
    "name",
    [
        "BraTS2021_00000_t1ce.txt",
        "BraTS2021_00000_t1c.nii.gz",  # the word of 2023
        "BraTS-GLI-00000-000-t1ce.nii.gz",  # the word of 2021
        "BraTS-PED-00001-000-t1c.nii.gz",  # its label values changed from year to year under the same names
        "BraTS2021_00000_t1ce_normalised.nii.gz",
        "brain_000_t1ce.nii.gz",
        "VSD.Brain.XX.O.CT.1.mha",
        "BRATS_001.nii.gz",  # the Decathlon's
    ],
)
def test_other_names(name: str) -> None:
    assert read_name(Path(name)) is None


def test_case_folders() -> None:
    assert all(map(is_case_name, [OLD, "Brats18_CBICA_AAB_1", "BraTS20_Training_355", "BraTS2021_00000", "BraTS-GLI-00000-000"]))
    assert not any(map(is_case_name, ["0001", "BraTS2021", "BraTS-GLI-00000", "BraTS-GLI-00000-000-t1c", "p1"]))


def test_the_regions_of_each_year() -> None:
    assert TO_2015.regions == {"WT": (1, 2, 3, 4), "TC": (1, 3, 4), "ET": (4,)}
    assert TO_2021.regions == {"WT": (1, 2, 4), "TC": (1, 4), "ET": (4,)}
    assert FROM_2023.regions == {"WT": (1, 2, 3), "TC": (1, 3), "ET": (3,)}
