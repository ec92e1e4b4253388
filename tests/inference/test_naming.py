"""What masks are called and which values they hold, where a challenge is to read them."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile

from crgan.cases.case import Case
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import lits
from crgan.cases.layouts.brats_names import FROM_2023, TO_2015, TO_2021
from crgan.errors import CrganError
from crgan.inference.naming import DEFAULT, NAMINGS, choose_naming, mask_paths

TWO = LabelScheme(classes={1: "a", 2: "b"})


def case(*images: str, case_id: str | None = None) -> Case:
    name = case_id or Path(images[0]).name.split(".")[0]
    return Case(case_id=name, patient_id=name, images=tuple(map(Path, images)))


@pytest.mark.parametrize(
    ("naming", "images", "case_id", "name"),
    [
        ("brats", ["BraTS2021_00000_flair.nii.gz", "BraTS2021_00000_t1.nii.gz"], "BraTS2021_00000", "BraTS2021_00000.nii.gz"),
        ("brats", ["BraTS19_CBICA_AAB_1_t2.nii"], "BraTS19_CBICA_AAB_1", "BraTS19_CBICA_AAB_1.nii.gz"),
        ("brats", ["BraTS-GLI-00000-001-t1c.nii.gz"], "BraTS-GLI-00000-001", "BraTS-GLI-00000-001.nii.gz"),
        # The number of the FLAIR image, wherever it stands among the model's modalities.
        (
            "brats",
            ["brats_2013_pat0001_1/VSD.Brain.XX.O.MR_T1.7.mha", "brats_2013_pat0001_1/VSD.Brain.XX.O.MR_Flair.9.mha"],
            "brats_2013_pat0001_1",
            "VSD.Seg_brats_2013_pat0001_1.9.mha",
        ),
        ("lits", ["test-volume-7.nii"], None, "test-segmentation-7.nii"),
        ("lits", ["volume-10.nii.gz"], None, "segmentation-10.nii"),
        ("msd", ["hippocampus_001.nii.gz"], None, "hippocampus_001.nii.gz"),
        ("msd", ["a.nii"], None, "a.nii.gz"),
        ("nnunet", ["liver_01_0000.nii.gz", "liver_01_0001.nii.gz"], "liver_01", "liver_01.nii.gz"),
        ("nnunet", ["liver_01_0000.nrrd"], "liver_01_0000", "liver_01.nrrd"),  # from a folder without dataset.json
        ("nnunet", ["cell_0000.png"], "cell", "cell.png"),
        ("nnunet", ["liver_0000.mhd"], "liver", "liver.nii.gz"),
        ("ctc", ["data/02/t0017.tif"], "02_t0017", "02_RES/mask0017.tif"),
    ],
)
def test_names(naming: str, images: list[str], case_id: str | None, name: str) -> None:
    assert choose_naming(naming).files(case(*images, case_id=case_id)) == (name,)


def test_the_cell_tracking_challenge_wants_frames_and_objects() -> None:
    cells = LabelScheme(classes={1: "cell"}, instances=True)
    naming = choose_naming("ctc")
    assert naming.scheme(case("01/t000.tif"), cells) is cells
    with pytest.raises(CrganError, match="asks for objects"):
        naming.scheme(case("01/t000.tif"), TWO)
    with pytest.raises(CrganError, match="has no case such as"):
        naming.files(case("cells/t000.tif"))


def test_a_movie_has_one_mask_or_one_for_each_frame(tmp_path: Path) -> None:
    (tmp_path / "02").mkdir()
    for time in ("0009", "0010"):
        tifffile.imwrite(tmp_path / "02" / f"t{time}.tif", np.zeros((4, 5), np.uint8))
    movie = case(str(tmp_path / "02"), case_id="02")
    assert DEFAULT.files(movie) == ("02.tif",)
    assert choose_naming("ctc").files(movie) == ("02_RES/mask0009.tif", "02_RES/mask0010.tif")


def test_by_default_a_mask_has_the_name_of_its_case(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)), tmp_path / "a.nii")
    assert choose_naming(None) is DEFAULT
    assert DEFAULT.files(case(str(tmp_path / "a.nii"))) == ("a.nii.gz",)
    assert DEFAULT.scheme(case("a.nii"), TWO) is TWO


@pytest.mark.parametrize(
    ("naming", "image", "model", "written"),
    [
        ("brats", "BraTS-GLI-00000-000-t1c.nii.gz", TO_2021, FROM_2023),  # trained on one year, used on another
        ("brats", "BraTS2021_00000_t1.nii.gz", FROM_2023, TO_2021),
        ("brats", "x/VSD.Brain.XX.O.MR_T1.7.mha", TO_2021, TO_2015),
        ("brats", "BraTS2021_00000_t1.nii.gz", classes := LabelScheme(classes={1: "x", 2: "y", 4: "z"}), classes),
        ("lits", "volume-1.nii", lits.LABELS, lits.LABELS),
        ("lits", "volume-1.nii", TWO, TWO),
        ("msd", "a.nii", TWO, TWO),
        ("nnunet", "a_0000.nii", TWO, TWO),
    ],
)
def test_values(naming: str, image: str, model: LabelScheme, written: LabelScheme) -> None:
    assert choose_naming(naming).scheme(case(image), model) == written


@pytest.mark.parametrize(
    ("naming", "image", "model"),
    [
        ("brats", "BraTS-GLI-00000-000-t1c.nii.gz", LabelScheme(classes={1: "x", 2: "y", 4: "z"})),  # classes of another year
        ("brats", "BraTS2021_00000_t1.nii.gz", LabelScheme(classes={1: "lesion"})),
        ("lits", "volume-1.nii", TO_2021),
    ],
)
def test_a_model_of_other_targets_is_refused(naming: str, image: str, model: LabelScheme) -> None:
    with pytest.raises(CrganError, match="does not segment what"):
        choose_naming(naming).scheme(case(image), model)


def test_all_cases_that_a_challenge_does_not_have_are_told(tmp_path: Path) -> None:
    cases = (case("brain_000_t1.nii.gz"), case("BraTS2021_00000_t1.nii.gz"), case("brain_001_t1.nii.gz"))
    with pytest.raises(CrganError) as caught:
        mask_paths(NAMINGS["brats"], cases, tmp_path)
    assert [problem.what for problem in caught.value.problems] == [
        f"BraTS has no case such as {name}." for name in ("brain_000_t1", "brain_001_t1")
    ]
    with pytest.raises(CrganError, match="LiTS has no case such as segmentation-1"):
        mask_paths(NAMINGS["lits"], (case("segmentation-1.nii"),), tmp_path)


def test_two_cases_of_one_name_are_refused(tmp_path: Path) -> None:
    cases = (case("a/volume-1.nii", case_id="a_volume-1"), case("b/volume-1.nii", case_id="b_volume-1"))
    with pytest.raises(CrganError, match=r"the same mask[\s\S]*a_volume-1, b_volume-1"):
        mask_paths(NAMINGS["lits"], cases, tmp_path)


def test_unknown_namings_are_refused() -> None:
    with pytest.raises(CrganError, match=r"no such naming[\s\S]*brats, ctc, lits, msd, nnunet[\s\S]*kits"):
        choose_naming("kits")
