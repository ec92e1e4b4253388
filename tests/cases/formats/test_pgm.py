from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crgan.cases.files import read_geometry, read_labels, read_volume, write_labels
from crgan.cases.formats.pictures import picture_geometry
from crgan.errors import CrganError


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_values_come_as_they_are(tmp_path: Path, dtype: type) -> None:
    pixels = (np.arange(12) * (3 if dtype is np.uint8 else 5000)).astype(dtype).reshape(3, 4)
    (tmp_path / "a.pgm").write_bytes(b"P5 4 3 %d\n" % np.iinfo(dtype).max + pixels.astype(np.dtype(dtype).newbyteorder(">")).tobytes())
    volume = read_volume(tmp_path / "a.pgm")
    assert volume.array.dtype == dtype
    assert volume.array[0, ..., 0].tolist() == pixels.tolist()
    geometry, channels = read_geometry(tmp_path / "a.pgm")
    assert (geometry.shape, geometry.dimensions, channels) == ((3, 4, 1), 2, 1)
    assert read_labels(tmp_path / "a.pgm").array.shape == (1, 3, 4, 1)


def test_bits_are_zero_and_one(tmp_path: Path) -> None:
    Image.fromarray(np.eye(3, dtype=bool)).save(tmp_path / "a.pgm")
    assert np.ptp(read_volume(tmp_path / "a.pgm").array) == 1


@pytest.mark.parametrize("content", [b"", b"P5 4", b"P5 4 3 255\n12", b"P6 1 1 255\n123", b"no picture", b"P5 999999 999999 255\n1"])
def test_damage_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pgm").write_bytes(content)
    with pytest.raises(CrganError, match=r"cannot be read|larger than can be opened"):
        read_volume(tmp_path / "a.pgm")


def test_none_is_written(tmp_path: Path) -> None:
    with pytest.raises(CrganError, match=r"PGM files are not written[\s\S]*\.png"):
        write_labels(tmp_path / "a.pgm", np.zeros((3, 4, 1), np.uint8), picture_geometry(3, 4))
