from __future__ import annotations

import builtins
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import pydicom
import pytest

from crgan.cases.files import read_geometry, read_volume
from crgan.errors import CrganError

WriteSeries = Callable[..., Path]


def join(folder: Path, path: Path, change: Callable[[pydicom.Dataset], None] | None = None) -> Path:
    """Write the slices of a folder as one enhanced file."""
    slices = [pydicom.dcmread(file) for file in sorted(folder.iterdir())]
    enhanced = highdicom.legacy.LegacyConvertedEnhancedCTImage(slices, "1.2.3.9", 9, "1.2.3.10", 1)
    if change is not None:
        change(enhanced)
    path.parent.mkdir()
    enhanced.save_as(path)
    return path


def test_an_enhanced_file_equals_the_series_it_was_made_of(tmp_path: Path, write_series: WriteSeries) -> None:
    voxels = np.random.default_rng(0).integers(0, 2000, (6, 5, 4)).astype(np.int16)
    turn = np.array([[0.8, -0.36, 0.48], [0.6, 0.48, -0.64]])

    def change(data: pydicom.Dataset, number: int) -> None:
        data.RescaleIntercept = 10 * number

    folder = write_series(tmp_path / "s", voxels, directions=turn, change=change)
    path = join(folder, tmp_path / "e" / "volume.dcm")
    single, joined = read_volume(folder), read_volume(path)
    assert np.array_equal(joined.array, single.array)
    assert joined.geometry.matches(single.geometry, tolerance_mm=1e-5)
    assert read_geometry(path.parent)[0].matches(joined.geometry, tolerance_mm=0)


def test_frames_that_are_no_stack_are_told_without_the_header(tmp_path: Path, write_series: WriteSeries) -> None:
    def shift(data: pydicom.Dataset) -> None:
        data.PerFrameFunctionalGroupsSequence[1].PlanePositionSequence[0].ImagePositionPatient[2] += 1

    folder = write_series(tmp_path / "s", np.zeros((4, 5, 4), np.int16))
    for read in (read_volume, read_geometry):
        with pytest.raises(CrganError, match="do not make up one regular volume"):
            read(join(folder, tmp_path / read.__name__ / "volume.dcm", shift))
    path = join(folder, tmp_path / "cut" / "volume.dcm")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CrganError, match=r"larger than it is|regular volume|cannot be read"):
        read_volume(path)


def test_without_highdicom_the_line_that_installs_it_is_shown(
    tmp_path: Path, write_series: WriteSeries, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = join(write_series(tmp_path / "s", np.zeros((4, 5, 4), np.int16)), tmp_path / "e" / "volume.dcm")
    real = builtins.__import__

    def refuse(name: str, *arguments: Any, **others: Any) -> Any:
        if name == "highdicom":
            message = "No module named 'highdicom'"
            raise ImportError(message)
        return real(name, *arguments, **others)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(CrganError, match=r'pip install "crgan\[dicom\]"'):
        read_geometry(path)
    assert read_volume(tmp_path / "s").array.shape == (1, 4, 5, 4)  # a plain series needs nothing more
