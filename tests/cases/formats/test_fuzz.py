"""Ten damaged files of every format, as ``benchmarks/fuzz_formats.py`` damages two hundred."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from crgan.cases.files import read_volume
from crgan.errors import CrganError

NAMES = ("NIfTI", "NIfTI, gzip", "NRRD", "MetaImage", "PNG", "PGM", "TIFF", "OME-TIFF", "DICOM")


@pytest.fixture(scope="module")
def fuzz(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_formats", repository / "benchmarks" / "fuzz_formats.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_formats_are_damaged(fuzz: ModuleType) -> None:
    assert tuple(fuzz.FORMATS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_damaged_files_are_read_or_refused_clearly(tmp_path: Path, fuzz: ModuleType, name: str) -> None:
    suffix, write = fuzz.FORMATS[name]
    write(tmp_path / f"sound{suffix}")
    sound = (tmp_path / f"sound{suffix}").read_bytes()
    outcomes = []
    for seed in range(1000, 1010):
        path = tmp_path / str(seed) / f"damaged{suffix}"
        path.parent.mkdir()
        path.write_bytes(fuzz.damage_file(name, sound, seed))
        outcomes.append(fuzz.read_damaged(path)[0])
    assert set(outcomes) <= {"read", "refused"}, outcomes
    assert "refused" in outcomes


def test_a_header_that_declares_a_huge_image_takes_no_memory(tmp_path: Path, fuzz: ModuleType) -> None:
    fuzz.itk(tmp_path / "a.nrrd")
    content = (tmp_path / "a.nrrd").read_bytes().replace(b"sizes: 10 11 12", b"sizes: 40000 40000 40")
    (tmp_path / "a.nrrd").write_bytes(content)
    fuzz.png(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    import zlib

    header = content[12:16] + (60000).to_bytes(4, "big") * 2 + content[24:29]
    (tmp_path / "a.png").write_bytes(content[:12] + header + zlib.crc32(header).to_bytes(4, "big") + content[33:])
    fuzz.dicom(tmp_path / "a.dcm")
    content = (tmp_path / "a.dcm").read_bytes()
    place = content.index(b"\x28\x00\x02\x00US") - 4
    (tmp_path / "a.dcm").write_bytes(content[:place] + b"\x09\x00\x10\x00UN\0\0\xff\xff\xff\x7f" + content[place:])
    for name in ("a.nrrd", "a.png", "a.dcm"):
        with pytest.raises(CrganError, match=r"larger than its file can hold|cannot be read"):
            read_volume(tmp_path / name)


def test_pictures_of_a_hundred_million_pixels_are_opened(tmp_path: Path) -> None:
    Image.new("1", (10_000, 10_000)).save(tmp_path / "a.png")
    from crgan.cases.files import read_geometry

    assert read_geometry(tmp_path / "a.png")[0].shape == (10_000, 10_000, 1)
    assert np.asarray(read_volume(tmp_path / "a.png").array).shape == (1, 10_000, 10_000, 1)
