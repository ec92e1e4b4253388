from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

from crgan.cases.files import image_parts, read_geometry
from crgan.cases.integrity import check_cases
from crgan.cases.layouts import open_dataset
from crgan.cases.reading import read_case
from crgan.errors import CrganError
from crgan.preprocessing.contents import content_key

WriteSeries = Callable[..., Path]
VOXELS = np.arange(6 * 5 * 4, dtype=np.int16).reshape(6, 5, 4)


def write_pictures(folder: Path, masks: np.ndarray, names: list[str] | None = None) -> None:
    folder.mkdir(parents=True)
    for number, mask in enumerate(masks):
        Image.fromarray(mask.astype(np.uint8)).save(folder / f"{names[number] if names else f'gt{number}'}.png")


def test_every_kind_of_mask_lies_on_its_series(tmp_path: Path, write_series: WriteSeries) -> None:
    labels = (VOXELS % 7 == 3).astype(np.uint8)
    for patient in ("p1", "p2", "p3"):
        write_series(tmp_path / patient / "DICOM", VOXELS)
    write_pictures(tmp_path / "p1" / "Ground", labels[::-1])  # by name: the series' files run against position
    affine = read_geometry(tmp_path / "p2" / "DICOM")[0].affine
    nib.save(nib.Nifti1Image(labels.transpose(2, 1, 0), affine), tmp_path / "p2" / "p2_seg.nii.gz")
    turned = nib.as_closest_canonical(nib.Nifti1Image(labels.transpose(2, 1, 0), affine))
    (tmp_path / "p3" / "labels").mkdir()
    nib.save(turned, tmp_path / "p3" / "labels" / "organ.nii.gz")
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "dicom"
    assert [(case.case_id, case.patient_id, case.label_format) for case in dataset.cases] == [
        ("p1", "p1", "slices"),
        ("p2", "p2", "turned"),
        ("p3", "p3", "turned"),
    ]
    summaries, problems = check_cases(dataset, need_labels=True)
    assert {problem.kind for problem in problems} <= {"duplicates"}  # one series serves all
    assert [summary.label_voxels for summary in summaries] == [{0: 103, 1: 17}] * 3
    assert summaries[0].bytes_on_disk > 6 * 5 * 4 * 2
    first, second, third = (read_case(case, dataset) for case in dataset.cases)
    assert np.array_equal(first.label, second.label)
    assert np.array_equal(first.label, third.label)
    assert np.array_equal(first.image[0] % 7, (VOXELS.astype(int)[:, ::-1, ::-1] - 1024) % 7)  # LPS to RAS: both turned
    assert np.array_equal(first.label, labels[:, ::-1, ::-1])


def test_the_folder_of_one_patient_or_one_series_will_do(tmp_path: Path, write_series: WriteSeries) -> None:
    folder = write_series(tmp_path / "p1" / "DICOM_anon", VOXELS)
    write_pictures(tmp_path / "p1" / "Ground", VOXELS > 9)
    (case,) = open_dataset(tmp_path / "p1").cases
    assert (case.case_id, case.images, case.label) == ("p1", (folder,), tmp_path / "p1" / "Ground")
    (alone,) = open_dataset(folder).cases
    assert (alone.case_id, alone.label) == ("DICOM_anon", None)
    (file,) = open_dataset(folder / "IM0003").cases
    assert file.images == (folder / "IM0003",)
    assert set(image_parts(folder / "IM0003")) == set(folder.iterdir())


def test_series_of_one_folder_are_cases_named_by_number(tmp_path: Path, write_series: WriteSeries) -> None:
    folder = tmp_path / "p1"
    for number in (2, 7):

        def change(data: pydicom.Dataset, _: int, number: int = number) -> None:
            data.SeriesNumber = number

        other = write_series(tmp_path / f"o{number}", VOXELS[:number], series=f"1.2.{number}", change=change)
        folder.mkdir(exist_ok=True)
        for path in list(other.iterdir()):
            path.rename(folder / f"{number}{path.name}")
        other.rmdir()
    write_series(tmp_path / "p2" / "T1", VOXELS)
    write_series(tmp_path / "p2" / "T2", VOXELS)
    dataset = open_dataset(tmp_path)
    assert [(case.case_id, case.patient_id) for case in dataset.cases] == [
        ("p1_series2", "p1"),
        ("p1_series7", "p1"),
        ("p2_T1", "p2"),
        ("p2_T2", "p2"),
    ]
    assert {problem.kind for problem in check_cases(dataset, need_labels=False)[1]} <= {"duplicates"}  # one series serves all


def test_series_without_numbers_and_single_images_have_names_too(tmp_path: Path, write_series: WriteSeries) -> None:
    def unnumbered(data: pydicom.Dataset, _: int) -> None:
        del data.SeriesNumber

    def xray(data: pydicom.Dataset, _: int) -> None:
        del data.ImagePositionPatient

    for name, count, change in (("a", 3, unnumbered), ("b", 1, xray)):
        (tmp_path / name).mkdir()
        for number in (0, 1):
            other = write_series(tmp_path / "other", VOXELS[:count], series=f"1.2.{number}", change=change)
            for path in list(other.iterdir()):
                path.rename(tmp_path / name / f"{number}{path.name}.dcm")
    assert [case.case_id for case in open_dataset(tmp_path / "a").cases] == ["a_number1", "a_number2"]
    assert [case.case_id for case in open_dataset(tmp_path / "b").cases] == ["b_0IM0001", "b_1IM0001"]


def test_pictures_belong_to_files_of_their_name(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series(tmp_path / "p1" / "in", VOXELS)
    write_series(tmp_path / "p1" / "out", VOXELS + 1)
    for path in list((tmp_path / "p1" / "out").iterdir()):
        path.rename(path.with_name(f"X{path.name}"))
    write_pictures(tmp_path / "p1" / "masks", VOXELS > 50, [f"XIM{6 - number:04d}" for number in range(6)])
    dataset = open_dataset(tmp_path)
    assert [case.label for case in dataset.cases] == [None, None]  # two series, and nobody says whose masks they are
    from crgan.cases.label_formats import read_label

    image, _ = read_geometry(tmp_path / "p1" / "out")
    found = read_label(tmp_path / "p1" / "masks", "slices", image=image)
    assert np.array_equal(found.array[0].transpose(2, 1, 0), VOXELS > 50)


@pytest.mark.parametrize(
    ("masks", "message"),
    [(np.ones((5, 5, 4)), "not as many masks as DICOM files"), (np.ones((6, 5, 5)), "differs in size")],
)
def test_pictures_that_do_not_fit_are_told(tmp_path: Path, write_series: WriteSeries, masks: np.ndarray, message: str) -> None:
    write_series(tmp_path / "p1" / "DICOM", VOXELS)
    write_pictures(tmp_path / "p1" / "Ground", masks)
    with pytest.raises(CrganError, match=message):
        open_dataset(tmp_path)


def test_masks_of_several_series_are_told_apart_or_refused(tmp_path: Path, write_series: WriteSeries) -> None:
    from crgan.cases.label_formats import read_label

    image, _ = read_geometry(write_series(tmp_path / "a", VOXELS))
    write_series(tmp_path / "b", VOXELS)
    write_pictures(tmp_path / "Ground", VOXELS > 9)
    with pytest.raises(CrganError, match="which DICOM series"):
        read_label(tmp_path / "Ground", "slices", image=image)


def test_two_masks_of_one_case_are_ambiguous(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series(tmp_path / "p1" / "DICOM", VOXELS)
    write_pictures(tmp_path / "p1" / "Ground", VOXELS > 9)
    write_pictures(tmp_path / "p1" / "masks", VOXELS > 8)
    with pytest.raises(CrganError, match="2 label files"):
        open_dataset(tmp_path)
    assert len(open_dataset(tmp_path, ignore_labels=True).cases) == 1


def test_a_changed_slice_makes_another_key(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series(tmp_path / "p1" / "DICOM", VOXELS)
    write_pictures(tmp_path / "p1" / "Ground", VOXELS > 9)
    (case,) = open_dataset(tmp_path).cases
    before = content_key(case, {})
    path = tmp_path / "p1" / "DICOM" / "IM0002"
    path.write_bytes(path.read_bytes()[:-2] + b"\1\0\0")
    assert content_key(case, {}) != before


def test_damage_is_reported_and_other_folders_are_no_dicom(tmp_path: Path, write_series: WriteSeries) -> None:
    write_series(tmp_path / "p1", VOXELS)
    write_series(tmp_path / "p2", VOXELS, change=lambda _, number: number != 2)
    dataset = open_dataset(tmp_path)
    _, problems = check_cases(dataset, need_labels=False)
    assert ["lacks 1 slice" in problem.what for problem in problems] == [True]
    assert set(image_parts(tmp_path / "p2")) == set((tmp_path / "p2").iterdir())
    write_series(tmp_path / "bids" / "sourcedata" / "p1", VOXELS)
    nib.save(nib.Nifti1Image(VOXELS, np.eye(4)), tmp_path / "bids" / "a.nii.gz")
    assert open_dataset(tmp_path / "bids").layout == "plain"
