from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from skimage.draw import disk

from crgan.cases.integrity import check_cases
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import open_dataset
from crgan.cases.reading import read_case

CENTRES = [(20, 22), (45, 60), (25, 80)]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Two pictures of uneven cells on an even ground, the first with dots."""
    random = np.random.default_rng(0)
    picture = 90 + random.normal(0, 1, (64, 100))
    for centre in CENTRES:
        rows, columns = disk(centre, 9)
        picture[rows, columns] = random.normal(120, 40, rows.size)
    for name in ("im01", "im02"):
        Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(tmp_path / f"{name}.pgm")
    savemat(tmp_path / "im01.mat", {"gt": np.array(CENTRES)[:, ::-1] + 1.0, "other": 3})
    return tmp_path


def test_pictures_with_dots(pictures: Path) -> None:
    dataset = open_dataset(pictures)
    assert (dataset.layout, dataset.modalities) == ("celldetect", ("image",))
    assert [(case.case_id, case.label_format) for case in dataset.cases] == [("im01", "dots"), ("im02", None)]
    assert dataset.labels == LabelScheme(classes={1: "cell"}, instances=True)


def test_the_check_says_that_regions_are_derived(pictures: Path) -> None:
    dataset = open_dataset(pictures)
    summaries, problems = check_cases(dataset, need_labels=False)
    assert [problem.severity for problem in problems if problem.kind == "derived-labels"] == ["warning"]
    assert set(summaries[0].label_voxels or {}) == {0, 1, 2, 3}
    assert "derived-labels" not in {problem.kind for problem in check_cases(dataset, cases=dataset.cases[1:], need_labels=False)[1]}


def test_regions_cover_the_cells(pictures: Path) -> None:
    dataset = open_dataset(pictures)
    label = read_case(dataset.cases[0], dataset).label
    assert label is not None
    truth = np.zeros((64, 100), bool)
    for centre in CENTRES:
        truth[disk(centre, 9)] = True
    found = label[0] > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.7


def test_damage_is_told(pictures: Path) -> None:
    (pictures / "im01.mat").write_bytes((pictures / "im01.mat").read_bytes()[:150])
    (problem, *_) = [problem for problem in check_cases(open_dataset(pictures), need_labels=True)[1] if problem.severity == "error"]
    assert problem.what in {"The file of dots cannot be read.", "The file holds no dots."}
