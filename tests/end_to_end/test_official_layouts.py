"""Phantom brains in the official file names of every layout: read, segmented and written back as the challenge wants them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - its own name for itself

from crgan.cases.canonical import to_canonical
from crgan.cases.files import read_labels, read_volume
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import open_dataset
from crgan.cases.layouts.brats_names import FROM_2023, TO_2015, TO_2021
from crgan.cases.layouts.lits import LABELS as LITS
from crgan.cases.layouts.manifest import write_manifest
from crgan.cases.phantom import LABELS as PHANTOM
from crgan.cases.phantom import MODALITIES, draw_brain
from crgan.config import Config
from crgan.evaluation.evaluate import evaluate
from crgan.inference.predict import predict
from crgan.training.run import train

COUNT = 3
SHAPE = (32, 32, 32)
REGIONS = {"background": 0, "WT": [1, 2, 3], "TC": [2, 3], "ET": [3]}
NNUNET = LabelScheme(classes={1: "oedema", 2: "core", 3: "ET"}, regions={"WT": (1, 2, 3), "TC": (2, 3), "ET": (3,)})
Brain = tuple[dict[str, np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def brains() -> list[Brain]:
    """Images by modality and labels of the smallest phantoms, ``(X, Y, Z)``."""
    drawn = [draw_brain(index, shape=SHAPE, seed=3) for index in range(COUNT)]
    return [(dict(zip(MODALITIES, brain.images.transpose(0, 3, 2, 1), strict=True)), brain.labels.transpose()) for brain in drawn]


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".mha":
        sitk.WriteImage(sitk.GetImageFromArray(array.transpose()), path)
    else:
        nib.save(nib.Nifti1Image(array, np.diag([5.0, 5.0, 5.0, 1.0])), path)


def with_values(labels: np.ndarray, scheme: LabelScheme) -> np.ndarray:
    return scheme.decode(PHANTOM.masks(PHANTOM.encode(labels)))


def write_brats(root: Path, brains: list[Brain], name: str, words: dict[str, str], scheme: LabelScheme) -> None:
    """``name`` has ``{number}`` for the patient and ``{word}`` for what a file shows."""
    for number, (images, labels) in enumerate(brains):
        for modality, image in images.items():
            save(root / name.format(number=number, word=words[modality]), image)
        save(root / name.format(number=number, word=words["seg"]), with_values(labels, scheme))


def write_nnunet(root: Path, brains: list[Brain], description: dict[str, object]) -> None:
    for number, (images, labels) in enumerate(brains):
        for channel, image in enumerate(images.values()):
            save(root / f"imagesTr/BRATS_{number:03d}_{channel:04d}.nii.gz", image)
        save(root / f"labelsTr/BRATS_{number:03d}.nii.gz", with_values(labels, NNUNET))
    (root / "dataset.json").write_text(json.dumps(description))


WORDS = {name: name for name in (*MODALITIES, "seg")}
WORDS_2023 = {"t1": "t1n", "t1ce": "t1c", "t2": "t2w", "flair": "t2f", "seg": "seg"}
WORDS_VSD = {
    **{name: f"VSD.Brain.XX.O.MR_{word}" for name, word in zip(MODALITIES, ("T1", "T1c", "T2", "Flair"), strict=True)},
    "seg": "VSD.Brain_3more.XX.O.OT",
}
CHANNELS = {str(number): name for number, name in enumerate(MODALITIES)}

WRITERS: dict[str, Callable[[Path, list[Brain]], None]] = {
    "2015": lambda root, brains: write_brats(
        root, brains, "HGG/brats_tcia_pat10{number}_1/{word}.{number}/{word}.{number}.mha", WORDS_VSD, TO_2015
    ),
    "2017": lambda root, brains: write_brats(
        root, brains, "HGG/Brats17_TCIA_10{number}_1/Brats17_TCIA_10{number}_1_{word}.nii.gz", WORDS, TO_2021
    ),
    "2021": lambda root, brains: write_brats(root, brains, "BraTS2021_0000{number}/BraTS2021_0000{number}_{word}.nii.gz", WORDS, TO_2021),
    "2023": lambda root, brains: write_brats(
        root, brains, "BraTS-GLI-0000{number}-000/BraTS-GLI-0000{number}-000-{word}.nii.gz", WORDS_2023, FROM_2023
    ),
    "nnunet 1": lambda root, brains: write_nnunet(
        root, brains, {"modality": CHANNELS, "labels": {"0": "background", "1": "oedema", "2": "core", "3": "ET"}}
    ),
    "nnunet 2": lambda root, brains: write_nnunet(root, brains, {"channel_names": CHANNELS, "labels": REGIONS, "file_ending": ".nii.gz"}),
}
EXPECTED = {
    "2015": ("brats", "brats", TO_2015, "VSD.Seg_brats_tcia_pat100_1.0.mha"),
    "2017": ("brats", "brats", TO_2021, "Brats17_TCIA_100_1.nii.gz"),
    "2021": ("brats", "brats", TO_2021, "BraTS2021_00000.nii.gz"),
    "2023": ("brats", "brats", FROM_2023, "BraTS-GLI-00000-000.nii.gz"),
    "nnunet 1": ("nnunet", "nnunet", TO_2021, "BRATS_000.nii.gz"),
    "nnunet 2": ("nnunet", "nnunet", TO_2021, "BRATS_000.nii.gz"),
}


@pytest.fixture(scope="module")
def run(brains: list[Brain], small_config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a few steps, trained on brains in the names of 2021."""
    folder = tmp_path_factory.mktemp("2021")
    WRITERS["2021"](folder / "data", brains)
    return train(folder / "data", folder / "run", config=small_config(system="unet", steps=2))


@pytest.mark.parametrize("layout", [pytest.param(name, marks=[] if name in {"2015", "2023"} else pytest.mark.slow) for name in WRITERS])
def test_a_model_segments_every_layout_and_writes_it_back(layout: str, brains: list[Brain], run: Path, tmp_path: Path) -> None:
    root = tmp_path / "data"
    WRITERS[layout](root, brains)
    detected, naming, scheme, name = EXPECTED[layout]
    dataset = open_dataset(root)
    assert (dataset.layout, len(dataset.labelled), {*dataset.modalities}) == (detected, COUNT, {*MODALITIES})
    for case, (_, labels) in zip(dataset.cases, brains, strict=True):
        assert case.label is not None
        assert dataset.labels is not None
        read = dataset.labels.encode(to_canonical(read_labels(case.label))[0][0])
        masks = {name: dataset.labels.mask(name, read) for name in dataset.labels.targets}
        innermost = np.flip(labels == 4, (0, 1)) if layout == "2015" else labels == 4  # MetaImage counts to the left and to the back
        assert (masks["ET"] == innermost.transpose()).all()
    first = dataset.cases[0].case_id
    (mask,) = predict(run, root, tmp_path / "masks", naming=naming, cases=[first], threads=1)
    (plain,) = predict(run, root, tmp_path / "plain", cases=[first], threads=1)
    seen = [path.name for path in (tmp_path / "masks").iterdir() if not path.name.startswith(".")]
    assert seen == [mask.name] == [name]  # and nothing else to be seen, ready to be sent
    assert read_volume(mask).geometry.matches(read_volume(dataset.cases[0].images[0]).geometry)
    named, default = read_labels(mask).array, read_labels(plain).array
    assert {*np.unique(named).tolist()} <= {*scheme.values}
    assert (scheme.masks(scheme.encode(named)) == TO_2021.masks(TO_2021.encode(default))).all()


@pytest.mark.slow
@pytest.mark.parametrize("layout", WRITERS)
def test_every_layout_can_be_trained_on(layout: str, brains: list[Brain], small_config: Callable[..., Config], tmp_path: Path) -> None:
    WRITERS[layout](tmp_path / "data", brains)
    trained = train(tmp_path / "data", tmp_path / "run", config=small_config(system="unet", steps=2))
    predict(trained, tmp_path / "data", tmp_path / "masks", threads=1)
    scores = evaluate(tmp_path / "masks", tmp_path / "data", out=None)
    assert list(scores.summary) == (["oedema", "core", "ET"] if layout == "nnunet 1" else ["WT", "TC", "ET"])
    assert len(scores.cases) == COUNT


def test_a_manifest_is_as_good_as_the_folder_it_was_made_of(brains: list[Brain], run: Path, tmp_path: Path) -> None:
    WRITERS["2023"](tmp_path / "data", brains[:1])
    write_manifest(tmp_path / "lists" / "cases.json", open_dataset(tmp_path / "data"))
    masks = [
        predict(run, source, tmp_path / f"masks{number}", threads=1)
        for number, source in enumerate([tmp_path / "data", tmp_path / "lists/cases.json"])
    ]
    assert [[path.name for path in paths] for paths in masks] == [["BraTS-GLI-00000-000.nii.gz"]] * 2
    assert masks[0][0].read_bytes() == masks[1][0].read_bytes()
    assert evaluate(tmp_path / "masks0", tmp_path / "lists/cases.json", out=None).cases.keys() == {"BraTS-GLI-00000-000"}


@pytest.mark.slow
def test_lits_from_volumes_to_test_segmentations(brains: list[Brain], small_config: Callable[..., Config], tmp_path: Path) -> None:
    for number, (images, labels) in enumerate(brains):
        save(tmp_path / f"data/Training Batch {number % 2 + 1}/volume-{number}.nii", images["t1"] - np.int16(1000))
        save(tmp_path / f"data/Training Batch {number % 2 + 1}/segmentation-{number}.nii", (labels > 0) + (labels == 4).astype(np.uint8))
    (tmp_path / "test").mkdir()
    shutil.copy(tmp_path / "data/Training Batch 1/volume-0.nii", tmp_path / "test/test-volume-0.nii")
    trained = train(tmp_path / "data", tmp_path / "run", config=small_config(system="unet", steps=2))
    (mask,) = predict(trained, tmp_path / "test", tmp_path / "masks", naming="lits", threads=1)
    assert mask.name == "test-segmentation-0.nii"
    assert {*np.unique(read_labels(mask).array).tolist()} <= {*LITS.values}
    predict(trained, tmp_path / "data", tmp_path / "own", threads=1)
    assert list(evaluate(tmp_path / "own", tmp_path / "data", out=None).summary) == ["liver", "lesion"]
