"""A few steps on real patients: not to learn, but to meet what real files bring along."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np

from crgan.config import Config, read_config
from crgan.files import read_json
from crgan.inference.predict import predict
from crgan.training.run import train

MakeConfig = Callable[..., Config]


def split(folder: Path, train_ids: list[str], test_ids: list[str]) -> Path:
    path = folder / "split.json"
    path.write_text(json.dumps({"train": train_ids, "test": test_ids}), encoding="utf-8")
    return path


def test_hippocampus(shared_data: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    data = shared_data / "msd" / "Task04_Hippocampus"
    ids = sorted(path.name.removesuffix(".nii.gz") for path in (data / "imagesTr").glob("hippocampus_*.nii.gz"))[:6]
    config = small_config("generator_optimisation.learning_rate=0.02", steps=40, **{"data.split": split(tmp_path, ids, [])})
    run = train(data, tmp_path / "run", config=config)
    assert read_config(run / "config.yaml").planes == ("axial", "coronal", "sagittal")
    described = read_json(run / "data.json")["patients"]
    assert sorted([*described["train"], *described["validation"]]) == ids
    files = sorted((data / "imagesTs").glob("hippocampus_*.nii.gz"))[:2]
    for file in files:
        (mask,) = predict(run, file, tmp_path / file.name.removesuffix(".nii.gz"), threads=1)
        found, image = nib.load(mask), nib.load(file)
        assert found.shape == image.shape
        assert np.array_equal(found.affine, image.affine)
        assert {*np.unique(np.asarray(found.dataobj))} <= {0, 1, 2}


def test_two_time_points_of_a_patient(shared_data: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    data = shared_data / "acdc"
    ids = sorted(path.name for path in data.iterdir() if path.is_dir())[:3]
    classes = {1: "right ventricle", 2: "myocardium", 3: "left ventricle"}
    config = small_config(**{"data.split": split(tmp_path, ids[:2], ids[2:]), "data.classes": classes})
    run = train(data, tmp_path / "run", config=config)
    settled = read_config(run / "config.yaml")
    assert settled.planes == ("axial",)  # thick slices have one plane
    described = read_json(run / "data.json")
    assert sorted([*described["patients"]["train"], *described["patients"]["validation"]]) == ids[:2]
    assert len(described["prepared"]) == 4  # both time points of each
    masks = predict(run, data / ids[2], tmp_path / "masks", threads=1)
    assert len(masks) == 2
    for mask in masks:
        image = nib.load(data / ids[2] / mask.name)
        assert nib.load(mask).shape == image.shape
        assert np.array_equal(nib.load(mask).affine, image.affine)
