from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crgan.cases.files import IMAGE_SUFFIXES, is_image, read_geometry, read_labels, read_volume, split_suffix, write_labels, write_map
from crgan.cases.volume import Geometry
from crgan.errors import CrganError

MakeFile = Callable[..., Path]

GEOMETRY = Geometry((2, 3, 4), np.diag([1.0, 2.0, 3.0, 1.0]))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("p1_t1.nii.gz", ("p1_t1", ".nii.gz")),
        ("p1.v2.NII.GZ", ("p1.v2", ".nii.gz")),
        ("folder.nii/p1.nii", ("p1", ".nii")),
        ("a.tiff", ("a", ".tiff")),
        ("a.jpg", ("a.jpg", "")),
        (".nii.gz", (".nii.gz", "")),
        ("nii", ("nii", "")),
    ],
)
def test_names_are_split_into_stem_and_suffix(name: str, expected: tuple[str, str]) -> None:
    assert split_suffix(name) == expected


def test_hidden_files_are_no_images() -> None:
    assert is_image(Path("a/p1.nii.gz"))
    assert not is_image(Path("a/._p1.nii.gz"))
    assert not is_image(Path("a/p1.txt"))


def test_the_promised_formats_are_there() -> None:
    assert {".nii", ".nii.gz", ".nrrd", ".mha", ".mhd", ".png", ".tif", ".tiff"} <= set(IMAGE_SUFFIXES)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_the_type_can_be_chosen(nifti: MakeFile, dtype: type) -> None:
    volume = read_volume(nifti("a.nii.gz"), dtype=dtype)
    assert volume.array.dtype == dtype
    assert np.array_equal(volume.array.ravel(), np.arange(120))


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**16))
def test_labels_are_stored_in_the_smallest_type_that_holds_them(tmp_path_factory, low: int, high: int) -> None:
    path = tmp_path_factory.mktemp("labels") / "a.nii"
    labels = np.full((2, 3, 4), min(low, high))
    labels[0, 0, 0] = high
    write_labels(path, labels, GEOMETRY)
    again = read_labels(path).array
    assert np.array_equal(again[0], labels)
    smallest = labels.min()
    expected = np.int32 if smallest < 0 or high > 65535 else np.uint16 if high > 255 else np.uint8
    assert again.dtype == expected


def test_truth_values_are_labels(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.nii.gz", np.ones((2, 3, 4), bool), GEOMETRY)
    assert read_labels(tmp_path / "a.nii.gz").array.dtype == np.uint8


@pytest.mark.parametrize(("value", "whole"), [(1.0, True), (1.0009, True), (0.9995, True), (2.5, False), (np.nan, False), (np.inf, False)])
def test_labels_stored_as_real_numbers_must_be_whole(nifti: MakeFile, value: float, whole: bool) -> None:
    array = np.zeros((2, 3, 4), np.float32)
    array[1, 2, 3] = value
    path = nifti("a.nii.gz", array)
    if whole:
        labels = read_labels(path).array
        assert labels.dtype == np.int32
        assert labels.sum() == 1
    else:
        with pytest.raises(CrganError, match=r"not whole numbers[\s\S]*1 other voxels, for example [\w.]+[\s\S]*nearest-neighbour"):
            read_labels(path)


def test_a_label_map_with_channels_is_refused(nifti: MakeFile) -> None:
    path = nifti("a.nii.gz", np.arange(48, dtype=np.uint8).reshape(2, 3, 4, 2))
    with pytest.raises(CrganError, match=r"several channels[\s\S]*2 channels"):
        read_labels(path)


@pytest.mark.parametrize("read", [read_volume, read_labels, read_geometry])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.nii.gz", "no such image file"),
        ("folder.nii", "a folder"),
        ("a.jpg", "kind of file is not known"),
        ("a", "no file name ending"),
    ],
)
def test_what_is_no_image_file_is_refused(tmp_path: Path, read, name: str, words: str) -> None:
    (tmp_path / "folder.nii").mkdir()
    (tmp_path / "a.jpg").touch()
    (tmp_path / "a").touch()
    with pytest.raises(CrganError, match=words) as caught:
        read(tmp_path / name)
    assert caught.value.problems[0].where == tmp_path / name


def test_a_file_that_may_not_be_read_is_told(nifti: MakeFile, monkeypatch: pytest.MonkeyPatch) -> None:
    path = nifti("a.nii.gz")

    def refuse(self: Path, *_: object) -> BinaryIO:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CrganError, match=r"cannot be read[\s\S]*Permission denied"):
        read_volume(path)


@pytest.mark.parametrize("write", [write_labels, write_map])
def test_an_array_of_another_shape_is_our_fault(tmp_path: Path, write) -> None:
    with pytest.raises(ValueError, match="does not fit a grid"):
        write(tmp_path / "a.nii", np.zeros((2, 3, 5), int), GEOMETRY)


@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".tif"])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    for name, error in {"Nifti": OSError(28, "disk full"), "Tiff": OSError(28, "disk full"), "Itk": RuntimeError("ITK: disk full")}.items():
        monkeypatch.setattr(f"crgan.cases.files.{name}.write", Mock(side_effect=error))
    path = tmp_path / f"a{suffix}"
    with pytest.raises(CrganError, match=r"could not be written[\s\S]*disk full") as caught:
        write_labels(path, np.zeros((2, 3, 4), int), GEOMETRY)
    assert caught.value.problems[0].where == path
    assert not list(tmp_path.iterdir())


def test_a_refusal_names_the_file_that_was_meant(tmp_path: Path) -> None:
    with pytest.raises(CrganError) as caught:
        write_labels(tmp_path / "a.png", np.zeros((2, 3, 4), int), GEOMETRY)
    assert caught.value.problems[0].where == tmp_path / "a.png"


def test_writing_needs_a_known_suffix_and_replaces_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="kind of file is not known"):
        write_labels(tmp_path / "a.jpg", np.zeros((2, 3, 4), int), GEOMETRY)
    path = tmp_path / "new" / "a.nii.gz"
    write_labels(path, np.zeros((2, 3, 4), int), GEOMETRY)
    write_labels(path, np.ones((2, 3, 4), int), GEOMETRY)
    assert read_labels(path).array.all()
    assert [file.name for file in path.parent.iterdir()] == ["a.nii.gz"]
