from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from crgan.cases.formats.pictures import picture_geometry
from crgan.cases.label_formats import label_parts, read_label
from crgan.cases.label_formats.dots import read_dots, regions_of_dots
from crgan.errors import CrganError


def test_x_and_y_counted_from_one_become_rows_and_columns(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"gt": np.array([[1, 2], [31, 4]], np.uint16)})
    assert read_dots(tmp_path / "a.mat").tolist() == [[1, 0], [3, 30]]
    savemat(tmp_path / "b.mat", {"gt": np.zeros((0, 0))})
    assert read_dots(tmp_path / "b.mat").shape == (0, 2)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dots": np.ones((2, 2))}, "no such matrix"),
        ({"gt": np.ones((2, 3))}, r"float64 of shape \(2, 3\)"),
        ({"gt": "text"}, "holds no dots"),
        ({"gt": np.array([[1, np.nan]])}, "A dot has no place"),
    ],
)
def test_a_file_without_dots_is_refused(tmp_path: Path, values: dict[str, object], words: str) -> None:
    savemat(tmp_path / "a.mat", values)
    with pytest.raises(CrganError, match=words):
        read_dots(tmp_path / "a.mat")


@pytest.mark.parametrize("content", [b"", b"MATLAB 7.3 MAT-file" + b" " * 105 + b"\x00\x02IM", b"MATLAB 5.0" + bytes(200), b"\xff" * 300])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(CrganError, match=r"cannot be read|holds no dots"):
        read_dots(tmp_path / "a.mat")
    with pytest.raises(CrganError, match="cannot be read"):
        read_dots(tmp_path / "gone.mat")


def test_a_huge_file_is_not_opened(tmp_path: Path) -> None:
    with (tmp_path / "a.mat").open("wb") as file:
        file.truncate(60_000_000)
    with pytest.raises(CrganError, match="60000000 bytes"):
        read_dots(tmp_path / "a.mat")


def test_every_dot_has_a_region_that_it_lies_in() -> None:
    picture = np.random.default_rng(1).normal(size=(40, 50))
    dots = np.array([[5.0, 5.0], [5.4, 12.0], [30.0, 40.0], [39.0, 49.0]])
    regions = regions_of_dots(picture, dots)
    assert regions.dtype == np.int32
    assert [regions[tuple(np.rint(dot).astype(int))] for dot in dots] == [1, 2, 3, 4]
    assert set(np.unique(regions)) <= {0, 1, 2, 3, 4}


def test_no_dots_one_dot_and_an_even_picture() -> None:
    assert not regions_of_dots(np.zeros((9, 9)), np.zeros((0, 2))).any()
    assert set(np.unique(regions_of_dots(np.random.default_rng(0).normal(size=(30, 30)), np.array([[15.0, 15.0]])))) <= {0, 1}
    even = regions_of_dots(np.full((20, 20), 7.0), np.array([[5.0, 5.0], [15.0, 15.0]]))
    assert [(even == number).sum() for number in (1, 2)] == [29, 29]  # the disks around the dots


def test_the_picture_lies_beside_and_holds_all_dots(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"gt": np.array([[4, 2], [8, 3]])})
    with pytest.raises(CrganError, match="picture of the dots is missing"):
        read_label(tmp_path / "a.mat", "dots", image=picture_geometry(6, 7))
    Image.fromarray(np.arange(42, dtype=np.uint8).reshape(6, 7)).save(tmp_path / "a.png")
    with pytest.raises(CrganError, match=r"outside the picture[\s\S]*x up to 7 and y up to 6[\s\S]*x, y = 8, 3"):
        read_label(tmp_path / "a.mat", "dots", image=picture_geometry(6, 7))
    assert read_label(tmp_path / "a.mat", "dots", image=picture_geometry(6, 8)).array[0, 1, 3, 0] == 1
    assert label_parts(tmp_path / "a.mat", "dots") == (tmp_path / "a.mat",)
