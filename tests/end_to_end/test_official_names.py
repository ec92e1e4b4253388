"""Folders as challenges give them away, from detection to scores: found, read, trained a few steps, predicted, written back, scored."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy.io import savemat

from crgan.cases.files import read_labels
from crgan.cases.layouts import open_dataset
from crgan.config import Config
from crgan.evaluation.evaluate import evaluate
from crgan.inference.predict import predict
from crgan.training.run import train

MakeConfig = Callable[..., Config]

CELLS = [(8, 9), (8, 18), (22, 22)]  # rows and columns of centres; the first two touch


def draw_cells(index: int) -> tuple[np.ndarray, np.ndarray]:
    """An uneven picture of 32 x 34 pixels with three bright cells, and their ids: uint8 and uint16."""
    random = np.random.default_rng([5, index])
    rows, columns = np.indices((32, 34))
    ids = np.zeros(rows.shape, np.uint16)
    for number, (row, column) in enumerate(CELLS, start=1):
        ids[((rows - row - index % 3) ** 2 + (columns - column) ** 2 < 24) & (ids == 0)] = number
    picture = 60 + 90 * (ids > 0) + random.normal(0, 6 + 14 * (ids > 0))
    return picture.clip(0, 255).astype(np.uint8), ids


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".tif":
        tifffile.imwrite(path, array, photometric="minisblack")
    else:
        Image.fromarray(array).save(path)


def write_dsb2018(root: Path) -> Path:
    for index in range(4):
        picture, ids = draw_cells(index)
        folder = root / "stage1_train" / f"id{index}"
        save(folder / "images" / f"id{index}.png", np.stack([picture, picture, picture], axis=-1))
        for number in range(1, 4):
            save(folder / "masks" / f"m{number}.png", 255 * (ids == number).astype(np.uint8))
    return root


def write_celldetect(root: Path) -> Path:
    for index in range(4):
        picture, _ = draw_cells(index)
        save(root / f"im{index:02d}.pgm", picture)
        savemat(root / f"im{index:02d}.mat", {"gt": np.array([(column + 1, row + 1 + index % 3) for row, column in CELLS])})
    return root


def write_ctc(root: Path, *, slices: int | None) -> Path:
    """Two sequences of two time points: pictures, or volumes of which one has a single annotated slice."""
    for sequence in ("01", "02"):
        for time in range(2):
            picture, ids = draw_cells(time)
            if slices is not None:
                picture, ids = np.stack([np.roll(picture, shift) for shift in range(slices)]), np.stack([ids] * slices)
            save(root / sequence / f"t{time:03d}.tif", picture)
            if slices is not None and time == 1:
                save(root / f"{sequence}_GT/SEG/man_seg_001_003.tif", ids[3])
            else:
                save(root / f"{sequence}_GT/SEG/man_seg{time:03d}.tif", ids)
    return root


def write_bids(root: Path) -> Path:
    """Four subjects with a T1w of 1 mm, on which the label was drawn, and a FLAIR of thick slices."""
    for index in range(4):
        subject = f"sub-{index}"
        picture, ids = draw_cells(index)
        volume, label = (
            np.stack([np.roll(picture, shift) for shift in range(8)], axis=-1),
            np.stack([(ids > 0).astype(np.uint8)] * 8, axis=-1),
        )
        flair = np.diag([1.0, 1.0, 4.0, 1.0])
        flair[2, 3] = 1.5
        files = {
            f"{subject}/ses-1/anat/{subject}_ses-1_FLAIR": (volume[..., ::4], flair),
            f"{subject}/ses-1/anat/{subject}_ses-1_T1w": (volume, np.eye(4)),
            f"derivatives/truth/{subject}/ses-1/anat/{subject}_ses-1_label-cell_mask": (label, np.eye(4)),
        }
        for name, (array, affine) in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            nib.save(nib.Nifti1Image(array, affine), root / f"{name}.nii.gz")
    return root


WRITERS = {
    "dsb2018": write_dsb2018,
    "celldetect": write_celldetect,
    "ctc": partial(write_ctc, slices=None),
    "ctc of volumes": partial(write_ctc, slices=6),
    "bids": write_bids,
}


def check_results(results: list[Path], masks: list[Path]) -> None:
    """The same objects as in the masks, which hold the frames of a movie as pages; ids begin anew in each frame."""
    if len(masks) == len(results):
        assert all(np.array_equal(read_labels(path).array, read_labels(mask).array) for path, mask in zip(results, masks, strict=True))
        return
    pages = [read_labels(mask).array[..., page, None] for mask in masks for page in range(2)]
    for path, page in zip(results, pages, strict=True):
        found = read_labels(path).array
        assert np.array_equal(found > 0, page > 0)
        assert len({*zip(found.ravel().tolist(), page.ravel().tolist(), strict=True)}) == len(np.unique(page))
        assert found.max() == len(np.unique(page[page > 0]))


@pytest.mark.parametrize("name", WRITERS)
def test_from_detection_to_scores(name: str, small_config: MakeConfig, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    data = WRITERS[name](tmp_path / "data")
    dataset = open_dataset(data)
    assert dataset.layout == name.split(maxsplit=1)[0]
    config = small_config("validations=1", "batch.length=null")
    run = train(data, tmp_path / "run", config=config)
    masks = predict(run, data, tmp_path / "masks", threads=1)
    assert len(masks) == len(dataset.cases) == (2 if name == "ctc" else 4)
    for mask, case in zip(masks, dataset.cases, strict=True):
        if dataset.labels is not None and dataset.labels.instances:
            found = read_labels(mask).array
            assert found.dtype == np.uint16
            assert np.array_equal(np.unique(found[found > 0]), np.arange(1, found.max() + 1))
        if name == "bids":
            assert np.array_equal(nib.load(mask).affine, nib.load(case.images[1]).affine)
    if dataset.layout == "ctc":
        results = predict(run, data, tmp_path / "results", naming="ctc", threads=1)
        assert [path.relative_to(tmp_path / "results").as_posix() for path in results] == [
            f"{sequence}_RES/mask{time:03d}.tif" for sequence in ("01", "02") for time in range(2)
        ]
        assert [tifffile.imread(path).dtype for path in results] == [np.uint16] * 4
        check_results(results, masks)
        lost = results[1].read_bytes()
        results[1].unlink()
        assert predict(run, data, tmp_path / "results", naming="ctc", threads=1, resume=True) == results
        assert results[1].read_bytes() == lost
    (target, *others) = evaluate(tmp_path / "masks", data, out=tmp_path / "scores").summary
    assert (target, others) == ({"dsb2018": "nucleus", "bids": "class 1"}.get(name, "cell"), [])
