"""From DICOM series to masks, and nothing of the patient on the way."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from typer.testing import CliRunner

from crgan.cases.files import read_geometry, read_volume
from crgan.cases.label_formats import read_label
from crgan.cli import app
from crgan.config import Config
from crgan.errors import CrganError
from crgan.inference.predict import predict
from crgan.training.run import train

# What the headers of `write_series` hold: parts of names and ids, a birthday, and the root of all UIDs.
PLANTED = (b"Nightingale", "Nightingale".encode("utf-16-le"), b"Florence", b"18200512", b"1.2.826.0.1.3680043.8.498")


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory, write_series: Callable[..., Path]) -> Path:
    """Three patients as DICOM series with NIfTI masks."""
    root = tmp_path_factory.mktemp("series")
    for index in range(3):
        noise = np.random.default_rng(index).normal(0, 6, (10, 18, 20))
        labels = (np.linalg.norm(np.indices(noise.shape).T - (6, 8 + index, 9), axis=-1).T < 3.5).astype(np.uint8)
        folder = write_series(
            root / f"p{index}" / "DICOM", (100 + 90 * labels + noise).astype(np.int16), series=f"1.2.826.0.1.3680043.8.498.7{index}"
        )
        mask = nib.Nifti1Image(labels.transpose(2, 1, 0), read_geometry(folder)[0].affine)
        nib.save(mask, root / f"p{index}" / "mask.nii.gz")
    return root


@pytest.fixture(scope="module")
def work(series: Path, small_config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything the commands write about them."""
    root = tmp_path_factory.mktemp("work")
    train(series, root / "run", config=small_config(steps=2))
    said = [
        CliRunner().invoke(app, arguments)
        for arguments in (
            ["check", str(series), "--json", str(root / "check.json")],
            ["predict", str(root / "run"), str(series), "--out", str(root / "masks"), "--dicom-seg", "--probabilities"],
            ["evaluate", str(root / "masks"), str(series), "--out", str(root / "scores")],
        )
    ]
    assert [result.exit_code for result in said] == [0, 0, 0], [result.output for result in said]
    (root / "said.txt").write_text("".join(result.output for result in said), encoding="utf-8")
    return root


def test_masks_as_nifti_and_as_dicom_are_the_same(series: Path, work: Path) -> None:
    for index in range(3):
        image, _ = read_geometry(series / f"p{index}" / "DICOM")
        mask = read_volume(work / "masks" / f"p{index}.nii.gz")
        assert mask.geometry.matches(image, tolerance_mm=1e-4)
        segmentation = read_label(work / "masks" / "dicom-seg" / f"p{index}.dcm", "dicom_seg", image=image)
        assert np.array_equal(segmentation.array, mask.array)


def test_nothing_of_a_patient_is_written_or_said(work: Path) -> None:
    files = [path for path in work.rglob("*") if path.is_file()]
    assert len(files) > 15
    for path in files:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        found = [word for word in PLANTED if word in content or word in str(path).encode()]
        assert bool(found) == (path.parent.name == "dicom-seg"), (path, found)  # which has to name its patient


def test_other_images_cannot_have_dicom_masks(patients: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="DICOM series only"):
        predict(trained, patients, tmp_path / "out", dicom_seg=True)
    assert not (tmp_path / "out").exists()
