from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import highdicom
import nibabel as nib
import numpy as np
import pydicom
import pytest

from crgan.cases.files import read_geometry, read_volume
from crgan.cases.formats.dicom_seg import write_segmentation
from crgan.cases.label_formats import read_label
from crgan.cases.label_formats.dicom_seg import referenced_series, segment_names
from crgan.cases.layouts import open_dataset
from crgan.errors import CrganError

WriteSeries = Callable[..., Path]
TURN = np.array([[0.8, -0.36, 0.48], [0.6, 0.48, -0.64]])
VOXELS = np.random.default_rng(0).integers(0, 900, (6, 5, 4)).astype(np.int16)


def some_labels(values: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    """``(I, J, K)`` with empty slices at both ends and in the middle."""
    labels = np.random.default_rng(1).choice(values, (4, 5, 6))
    labels[..., [0, 3, 5]] = 0
    return labels


def write(path: Path, labels: np.ndarray, series: Path, classes: dict[int, str]) -> Path:
    write_segmentation(path, labels, read_geometry(series)[0], series=series, classes=classes, version="1")
    return path


@pytest.mark.parametrize("directions", [None, TURN])
def test_what_was_written_reads_back_identically(tmp_path: Path, write_series: WriteSeries, directions: np.ndarray | None) -> None:
    series = write_series(tmp_path / "p1" / "DICOM", VOXELS, directions=directions)
    labels = some_labels()
    path = write(tmp_path / "p1" / "seg.dcm", labels, series, {1: "organ", 2: "lesion"})
    image, _ = read_geometry(series)
    again = read_label(path, "dicom_seg", image=image)
    assert np.array_equal(again.array[0], labels)
    assert again.geometry.matches(image, tolerance_mm=0)
    dataset = open_dataset(tmp_path)
    (case,) = dataset.cases
    assert (case.label, case.label_format) == (path, "dicom_seg")
    assert dataset.labels is not None
    assert dataset.labels.classes == {1: "organ", 2: "lesion"}


def test_highdicom_and_pydicom_find_every_voxel_where_it_was_put(tmp_path: Path, write_series: WriteSeries) -> None:
    series = write_series(tmp_path / "s", VOXELS, directions=TURN)
    labels, geometry = some_labels(), read_geometry(series)[0]
    path = write(tmp_path / "seg.dcm", labels, series, {1: "organ", 2: "lesion"})
    volume = highdicom.seg.segread(path).get_volume(combine_segments=True)
    found = set()
    for index in np.argwhere(volume.array):
        lps = volume.affine @ [*index, 1]
        found.add((*np.round(lps[:3], 3), int(volume.array[tuple(index)])))
    expected = set()
    for index in np.argwhere(labels):
        lps = np.diag([-1, -1, 1, 1]) @ geometry.affine @ [*index, 1]
        expected.add((*np.round(lps[:3], 3), int(labels[tuple(index)])))
    assert {tuple(np.round(place, 2)) for place in found} == {tuple(np.round(place, 2)) for place in expected}
    data, source = pydicom.dcmread(path), pydicom.dcmread(next(series.iterdir()))
    assert data.SOPClassUID == "1.2.840.10008.5.1.4.1.1.66.4"
    for element in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID", "PatientName"):
        assert data[element].value == source[element].value
    assert referenced_series(path) == source.SeriesInstanceUID


def test_values_with_gaps_become_segments_without(tmp_path: Path, write_series: WriteSeries) -> None:
    series = write_series(tmp_path / "s", VOXELS)
    labels = some_labels((0, 1, 4))
    path = write(tmp_path / "seg.dcm", labels, series, {1: "core", 4: "rim"})
    assert segment_names(path) == {1: "core", 2: "rim"}
    again = read_label(path, "dicom_seg", image=read_geometry(series)[0]).array[0]
    assert np.array_equal(again, np.select([labels == 1, labels == 4], [1, 2]))


def test_an_empty_mask_reads_back_empty(tmp_path: Path, write_series: WriteSeries) -> None:
    series = write_series(tmp_path / "s", VOXELS)
    path = write(tmp_path / "seg.dcm", np.zeros((4, 5, 6), np.uint8), series, {1: "core"})
    assert not read_label(path, "dicom_seg", image=read_geometry(series)[0]).array.any()


def test_a_segmentation_of_another_series_is_given_on_its_own_grid(tmp_path: Path, write_series: WriteSeries) -> None:
    series = write_series(tmp_path / "s", VOXELS)
    other = write_series(tmp_path / "o", VOXELS, origin=(0, 0, 1))
    path = write(tmp_path / "seg.dcm", some_labels(), series, {1: "organ", 2: "lesion"})
    image, _ = read_geometry(other)
    assert not read_label(path, "dicom_seg", image=image).geometry.matches(image)


def test_segmentations_of_several_series_find_theirs(tmp_path: Path, write_series: WriteSeries) -> None:
    first = write_series(tmp_path / "p1" / "T1", VOXELS, series="1.2.3")
    second = write_series(tmp_path / "p1" / "T2", VOXELS, series="1.2.4")
    write(tmp_path / "p1" / "one.dcm", some_labels(), second, {1: "organ", 2: "lesion"})
    assert {case.case_id: case.label and case.label.name for case in open_dataset(tmp_path).cases} == {"p1_T1": None, "p1_T2": "one.dcm"}
    assert read_volume(first).array.shape == (1, 4, 5, 6)


def test_files_that_disagree_about_segments_leave_the_names_open(tmp_path: Path, write_series: WriteSeries) -> None:
    for patient, name in (("p1", "organ"), ("p2", "lesion")):
        series = write_series(tmp_path / patient / "DICOM", VOXELS)
        write(tmp_path / patient / "seg.dcm", some_labels((0, 1)), series, {1: name})
    dataset = open_dataset(tmp_path)
    assert dataset.labels is not None
    assert dataset.labels.classes == {1: "class 1"}


def test_what_is_no_segmentation_is_told(tmp_path: Path, write_series: WriteSeries) -> None:
    series = write_series(tmp_path / "s", VOXELS)
    image, _ = read_geometry(series)
    path = write(tmp_path / "seg.dcm", some_labels(), series, {1: "organ", 2: "lesion"})
    (tmp_path / "cut.dcm").write_bytes(path.read_bytes()[:700])
    nib.save(nib.Nifti1Image(VOXELS, np.eye(4)), tmp_path / "a.nii")
    for wrong in ("cut.dcm", "a.nii", "nothing.dcm"):
        with pytest.raises(CrganError, match=r"segmentation (cannot be read|is no label map)"):
            read_label(tmp_path / wrong, "dicom_seg", image=image)
    data = pydicom.dcmread(path)
    data.PixelData = b"\xff" * len(data.PixelData)  # every segment everywhere
    data.save_as(tmp_path / "overlap.dcm")
    with pytest.raises(CrganError, match="no label map"):
        read_label(tmp_path / "overlap.dcm", "dicom_seg", image=image)


def test_a_series_without_a_study_cannot_have_a_segmentation(tmp_path: Path, write_series: WriteSeries) -> None:
    def change(data: pydicom.Dataset, number: int) -> None:
        del data.StudyInstanceUID, data.FrameOfReferenceUID

    series = write_series(tmp_path / "s", VOXELS, change=change)
    with pytest.raises(CrganError, match="lacks what a DICOM segmentation takes"):
        write(tmp_path / "seg.dcm", some_labels(), series, {1: "organ", 2: "lesion"})
    assert not (tmp_path / "seg.dcm").exists()
