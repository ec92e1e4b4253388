"""Every system, recipe and kind of data: from files to masks in a few steps."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from crgan.cases.phantom import write_brains
from crgan.config import SYSTEMS, Config, read_config
from crgan.evaluation.evaluate import evaluate
from crgan.inference.predict import predict
from crgan.model import Model
from crgan.training.run import train

MakeConfig = Callable[..., Config]


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def train_and_segment(data: Path, folder: Path, config: Config, **settings: object) -> tuple[Path, list[Path]]:
    run = train(data, folder / "run", config=config)
    return run, predict(run, data, folder / "masks", threads=1, **settings)


def check_system(data: Path, folder: Path, config: Config) -> None:
    """A mask for every patient on its grid, with values of the scheme, and the same mask for a patient alone."""
    run, masks = train_and_segment(data, folder, config, cases=["p1", "p2"])
    model = Model.load(run)
    assert (model.refiner is None) == (not config.has_refiner)
    assert (model.generator.recurrence is None) == (not config.recurrent)
    for mask in masks:
        name = mask.name.removesuffix(".nii.gz")
        assert voxels(mask).shape == nib.load(next((data / name).glob("*_flair.nii.gz"))).shape
        assert {*np.unique(voxels(mask))} <= {*model.labels.values}
    (alone,) = predict(run, data / "p1", folder / "alone", threads=1)
    assert alone.read_bytes() == masks[0].read_bytes()


@pytest.fixture(scope="module")
def quick_config(small_config: MakeConfig) -> MakeConfig:
    return partial(small_config, "validations=1")


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system(patients: Path, quick_config: MakeConfig, tmp_path: Path, system: str) -> None:
    check_system(patients, tmp_path, quick_config("adversarial.begin=0", system=system))


@pytest.mark.parametrize("system", ["unet", "cgan", "rnn-cgan", "cgan+refinement", "rnn-cgan+refinement"])
def test_the_papers_rows_by_the_papers_recipe(patients: Path, quick_config: MakeConfig, tmp_path: Path, system: str) -> None:
    check_system(patients, tmp_path, quick_config(recipe="paper", system=system))


@pytest.mark.parametrize("recipe", ["default", "paper"])
@pytest.mark.parametrize(("patient_wise", "noise_channel"), [(False, False), (True, True), (False, True)])
def test_with_and_without_the_papers_other_switches(
    patients: Path, quick_config: MakeConfig, tmp_path: Path, recipe: str, patient_wise: bool, noise_channel: bool
) -> None:
    config = quick_config("adversarial.begin=0", recipe=recipe, patient_wise=patient_wise, noise_channel=noise_channel)
    check_system(patients, tmp_path, config)


@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_classes_that_exclude_each_other(write_patients, quick_config: MakeConfig, tmp_path: Path, recipe: str) -> None:
    data = write_patients(tmp_path / "data", classes=(2, 1), scheme={"classes": {"1": "rim", "2": "core"}})
    run, masks = train_and_segment(data, tmp_path, quick_config(recipe=recipe), probabilities=True)
    assert Model.load(run).labels.exclusive
    for mask in masks:
        maps = [voxels(tmp_path / "masks" / "maps" / mask.name.replace(".nii", f"_{name}_probability.nii")) for name in ("rim", "core")]
        assert {*np.unique(voxels(mask))} <= {0, 1, 2}
        assert len(maps) == 2


def test_values_that_nothing_names(write_patients, quick_config: MakeConfig, tmp_path: Path) -> None:
    data = write_patients(tmp_path / "data", scheme=None)
    run, _ = train_and_segment(data, tmp_path, quick_config())
    assert Model.load(run).labels.targets == ("class 1", "class 2")


def test_a_class_that_no_training_patient_has(write_patients, quick_config: MakeConfig, tmp_path: Path) -> None:
    data = write_patients(tmp_path / "data", classes=(1,))
    _, masks = train_and_segment(data, tmp_path, quick_config())
    assert len(masks) == 4


def test_a_patient_without_anything(write_patients, quick_config: MakeConfig, tmp_path: Path) -> None:
    data = write_patients(tmp_path / "data")
    for name in ("p0", "p1"):
        image = nib.load(data / name / f"{name}_seg.nii.gz")
        nib.save(nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine), data / name / f"{name}_seg.nii.gz")
    _, masks = train_and_segment(data, tmp_path, quick_config())
    assert len(masks) == 4


@pytest.mark.parametrize("slices", [1, 2])
def test_fewer_slices_than_a_sequence_is_long(write_patients, quick_config: MakeConfig, tmp_path: Path, slices: int) -> None:
    """One thin patient among thick ones, and nothing but thin ones."""
    data = write_patients(tmp_path / "data", spacing_mm=(8.0, 1.0, 1.0))
    thin = write_patients(tmp_path / "thin", shape=(slices, 18, 20), spacing_mm=(8.0, 1.0, 1.0))
    for path in (thin / "p2").iterdir():
        path.replace(data / "p2" / path.name)
    run, masks = train_and_segment(data, tmp_path / "mixed", quick_config("batch.length=6"))
    assert read_config(run / "config.yaml").planes == ("axial",)
    assert voxels(masks[2]).shape == (20, 18, slices)
    write_patients(tmp_path / "all", shape=(slices, 18, 20), spacing_mm=(8.0, 1.0, 1.0))
    _, masks = train_and_segment(tmp_path / "all", tmp_path / "thinner", quick_config("batch.length=6"))
    assert voxels(masks[0]).shape == (20, 18, slices)


def test_two_patients_are_enough(write_patients, quick_config: MakeConfig, tmp_path: Path) -> None:
    """Fewer patients than a mini-batch has groups."""
    data = write_patients(tmp_path / "data", count=2)
    _, masks = train_and_segment(data, tmp_path, quick_config("generator.groups=4", "refiner.groups=4"))
    assert len(masks) == 2


def test_patients_of_different_size_and_spacing(write_patients, quick_config: MakeConfig, tmp_path: Path) -> None:
    data = write_patients(tmp_path / "data")
    for number, (shape, spacing) in enumerate([((7, 33, 21), (1.5, 0.6, 0.9)), ((12, 16, 16), (0.9, 1.3, 1.2))]):
        other = write_patients(tmp_path / f"other{number}", shape=shape, spacing_mm=spacing)
        for path in (other / f"p{number}").iterdir():
            path.replace(data / f"p{number}" / path.name)
    _, masks = train_and_segment(data, tmp_path, quick_config())
    assert [voxels(mask).shape for mask in masks[:3]] == [(21, 33, 7), (16, 16, 12), (20, 18, 10)]


def draw_pictures(folder: Path, *, colours: tuple[bool, ...], instances: bool) -> Path:
    """Paired PNG files with two cells each; ``colours`` says which are in colour."""
    random = np.random.default_rng(3)
    for index in range(4):
        rows, columns = np.indices((26 + 2 * index, 30))
        cells = np.zeros(rows.shape, np.uint16)
        for number, (row, column) in enumerate([(7 + index, 9), (17, 21)], start=1):
            cells[(rows - row) ** 2 + (columns - column) ** 2 < 20] = number if instances else 1
        grey = (60 + 90 * (cells > 0) + random.normal(0, 5, cells.shape)).astype(np.uint8)
        picture = np.stack([grey, grey // 2, 255 - grey], axis=-1) if colours[index % len(colours)] else grey
        for kind, array in (("images", picture), ("labels", cells)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / kind / f"c{index}.png")
    return folder


@pytest.mark.parametrize("colours", [(False,), (True,), (True, True, True, False)])
@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_pictures(quick_config: MakeConfig, tmp_path: Path, colours: tuple[bool, ...], recipe: str) -> None:
    data = draw_pictures(tmp_path / "data", colours=colours, instances=False)
    run, masks = train_and_segment(data, tmp_path, quick_config("batch.length=null", recipe=recipe))
    assert read_config(run / "config.yaml").batch.length == 1
    assert Model.load(run).generator.recurrence is None  # a single slice has no neighbours
    for mask in masks:
        assert pixels(mask).shape == pixels(data / "images" / mask.name).shape[:2]
    (alone,) = predict(run, data / "images" / "c3.png", tmp_path / "alone", threads=1)  # the grey one of the last row
    assert alone.read_bytes() == masks[3].read_bytes()


def test_instances_are_learned_as_inside_and_border(quick_config: MakeConfig, tmp_path: Path) -> None:
    data = draw_pictures(tmp_path / "data", colours=(True,), instances=True)
    (data / "labels.json").write_text('{"classes": {"1": "cell"}, "instances": true}', encoding="utf-8")
    run, masks = train_and_segment(data, tmp_path, quick_config("batch.length=null"))
    assert Model.load(run).labels.targets == ("cell", "border")
    assert all(pixels(mask).dtype == np.uint16 for mask in masks)


@pytest.mark.slow
def test_two_processes_train_one_model(patients: Path, quick_config: MakeConfig, tmp_path: Path) -> None:
    """As on two devices: they must agree on the number of steps, on who writes, and on when to stop."""
    words = ["train", str(patients), "--out", str(tmp_path / "run"), "--minutes", "0.05", "--device", "cpu", "--threads", "1"]
    for text in (
        "devices=2",
        "generator.widths=[4,8,8]",
        "refiner.widths=[4,8,8]",
        "generator.groups=2",
        "refiner.groups=2",
        "batch.length=3",
    ):
        words += ["--set", text]
    words += ["--set", "adversarial.begin=0", "--set", f"data.cache={quick_config().data.cache}"]
    (tmp_path / "script.py").write_text("from crgan.cli import main\n\nmain()\n", encoding="utf-8")  # begun again in each process
    command = [sys.executable, str(tmp_path / "script.py"), *words]
    told = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=240, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("adversarial ") == 1  # the second process keeps quiet
    rows = [line.split(",")[:2] for line in (tmp_path / "run" / "metrics.csv").read_text(encoding="utf-8").splitlines()[1:]]
    assert {stage for stage, _ in rows} == {"adversarial", "refinement"}
    assert len(rows) == len({tuple(row) for row in rows})  # by one process
    assert len(predict(tmp_path / "run", patients, tmp_path / "masks", threads=1)) == 4


def test_phantoms_from_files_to_scores(quick_config: MakeConfig, tmp_path: Path) -> None:
    write_brains(tmp_path / "data", count=3, shape=(32, 36, 32))
    _, masks = train_and_segment(tmp_path / "data", tmp_path, quick_config())
    assert len(masks) == 3
    scores = evaluate(tmp_path / "masks", tmp_path / "data", out=tmp_path / "scores", workers=1)
    assert {*scores.summary} == {"WT", "TC", "ET"}
    assert (tmp_path / "scores" / "scores.json").exists()
