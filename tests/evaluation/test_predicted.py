from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from crgan.errors import CrganError
from crgan.evaluation.predicted import find_predicted
from crgan.files import write_json

AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


def put(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, AFFINE), path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A patient of two nested regions, one voxel of which nobody annotated."""
    scheme = {"classes": {"1": "rim", "2": "core"}, "regions": {"all of it": [1, 2], "core": [2]}, "ignore": 9}
    image = np.zeros((4, 3, 2), np.float32)
    image[1:3] = np.arange(12).reshape(2, 3, 2) + 5
    label = np.zeros((4, 3, 2), np.uint8)
    label[1, 0, 0], label[1, 1, 0], label[2, 0, 0], label[0, 2, 1] = 1, 2, 9, 1
    put(tmp_path / "images" / "a.nii.gz", image)
    put(tmp_path / "labels" / "a.nii.gz", label)
    put(tmp_path / "masks" / "a.nii.gz", (label == 2).astype(np.uint8) * 2)
    for name in ("all-of-it", "core"):
        put(tmp_path / "masks" / "maps" / f"a_{name}_probability.nii.gz", image / (20 if name == "core" else 40))
    write_json(tmp_path / "labels" / "labels.json", scheme)
    write_json(tmp_path / "masks" / "labels.json", scheme)
    return tmp_path


def test_masks_truth_and_maps_are_on_the_labels_grid(folder: Path) -> None:
    (case,) = find_predicted(folder / "masks", folder / "labels", folder / "images")
    assert (case.targets, case.patient, case.pair.case_id) == (("all of it", "core"), "a", "a")
    assert [np.argwhere(mask).tolist() for mask in case.truth] == [[[0, 2, 1], [1, 0, 0], [1, 1, 0]], [[1, 1, 0]]]
    assert [np.argwhere(mask).tolist() for mask in case.decided] == [[[1, 1, 0]], [[1, 1, 0]]]
    assert case.maps("probability")[:, 1, 2, 1] == pytest.approx([10 / 40, 10 / 20])


def test_compared_is_the_foreground_and_the_truth_as_far_as_it_is_known(folder: Path) -> None:
    (case,) = find_predicted(folder / "masks", folder / "labels", folder / "images")
    judged = np.zeros((4, 3, 2), bool)
    judged[1:3] = judged[0, 2, 1] = True
    judged[2, 0, 0] = False
    assert (case.judged == judged).all()


def test_instances_are_one_target(tmp_path: Path) -> None:
    for name, array in (("images", np.arange(12)), ("labels", np.arange(12) % 3), ("masks", np.arange(12) % 2 * 7)):
        (tmp_path / name).mkdir()
        Image.fromarray(array.reshape(3, 4).astype(np.uint8 if name == "images" else np.uint16)).save(tmp_path / name / "c.png")
    for place in ("labels", "masks"):
        write_json(tmp_path / place / "labels.json", {"classes": {"1": "cell"}, "instances": True})
    for target, value in (("cell", 0.7), ("border", 0.4)):
        put(tmp_path / "masks" / "maps" / f"c_{target}_probability.nii.gz", np.full((4, 3, 1), value, np.float32))
    (case,) = find_predicted(tmp_path / "masks", tmp_path / "labels", tmp_path / "images")
    assert case.targets == ("cell",)
    assert case.truth.sum() == 8
    assert case.decided.sum() == 6
    assert case.truth.shape[1:] == case.decided.shape[1:] == case.judged.shape
    assert (case.maps("probability") == 1).all()


def test_masks_without_a_scheme_cannot_be_read(folder: Path) -> None:
    (folder / "masks" / "labels.json").unlink()
    with pytest.raises(CrganError, match="Nothing says"):
        next(find_predicted(folder / "masks", folder / "labels", folder / "images"))
