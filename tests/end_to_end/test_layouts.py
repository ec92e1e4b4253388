"""The table of layouts: phantoms in the official names of each are detected, read, trained on, predicted and written back."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from crgan.cases.canonical import to_canonical
from crgan.cases.case import Case, Dataset
from crgan.cases.files import read_labels, read_volume
from crgan.cases.label_formats import read_label
from crgan.cases.layouts import LAYOUTS, open_dataset
from crgan.cases.phantom import Phantom, draw_brain, draw_liver, draw_movie, write_brains, write_cells, write_livers
from crgan.cases.phantom.brain import KIND as BRAIN
from crgan.cases.phantom.cells import KIND as CELLS
from crgan.cases.phantom.layouts import WRITERS
from crgan.cases.phantom.liver import KIND as LIVER
from crgan.cases.phantom.sample import Kind
from crgan.cases.reading import COLOURS, read_case
from crgan.config import Config
from crgan.inference.predict import predict
from crgan.model import Model
from crgan.training.run import train

CUBE = (32, 32, 32)
FIRST_DIGEST = hashlib.sha256(b"cells_000").hexdigest()


def first_brain() -> Phantom:
    return draw_brain(0, shape=CUBE, seed=0)


def first_liver() -> Phantom:
    return draw_liver(0, shape=CUBE, seed=0)


def first_picture() -> Phantom:
    return next(draw_movie(0, shape=(48, 48), seed=0))


def first_stack() -> Phantom:
    return next(draw_movie(0, shape=(6, 32, 32), seed=0))


def first_movie() -> Phantom:
    """Its frames as slices, far apart; the ids of a frame go on from those of the frame before."""
    frames = list(draw_movie(0, shape=(48, 48), frames=2, seed=0))
    labels = np.stack([frame.labels.astype(np.int32) for frame in frames])
    labels[1][labels[1] > 0] += labels[0].max()
    return replace(frames[0], images=np.stack([frame.images for frame in frames], axis=1), labels=labels, spacing_mm=(10.0, 1.0, 1.0))


@dataclass(frozen=True, kw_only=True)
class Row:
    """A layout, and what is expected of phantoms in it.

    ``write`` writes them and ``first`` draws the first again. ``detected`` is the reader's name, ``channels`` what the
    modalities are called there, ``mask`` the file that the first case (or its first frame) is written back to, in the
    ``naming`` of a challenge where there is one, and ``masks`` the number of files; ``root`` is what is opened in the
    folder. ``derived`` labels are made from less than was drawn.
    """

    kind: Kind
    write: Callable[..., None]
    first: Callable[[], Phantom]
    detected: str
    mask: str
    channels: tuple[str, ...]
    naming: str | None = None
    root: str = "."
    cases: int = 3
    masks: int = 3
    derived: bool = False


brains = partial(Row, kind=BRAIN, write=partial(write_brains, count=3, shape=CUBE), first=first_brain, channels=BRAIN.modalities)
livers = partial(Row, kind=LIVER, write=partial(write_livers, count=3, shape=CUBE), first=first_liver, channels=LIVER.modalities)
cells = partial(Row, kind=CELLS, write=partial(write_cells, count=3, shape=(48, 48)), first=first_picture, channels=CELLS.modalities)
movies = partial(cells, write=partial(write_cells, count=2, frames=2, shape=(48, 48)), first=first_movie, cases=2, masks=4)
stacks = partial(cells, write=partial(write_cells, count=3, slices=6, shape=(32, 32)), first=first_stack)

TABLE = {
    "brats2015": brains(detected="brats", mask="VSD.Seg_brats_2013_pat0000_1.54003.mha", naming="brats"),
    "brats2017": brains(detected="brats", mask="Brats17_CBICA_000_1.nii.gz", naming="brats"),
    "brats2020": brains(detected="brats", mask="BraTS20_Training_000.nii.gz", naming="brats"),
    "brats2021": brains(detected="brats", mask="BraTS2021_00000.nii.gz", naming="brats"),
    "brats2023": brains(detected="brats", mask="BraTS-GLI-00000-000.nii.gz", naming="brats"),
    "lits": livers(detected="lits", mask="segmentation-0.nii", naming="lits"),
    "manifest": livers(detected="manifest", mask="liver_000.nii.gz", root="cases.json"),
    "msd": brains(detected="msd", mask="brain_000.nii.gz", naming="msd"),
    "nnunet": livers(detected="nnunet", mask="liver_000.nii.gz", naming="nnunet"),
    "nnunet1": brains(detected="nnunet", mask="brain_000.nii.gz", naming="nnunet"),
    "paired": cells(detected="paired", mask="cells_000.png"),
    "patient_folders": brains(detected="patient_folders", mask="brain_000.nii.gz"),
    "plain": livers(detected="plain", mask="liver_000.nii.gz", channels=("image",)),
    "bids": brains(detected="bids", mask="sub-brain000.nii.gz", channels=("T1w", "ce-gadolinium_T1w", "T2w", "FLAIR")),
    "celldetect": cells(detected="celldetect", mask="im01.png", derived=True),
    "ctc": movies(detected="ctc", mask="01_RES/mask000.tif", naming="ctc"),
    "ctc stacks": stacks(detected="ctc", mask="01_RES/mask000.tif", naming="ctc"),
    "dicom": livers(detected="dicom", mask="liver_000.nii.gz", channels=("image",)),
    "dicom_seg": livers(detected="dicom", mask="liver_000.nii.gz", channels=("image",)),
    "dsb2018": cells(detected="dsb2018", mask=f"{FIRST_DIGEST}.png", channels=COLOURS),
}
READ = {known.name for known in LAYOUTS}


@pytest.fixture(scope="module", params=[name for name, row in TABLE.items() if row.detected in READ])
def row(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Row, Path]:
    """A layout, and a folder of phantoms in it."""
    folder = tmp_path_factory.mktemp(request.param)
    found = TABLE[request.param]
    found.write(folder / "data", layout=request.param.split()[0])
    return found, folder


@pytest.fixture(scope="module")
def data(row: tuple[Row, Path]) -> Path:
    return row[1] / "data" / row[0].root


@pytest.fixture(scope="module")
def dataset(data: Path) -> Dataset:
    return open_dataset(data)


@pytest.fixture(scope="module")
def run(row: tuple[Row, Path], data: Path, small_config: Callable[..., Config]) -> Path:
    return train(data, row[1] / "run", config=small_config("validations=1", system="unet", steps=1))


@pytest.fixture(scope="module")
def masks(row: tuple[Row, Path], data: Path, run: Path) -> list[Path]:
    return predict(run, data, row[1] / "masks", naming=row[0].naming, threads=1)


def test_every_layout_is_in_the_table() -> None:
    assert {name.split()[0] for name in TABLE} == {*WRITERS}
    assert {row.detected for row in TABLE.values()} >= READ


def test_detected(row: tuple[Row, Path], dataset: Dataset) -> None:
    expected, _ = row
    assert dataset.layout == expected.detected
    assert len(dataset.cases) == len(dataset.labelled) == expected.cases
    assert {*dataset.modalities} == {*expected.channels}


def test_read(row: tuple[Row, Path], dataset: Dataset) -> None:
    """What was drawn, to the last voxel; of labels derived from dots, a region for each cell and most of what it covers."""
    expected, _ = row
    drawn = expected.first()
    files = first_case(expected, dataset)
    case = read_case(files, dataset)
    space = case.image.shape[1:]
    images = np.resize(drawn.images, (len(expected.channels), *space))  # a grey picture stands in all three colours
    for name, image in zip(expected.channels, images, strict=True):
        assert np.array_equal(case.image[dataset.modalities.index(name)], image)
    assert case.spacing_mm[-len(drawn.spacing_mm) :] == pytest.approx(drawn.spacing_mm, rel=1e-5)
    assert case.label is not None
    assert dataset.labels is not None
    labels = drawn.labels.reshape(space)
    if expected.kind.labels.instances:
        assert files.label is not None
        ids = to_canonical(read_label(files.label, files.label_format, image=case.geometry))[0][0]
        assert len(np.unique(ids)) == len(np.unique(labels))
        if expected.derived:
            assert (ids[labels > 0] > 0).mean() > 0.5
        else:  # the same objects, though their numbers may be others
            assert len({*zip(ids.ravel().tolist(), labels.ravel().tolist(), strict=True)}) == len(np.unique(labels))
            assert np.array_equal(case.label > 0, labels > 0)
    else:
        scheme = expected.kind.labels
        classes = {name: (value,) for value, name in scheme.classes.items()}
        named = classes if dataset.labels.exclusive else scheme.regions
        for target in dataset.labels.targets:
            assert np.array_equal(dataset.labels.mask(target, case.label), np.isin(labels, named[target]))


def first_case(expected: Row, dataset: Dataset) -> Case:
    """The case of the first phantom; digests for names are in another order."""
    named = [case for case in dataset.cases if case.case_id == FIRST_DIGEST]
    return named[0] if expected.detected == "dsb2018" else dataset.cases[0]


def test_trained_one_step(run: Path, dataset: Dataset) -> None:
    assert dataset.labels is not None
    assert Model.load(run).labels.targets == dataset.labels.targets


def test_predicted(row: tuple[Row, Path], masks: list[Path]) -> None:
    assert len({*masks}) == row[0].masks
    assert all(mask.is_file() for mask in masks)


def test_written_back(row: tuple[Row, Path], masks: list[Path], dataset: Dataset) -> None:
    """Under the name that the challenge or the user expects, on the grid of the image, in values that stand in its labels."""
    expected, folder = row
    assert folder / "masks" / expected.mask in masks
    mask, case = folder / "masks" / expected.mask, first_case(expected, dataset)
    image = case.images[0] / "t000.tif" if expected.first is first_movie else case.images[0]
    assert read_volume(mask).geometry.matches(read_volume(image).geometry)
    assert dataset.labels is not None
    if not dataset.labels.instances:
        assert {*np.unique(read_labels(mask).array).tolist()} <= {*dataset.labels.values}
