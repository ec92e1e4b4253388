"""Small files and folders made by code."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

MakeFile = Callable[..., Path]


@pytest.fixture
def nifti(tmp_path: Path) -> MakeFile:
    """Write ``tmp_path/NAME``; by default a ramp, so that the image is not constant, and each a step higher, so that none is a copy."""
    ramps = count()

    def make(name: str, array: np.ndarray | None = None, *, affine: np.ndarray | None = None) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        voxels = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6) + next(ramps) if array is None else array
        nib.save(nib.Nifti1Image(voxels, np.eye(4) if affine is None else affine), path)
        return path

    return make


@pytest.fixture
def label(nifti: MakeFile) -> MakeFile:
    """Write a label map with the given values, one voxel each, in a 4 x 5 x 6 grid."""

    def make(name: str, *values: int, affine: np.ndarray | None = None, shape: tuple[int, int, int] = (4, 5, 6)) -> Path:
        array = np.zeros(shape, np.uint8 if max(values, default=0) < 256 else np.uint16)
        array.flat[: len(values)] = values
        return nifti(name, array, affine=affine)

    return make
