from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.pixels import apply_rescale

from crgan.cases.files import read_geometry, read_volume, write_labels
from crgan.cases.formats.dicom import all_series, series_of
from crgan.cases.formats.dicom_headers import natural
from crgan.cases.volume import Volume
from crgan.errors import CrganError

TURN = np.array([[0.8, -0.36, 0.48], [0.6, 0.48, -0.64], [0.0, 0.8, 0.6]])
WriteSeries = Callable[..., Path]


@pytest.fixture(scope="module")
def voxels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2000, (6, 5, 4)).astype(np.int16)


def read_by_itk(folder: Path) -> sitk.Image:
    """SimpleITK's own reader of series, as an oracle."""
    return sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder)))


def same_place(volume: Volume, image: sitk.Image) -> None:
    """Every corner of the volume lies where ITK puts it, and every voxel has ITK's value."""
    shape = volume.geometry.shape
    assert image.GetSize() == shape
    for index in np.ndindex(2, 2, 2):
        corner = [int(i * (n - 1)) for i, n in zip(index, shape, strict=True)]
        lps = np.array(image.TransformIndexToPhysicalPoint(corner))
        assert volume.geometry.affine @ [*corner, 1] == pytest.approx([-lps[0], -lps[1], lps[2], 1], abs=1e-4)
    assert np.array_equal(volume.array[0], sitk.GetArrayFromImage(image).transpose(2, 1, 0))


@pytest.mark.parametrize("directions", [None, TURN[:2], TURN.T[1:], -np.eye(3)[[0, 2]]])
def test_a_series_lies_where_itk_puts_it(tmp_path: Path, write_series: WriteSeries, voxels: np.ndarray, directions: np.ndarray) -> None:
    folder = write_series(tmp_path / "s", voxels, directions=directions)
    volume = read_volume(folder)
    same_place(volume, read_by_itk(folder))
    assert volume.geometry.spacing_mm == pytest.approx((0.8, 0.7, 2.5))
    assert np.array_equal(volume.array[0].transpose(2, 1, 0), voxels.astype(np.int32) - 1024)
    geometry, channels = read_geometry(folder)
    assert geometry.matches(volume.geometry, tolerance_mm=0)
    assert channels == 1


def test_slices_are_sorted_by_position_whatever_their_names(tmp_path: Path, write_series: WriteSeries, voxels: np.ndarray) -> None:
    folder = write_series(tmp_path / "s", voxels)
    expected = read_volume(folder)
    for number, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"{(number * 5) % 7}.dcm")
    assert np.array_equal(read_volume(folder).array, expected.array)


def test_every_slice_is_rescaled_by_its_own_slope(tmp_path: Path, write_series: WriteSeries, voxels: np.ndarray) -> None:
    def change(data: pydicom.Dataset, number: int) -> None:
        data.RescaleSlope, data.RescaleIntercept = 0.5 + number, -number

    folder = write_series(tmp_path / "s", voxels, change=change)
    found = read_volume(folder).array[0]
    assert found.dtype == np.float32
    for path in folder.iterdir():
        data = pydicom.dcmread(path)
        number = 6 - int(data.InstanceNumber)
        assert np.allclose(found[..., number].T, apply_rescale(data.pixel_array, data))


def test_any_file_stands_for_its_series(tmp_path: Path, write_series: WriteSeries, voxels: np.ndarray) -> None:
    write_series(tmp_path, voxels, series="1.2.3")
    (tmp_path / "IM0001").rename(tmp_path / "first.dcm")
    write_series(tmp_path / "b", voxels[:3] + 1, series="1.2.4")
    for path in (tmp_path / "b").iterdir():
        path.rename(tmp_path / f"b{path.name}")
    assert read_volume(tmp_path / "first.dcm").array.shape == (1, 4, 5, 6)
    assert read_volume(tmp_path / "bIM0002").array.shape == (1, 4, 5, 3)
    with pytest.raises(CrganError, match="several DICOM series") as caught:
        read_volume(tmp_path)
    assert "1.2.3" not in str(caught.value)
    assert "3 images from bIM0001 on" in str(caught.value)


def test_scouts_reports_and_strangers_are_left_out(tmp_path: Path, write_series: WriteSeries, voxels: np.ndarray) -> None:
    folder = write_series(tmp_path / "s", voxels)

    def scout(data: pydicom.Dataset, number: int) -> None:
        data.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    def report(data: pydicom.Dataset, number: int) -> None:
        data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.22"
        del data.PixelData

    for number, (series, change) in enumerate([("1.2.3", scout), ("1.2.826.0.1.3680043.8.498.7", scout), ("1.2.4", report)]):
        other = write_series(tmp_path / f"o{number}", voxels[:1] + 7, series=series, directions=TURN[:2], change=change)
        (other / "IM0001").rename(folder / f"other{number}")
    (folder / "notes.txt").write_text("nothing")
    (folder / "._IM0001").write_bytes(b"\0" * 200)
    assert len(series_of(folder)) == 6
    assert len(all_series(tmp_path / "s")) == 1


def move(**millimetres: float) -> Callable[[pydicom.Dataset, int], None]:
    """Move slices along the stack, by number."""

    def change(data: pydicom.Dataset, number: int) -> None:
        data.ImagePositionPatient[2] += millimetres.get(f"n{number}", 0.0)

    return change


def drop(*numbers: int) -> Callable[[pydicom.Dataset, int], bool]:
    return lambda _, number: number not in numbers


def put(number: int, **elements: object) -> Callable[[pydicom.Dataset, int], None]:
    """Give a slice other elements; None takes one away."""

    def change(data: pydicom.Dataset, current: int) -> None:
        for name, value in elements.items() if current == number else ():
            delattr(data, name) if value is None else setattr(data, name, value)

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop(2), r"lacks 1 slice\.(.|\n)*5 mm between IM0005 and IM0003"),
        (drop(1, 2, 4), r"lacks 3 slices|unevenly"),
        (move(n2=-2.5), r"several slices at one place(.|\n)*1 places taken twice"),
        (move(n2=-1.0), r"unevenly spaced"),
        (move(n5=1.3), r"unevenly spaced"),
        (put(2, ImagePositionPatient=None), r"no position in space(.|\n)*1 of 6 files without, for example IM0004"),
        (put(2, PixelSpacing=[0.7, 0.9]), r"differ in spacing(.|\n)*IM0004"),
        (put(2, ImageOrientationPatient=[0, 1, 0, 1, 0, 0]), r"differ in direction(.|\n)*IM0004"),
        (put(2, ImageOrientationPatient=[1, 0, 0, 1, 0, 0]), r"not at right angles(.|\n)*1 0 0 1 0 0"),
        (put(2, Rows=4, PixelData=b"\0" * 32), r"differ in size(.|\n)*IM0004"),
        (put(2, Rows=40000), r"larger than it is|cannot be read"),
        (put(2, NumberOfFrames=2, PixelData=b"\0" * 80), r"several frames without positions"),
    ],
)
def test_what_is_no_regular_stack_is_told(
    tmp_path: Path, write_series: WriteSeries, voxels: np.ndarray, change: Callable[..., object], message: str
) -> None:
    folder = write_series(tmp_path / "s", voxels, change=change)
    with pytest.raises(CrganError, match=message):
        read_geometry(folder)


def test_volumes_that_share_a_series_are_told_by_their_number(tmp_path: Path, write_series: WriteSeries, voxels: np.ndarray) -> None:
    folder = write_series(tmp_path / "s", voxels)
    for path in list(folder.iterdir()):
        shutil.copy(path, path.with_name(f"echo{path.name}"))
    with pytest.raises(CrganError, match="if there are 2 volumes"):
        read_volume(folder)


def test_a_tilted_gantry_is_told_with_its_angle(tmp_path: Path, write_series: WriteSeries, voxels: np.ndarray) -> None:
    step = 2.5 * np.array([0.0, np.sin(np.radians(15)), np.cos(np.radians(15))])
    with pytest.raises(CrganError, match=r"gantry tilt(.|\n)*15\.0 degrees"):
        read_volume(write_series(tmp_path / "tilted", voxels, step=tuple(step)))
    turned = np.array([[1, 0, 0], [0, np.cos(np.radians(15)), -np.sin(np.radians(15))]])
    read_volume(write_series(tmp_path / "turned", voxels, directions=turned))  # the table may be tilted with it


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_even(tmp_path: Path, write_series: WriteSeries) -> None:
    def change(data: pydicom.Dataset, number: int) -> None:
        data.ImagePositionPatient[2] = round(float(data.ImagePositionPatient[2]), 1)

    folder = write_series(tmp_path / "s", np.zeros((40, 3, 3), np.int16), spacing=(0.625, 1, 1), change=change)
    assert read_geometry(folder)[0].spacing_mm[2] == pytest.approx(0.625, rel=3e-3)


def test_an_image_without_a_position_is_a_picture(tmp_path: Path, write_series: WriteSeries, voxels: np.ndarray) -> None:
    change = put(0, ImagePositionPatient=None, ImageOrientationPatient=None)
    volume = read_volume(write_series(tmp_path / "xray", voxels[:1], change=change))
    assert volume.geometry.dimensions == 2
    assert volume.geometry.spacing_mm == pytest.approx((0.7, 0.8, 1.0))
    assert np.array_equal(volume.array[0, ..., 0], voxels[0].astype(int) - 1024)  # rows, columns


def test_colours_are_channels(tmp_path: Path, write_series: WriteSeries) -> None:
    def change(data: pydicom.Dataset, number: int) -> None:
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PlanarConfiguration = 3, "RGB", 0
        data.BitsAllocated = data.BitsStored = 8
        data.HighBit, data.PixelRepresentation, data.PixelData = 7, 0, bytes(range(36))
        del data.RescaleSlope, data.RescaleIntercept, data.ImagePositionPatient

    folder = write_series(tmp_path / "us", np.zeros((1, 3, 4), np.int16), change=change)
    volume = read_volume(folder)
    assert read_geometry(folder)[1] == 3
    assert np.array_equal(volume.array[..., 0], np.arange(36).reshape(3, 4, 3).transpose(2, 0, 1))


def test_a_single_slice_has_a_place(tmp_path: Path, write_series: WriteSeries, voxels: np.ndarray) -> None:
    geometry, _ = read_geometry(write_series(tmp_path / "s", voxels[:1]))
    assert geometry.dimensions == 3
    assert geometry.affine[:3, 3] == pytest.approx([10, -20, 30])


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:140], lambda b: b[:-30]])
def test_a_damaged_file_is_named(tmp_path: Path, write_series: WriteSeries, voxels: np.ndarray, damage: Callable[[bytes], bytes]) -> None:
    folder = write_series(tmp_path / "s", voxels)
    path = folder / "IM0003"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(CrganError, match="IM0003") as caught:
        read_volume(folder)
    assert "ITK" not in str(caught.value)


def test_folders_without_dicom_and_writing_are_refused(tmp_path: Path, write_series: WriteSeries, voxels: np.ndarray) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(CrganError, match="without DICOM"):
        read_volume(tmp_path / "empty")
    folder = write_series(tmp_path / "s", voxels)
    with pytest.raises(CrganError, match="not known"):
        write_labels(tmp_path / "mask.dcm", np.zeros((4, 5, 6), np.uint8), read_geometry(folder)[0])


def test_names_sort_like_numbers() -> None:
    names = ["IM10", "IM9", "im1", "2", "a" + "9" * 30]
    assert [path.name for path in sorted(map(Path, names), key=natural)] == ["2", "a" + "9" * 30, "im1", "IM9", "IM10"]
