"""Small data sets made by code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from crgan.cases.case import Case, Dataset
from crgan.cases.labels import LabelScheme

SCHEME = LabelScheme(classes={1: "oedema", 4: "enhancing"})

MakeDataset = Callable[..., Dataset]
WriteNifti = Callable[[Path, np.ndarray, tuple[float, float, float]], Path]


def _write_nifti(path: Path, array_zyx: np.ndarray, spacing_zyx: tuple[float, float, float]) -> Path:
    """Write a canonical array as a file whose axes run to R, A and S."""
    affine = np.diag([*reversed(spacing_zyx), 1.0])
    nib.save(nib.Nifti1Image(np.ascontiguousarray(array_zyx.transpose()), affine), path)
    return path


@pytest.fixture
def write_nifti() -> WriteNifti:
    return _write_nifti


@pytest.fixture
def make_dataset(tmp_path: Path) -> MakeDataset:
    """Write cases of noise in a box within a background of -1, labelled in the middle of the box."""

    def make(
        count: int = 3,
        *,
        spacings: tuple[tuple[float, float, float], ...] = ((1.0, 1.0, 1.0),),
        modalities: tuple[str, ...] = ("T1", "FLAIR"),
        shape: tuple[int, int, int] = (12, 16, 20),
        labelled: bool = True,
    ) -> Dataset:
        cases = []
        for number in range(count):
            generator = np.random.default_rng(number)
            folder = tmp_path / "data" / f"p{number}"
            folder.mkdir(parents=True)
            spacing = spacings[number % len(spacings)]
            paths = []
            for modality in modalities:
                image = np.full(shape, -1, np.float32)
                image[3:9, 4:12, 5:15] = generator.normal(100, 20, (6, 8, 10))
                paths.append(_write_nifti(folder / f"p{number}_{modality}.nii.gz", image, spacing))
            codes = np.zeros(shape, np.uint8)
            codes[4:8, 6:10, 7:12] = 1
            codes[5:7, 7:9, 8 : 10 + number % 2] = 4
            label = _write_nifti(folder / f"p{number}_seg.nii.gz", codes, spacing) if labelled else None
            cases.append(Case(case_id=f"p{number}", patient_id=f"p{number}", images=tuple(paths), label=label))
        return Dataset(
            root=tmp_path / "data", layout="test", cases=tuple(cases), modalities=modalities, labels=SCHEME if labelled else None
        )

    return make
