"""What the writers of each layout write, held against the official descriptions and read by other libraries."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813 - its own name for itself
import tifffile
from PIL import Image
from scipy import io

from crgan.cases.phantom import draw_brain, draw_liver, draw_movie, write_brains, write_cells, write_livers
from crgan.errors import CrganError

CUBE = (32, 33, 34)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj).transpose()


@pytest.mark.parametrize(
    ("layout", "names"),
    [
        ("brats2017", {f"HGG/Brats17_CBICA_000_1/Brats17_CBICA_000_1_{word}.nii.gz" for word in ("t1", "t1ce", "t2", "flair", "seg")}),
        ("brats2020", {f"BraTS20_Training_000/BraTS20_Training_000_{word}.nii.gz" for word in ("t1", "t1ce", "t2", "flair", "seg")}),
        ("brats2021", {f"BraTS2021_00000/BraTS2021_00000_{word}.nii.gz" for word in ("t1", "t1ce", "t2", "flair", "seg")}),
        ("brats2023", {f"BraTS-GLI-00000-000/BraTS-GLI-00000-000-{word}.nii.gz" for word in ("t1n", "t1c", "t2w", "t2f", "seg")}),
        ("msd", {"dataset.json", "imagesTr/brain_000.nii.gz", "labelsTr/brain_000.nii.gz"}),
        ("paired", {"labels.json", "images/brain_000.nii.gz", "labels/brain_000.nii.gz"}),
        ("plain", {"labels.json", "brain_000.nii.gz", "brain_000_seg.nii.gz"}),
    ],
)
def test_names_of_brains(layout: str, names: set[str], tmp_path: Path) -> None:
    write_brains(tmp_path, count=1, shape=CUBE, layout=layout)
    assert files(tmp_path) == names


def test_brats_2015_is_where_the_nifti_years_put_it(tmp_path: Path) -> None:
    write_brains(tmp_path, count=1, shape=CUBE, layout="brats2015")
    folder = tmp_path / "HGG" / "brats_2013_pat0000_1"
    assert [path.name.rpartition(".")[0] for path in sorted(folder.iterdir())] == [
        *(f"VSD.Brain.XX.O.MR_{word}" for word in ("Flair", "T1", "T1c", "T2")),
        "VSD.Brain_3more.XX.O.OT",
    ]
    image = sitk.ReadImage(next(folder.glob("*OT*/*.mha")))
    brain = draw_brain(0, shape=CUBE, seed=0)
    assert np.array_equal(sitk.GetArrayFromImage(image), brain.labels)
    middle = image.TransformContinuousIndexToPhysicalPoint([(n - 1) / 2 for n in image.GetSize()])
    assert middle == pytest.approx((0, 0, 0), abs=1e-9)
    assert image.GetDirection() == (-1, 0, 0, 0, -1, 0, 0, 0, 1)  # ITK counts to the left and to the back


def test_brats_2023_calls_enhancing_tumour_3(tmp_path: Path) -> None:
    write_brains(tmp_path, count=1, shape=CUBE, layout="brats2023")
    labels = draw_brain(0, shape=CUBE, seed=0).labels
    assert np.array_equal(voxels(tmp_path / "BraTS-GLI-00000-000" / "BraTS-GLI-00000-000-seg.nii.gz"), np.where(labels == 4, 3, labels))


def test_lits(tmp_path: Path) -> None:
    write_livers(tmp_path, count=2, shape=CUBE, layout="lits")
    assert files(tmp_path) == {"volume-0.nii", "volume-1.nii", "segmentation-0.nii", "segmentation-1.nii"}
    assert np.array_equal(voxels(tmp_path / "segmentation-1.nii"), draw_liver(1, shape=CUBE, seed=0).labels)


def test_nnunet_has_regions_and_values_without_a_gap(tmp_path: Path) -> None:
    write_brains(tmp_path, count=1, shape=CUBE, layout="nnunet")
    assert files(tmp_path) == {"dataset.json", "labelsTr/brain_000.nii.gz", *(f"imagesTr/brain_000_000{n}.nii.gz" for n in range(4))}
    description = json.loads((tmp_path / "dataset.json").read_text())
    assert description["channel_names"] == {"0": "t1", "1": "t1ce", "2": "t2", "3": "flair"}
    assert description["labels"] == {"background": 0, "WT": [1, 2, 3], "TC": [1, 3], "ET": 3}
    assert description["regions_class_order"] == [2, 1, 3]  # oedema, core, enhancing: painted over each other they give the labels
    assert description["numTraining"] == 1
    labels = draw_brain(0, shape=CUBE, seed=0).labels
    assert np.array_equal(voxels(tmp_path / "labelsTr" / "brain_000.nii.gz"), np.where(labels == 4, 3, labels))


def test_nnunet_1(tmp_path: Path) -> None:
    write_livers(tmp_path, count=1, shape=CUBE, layout="nnunet1")
    description = json.loads((tmp_path / "dataset.json").read_text())
    assert description["modality"] == {"0": "CT"}
    assert description["labels"] == {"0": "background", "1": "liver", "2": "lesion"}
    assert description["training"] == [{"image": "./imagesTr/liver_000.nii.gz", "label": "./labelsTr/liver_000.nii.gz"}]


def test_bids(tmp_path: Path) -> None:
    write_brains(tmp_path, count=1, shape=CUBE, layout="bids")
    names = files(tmp_path)
    subject = "sub-brain000/anat/sub-brain000"
    assert {f"{subject}_{word}.nii.gz" for word in ("T1w", "ce-gadolinium_T1w", "T2w", "FLAIR")} <= names
    assert {f"derivatives/labels/{subject}_dseg.nii.gz", "dataset_description.json"} <= names
    assert json.loads((tmp_path / "dataset_description.json").read_text())["BIDSVersion"]


def test_tracks_of_the_cell_tracking_challenge(tmp_path: Path) -> None:
    write_cells(tmp_path, count=2, frames=5, shape=(64, 64), layout="ctc")
    frames = range(5)
    assert {f"0{n}/t{t:03d}.tif" for n in (1, 2) for t in frames} <= files(tmp_path)
    truth = tmp_path / "02_GT"
    masks = [tifffile.imread(truth / "SEG" / f"man_seg{t:03d}.tif") for t in frames]
    assert masks[0].dtype == np.uint16
    assert all(np.array_equal(mask, tifffile.imread(truth / "TRA" / f"man_track{t:03d}.tif")) for t, mask in enumerate(masks))
    tracks = {row[0]: row[1:] for row in np.loadtxt(truth / "TRA" / "man_track.txt", int).tolist()}
    assert {*tracks} == {*np.unique(masks).tolist()} - {0}
    for cell, (begin, end, parent) in tracks.items():
        assert [(masks[t] == cell).any() for t in (begin, end)] == [True, True]
        assert (parent == 0) or tracks[parent][1] < begin
    assert any(parent for _, _, parent in tracks.values())


def test_data_science_bowl(tmp_path: Path) -> None:
    write_cells(tmp_path, count=1, shape=(64, 64), layout="dsb2018")
    phantom = next(draw_movie(0, shape=(64, 64), seed=0))
    (folder,) = (tmp_path / "stage1_train").iterdir()
    assert len(folder.name) == 64
    with Image.open(folder / "images" / f"{folder.name}.png") as picture:
        assert picture.mode == "RGBA"
        assert np.array_equal(np.asarray(picture)[..., 1], phantom.images[0])
    masks = [np.asarray(Image.open(path)) for path in (folder / "masks").iterdir()]
    assert len(masks) == len(np.unique(phantom.labels)) - 1
    assert {*np.unique(masks).tolist()} == {0, 255}
    assert np.array_equal(np.sum(masks, axis=0, dtype=int) > 0, phantom.labels > 0)


def test_dots_of_celldetect_lie_in_their_cells(tmp_path: Path) -> None:
    write_cells(tmp_path, count=2, shape=(64, 64), layout="celldetect")
    assert files(tmp_path) == {"im01.pgm", "im01.mat", "im02.pgm", "im02.mat"}
    labels = next(draw_movie(1, shape=(64, 64), seed=0)).labels
    dots = io.loadmat(tmp_path / "im02.mat")["gt"].astype(int)
    assert labels[dots[:, 1] - 1, dots[:, 0] - 1].tolist() == sorted({*np.unique(labels).tolist()} - {0})


def test_dicom_runs_from_the_head_down_and_to_the_patients_left(tmp_path: Path) -> None:
    write_livers(tmp_path, count=1, shape=CUBE, layout="dicom")
    phantom = draw_liver(0, shape=CUBE, seed=0)
    series = [pydicom.dcmread(path) for path in sorted((tmp_path / "liver_000" / "DICOM_anon").iterdir())]
    assert len(series) == 32
    first = series[0]
    assert first.Modality == "CT"
    assert len({file.SeriesInstanceUID for file in series}) == 1
    assert len({file.SOPInstanceUID for file in series}) == 32
    assert [float(v) for v in first.PixelSpacing] == pytest.approx(phantom.spacing_mm[1:], rel=1e-4)
    heights = [float(file.ImagePositionPatient[2]) for file in series]
    assert np.diff(heights) == pytest.approx(-phantom.spacing_mm[0], rel=1e-3)
    hu = first.pixel_array * float(first.RescaleSlope) + float(first.RescaleIntercept)
    assert np.array_equal(hu, phantom.images[0, -1, ::-1, ::-1])
    with Image.open(tmp_path / "liver_000" / "Ground" / "liver_GT_020.png") as mask:
        assert np.array_equal(np.asarray(mask), phantom.labels[11, ::-1, ::-1])


def test_a_manifest_names_files_that_are_there(tmp_path: Path) -> None:
    write_livers(tmp_path, count=1, shape=CUBE, layout="manifest")
    (case,) = json.loads((tmp_path / "cases.json").read_text())["cases"]
    assert {*case["images"], case["label"]} == files(tmp_path) - {"cases.json"}


def test_a_layout_of_pictures_holds_no_stacks(tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="no stacks"):
        write_cells(tmp_path / "out", count=1, shape=(64, 64), slices=8, layout="dsb2018")


def test_a_layout_of_cells_holds_no_livers(tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="lits"):
        write_livers(tmp_path / "out", count=1, shape=CUBE, layout="ctc")
