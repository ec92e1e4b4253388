"""From masks with places to look at beside them to a table and a section of the report."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from crgan.errors import CrganError
from crgan.evaluation.evaluate import evaluate


def save(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.eye(4)), path)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two cases of two lesions: of the first one lesion is missed and lies in its second place; the second case is right."""
    truth, half, ranks = (np.zeros((8, 8, 4), np.uint8) for _ in range(3))
    truth[0:2, 0:2, 0:2] = truth[5:7, 5:7, 1:3] = 1
    half[0:2, 0:2, 0:2] = 1
    ranks[0:2, 5:7, 0] = 1
    ranks[5:7, 5, 1:3] = 2
    masks, labels = tmp_path / "masks", tmp_path / "labels"
    for case, mask in (("a", half), ("b", truth)):
        save(labels / f"{case}.nii.gz", truth)
        save(masks / f"{case}.nii.gz", mask)
        save(masks / "where_to_look" / f"{case}_look.nii.gz", ranks * (case == "a"))
    (masks / "labels.json").write_text(json.dumps({"classes": {"1": "lesion"}}))
    return masks, labels


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "where_to_look.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_work_and_what_it_brings_are_told(folders: tuple[Path, Path], tmp_path: Path) -> None:
    evaluate(*folders, out=tmp_path / "out")
    found = {row["first_places"]: row for row in rows(tmp_path / "out")}
    assert found["0"] == dict(zip(found["0"], ["lesion", "0", "0", "0", "0", "1", "0"], strict=True))
    assert found["1"] == found["0"] | {"first_places": "1", "places": "0.5", "voxels": "2"}
    assert [*found["2"].values()] == ["lesion", "2", "1", "4", "1", "1", "0.5"]
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Where to look again" in page
    assert "1 of 1" in page
    assert "lesion, lesions: up to 1.00 in 1.0 places" in page


def test_without_places_nothing_is_told(folders: tuple[Path, Path], tmp_path: Path) -> None:
    evaluate(*folders, out=tmp_path / "out")
    shutil.rmtree(folders[0] / "where_to_look")
    evaluate(*folders, out=tmp_path / "out", overwrite=True)
    assert not (tmp_path / "out" / "where_to_look.csv").exists()
    assert "Where to look" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_case_may_list_no_places(folders: tuple[Path, Path], tmp_path: Path) -> None:
    (folders[0] / "where_to_look" / "b_look.nii.gz").unlink()
    evaluate(*folders, out=tmp_path / "out")
    assert rows(tmp_path / "out")[1]["places"] == "1"  # of the one case that lists some


def test_a_map_on_another_grid_is_told(folders: tuple[Path, Path]) -> None:
    save(folders[0] / "where_to_look" / "a_look.nii.gz", np.zeros((8, 8, 5), np.uint8))
    with pytest.raises(CrganError, match=r"different shape[\s\S]*a_look"):
        evaluate(*folders, out=None)


def test_nothing_missed(folders: tuple[Path, Path], tmp_path: Path) -> None:
    masks, labels = folders
    shutil.copy(masks / "b.nii.gz", masks / "a.nii.gz")
    evaluate(masks, labels, out=tmp_path / "out")
    assert {row["missed_voxels_found"] for row in rows(tmp_path / "out")} == {""}
    assert "none missed" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
