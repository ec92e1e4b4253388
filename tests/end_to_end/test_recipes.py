"""The recipes of the paper's data sets, for a few steps on small made-up images of each kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from crgan.cases.phantom.brain import draw_brain
from crgan.config import Config, read_config
from crgan.inference.predict import predict
from crgan.model import Model
from crgan.training.run import train

MakeConfig = Callable[..., Config]


def save(path: Path, array: np.ndarray, spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.ascontiguousarray(array.transpose()), np.diag([*reversed(spacing_mm), 1.0])), path)


def brats(folder: Path) -> Path:
    """Phantom brains under BraTS 2017's names, with its label values."""
    for index, name in enumerate(["Brats17_CBICA_AAB_1", "Brats17_CBICA_AAG_1", "Brats17_2013_2_1"]):
        brain = draw_brain(index, shape=(32, 36, 32), seed=0)
        for modality, image in zip(("t1", "t1ce", "t2", "flair"), brain.images, strict=True):
            save(folder / "HGG" / name / f"{name}_{modality}.nii.gz", image)
        save(folder / "HGG" / name / f"{name}_seg.nii.gz", brain.labels)
    return folder


def lits(folder: Path) -> Path:
    """A body in air with an enhanced liver and a darker lesion in it, in Hounsfield units."""
    for index in range(3):
        random = np.random.default_rng(index)
        z, y, x = np.indices((10, 32, 32))
        body = (y - 16) ** 2 + (x - 16) ** 2 < 200
        liver = body & ((z - 5) ** 2 * 4 + (y - 14) ** 2 + (x - 12) ** 2 < 60)
        lesion = liver & ((z - 5) ** 2 + (y - 14) ** 2 + (x - 11 - index) ** 2 < 5)
        image = np.select([lesion, liver, body], [150, 250, 90], -1000) + random.normal(0, 15, z.shape) * body
        save(folder / f"volume-{index}.nii", image.astype(np.int16), (2.0, 1.0, 1.0))
        save(folder / f"segmentation-{index}.nii", (liver.astype(np.uint8) + lesion), (2.0, 1.0, 1.0))
    return folder


def mda231(folder: Path) -> Path:
    """Bright cells in stacks of thick slices."""
    for index in range(3):
        z, y, x = np.indices((6, 32, 36))
        cells = sum((((z - 3) * 3) ** 2 + (y - cy) ** 2 + (x - cx) ** 2 < 30) * value for value, (cy, cx) in ((1, (9, 10)), (1, (22, 26))))
        image = 100 + 300 * cells + np.random.default_rng(index).normal(0, 20, z.shape)
        save(folder / "images" / f"t{index:03d}.nii.gz", image.astype(np.uint16), (6.0, 1.242, 1.242))
        save(folder / "labels" / f"t{index:03d}.nii.gz", np.asarray(cells, np.uint8), (6.0, 1.242, 1.242))
    return folder


def phc_hela(folder: Path) -> Path:
    """Dark cells with bright rims in 8-bit pictures."""
    for index in range(3):
        y, x = np.indices((40, 44))
        distance = np.minimum(np.hypot(y - 12 - index, x - 13), np.hypot(y - 28, x - 30))
        picture = np.select([distance < 5, distance < 7], [70, 210], 130) + np.random.default_rng(index).normal(0, 6, y.shape)
        for kind, array in (("images", picture.clip(0, 255).astype(np.uint8)), ("labels", (distance < 6).astype(np.uint8))):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / kind / f"{index:02d}.png")
    return folder


@pytest.mark.parametrize(
    ("recipe", "make", "targets", "planes"),
    [
        pytest.param("brats2017", brats, ("WT", "TC", "ET"), ("axial", "coronal", "sagittal"), marks=pytest.mark.slow),  # N4
        ("lits2017", lits, ("liver", "lesion"), ("axial", "coronal", "sagittal")),
        ("mda231", mda231, ("class 1",), ("axial",)),
        ("phc-hela", phc_hela, ("class 1",), ("axial",)),
    ],
)
def test_a_papers_recipe(
    small_config: MakeConfig,
    tmp_path: Path,
    recipe: str,
    make: Callable[[Path], Path],
    targets: tuple[str, ...],
    planes: tuple[str, ...],
) -> None:
    """It derives its sizes, trains, and prediction preprocesses as training did."""
    data = make(tmp_path / "data")
    length = "batch.length=1" if recipe == "phc-hela" else "batch.length=3"
    config = small_config("validations=1", "preprocessing.spacing_mm=native", length, recipe=recipe, steps=2)
    run = train(data, tmp_path / "run", config=config)
    assert read_config(run / "config.yaml").planes == planes
    model = Model.load(run)
    assert model.labels.targets == targets
    pipeline = model.pipeline
    assert set(pipeline.kinds) == {config.preprocessing.kind}
    assert all(found is not None for found in pipeline.landmarks) == (recipe == "brats2017")
    if recipe == "lits2017":
        (statistics,) = pipeline.intensities
        assert statistics is not None
        assert (statistics.low, statistics.high) == (0, 1)
    masks = predict(run, data, tmp_path / "masks", threads=1)
    assert len(masks) == 3
