from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crgan.cases.case import Case, Dataset
from crgan.cases.formats.pictures import picture_geometry
from crgan.cases.inspection import inspect_case
from crgan.cases.label_formats import label_parts, read_label
from crgan.cases.labels import LabelScheme
from crgan.cases.reading import read_case
from crgan.errors import CrganError
from crgan.preprocessing.contents import content_key

GRID = picture_geometry(3, 4)


def write_masks(folder: Path, *masks: list[list[int]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, mask in enumerate(masks):
        Image.fromarray(np.array(mask, np.uint8)).save(folder / f"{number}.png")
    return folder


FIRST = [[255, 255, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
SECOND = [[0, 255, 255, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
THIRD = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]


def test_each_mask_becomes_an_id_and_the_first_keeps_what_two_claim(tmp_path: Path) -> None:
    folder = write_masks(tmp_path / "masks", FIRST, SECOND, THIRD)
    read = read_label(folder, "objects", image=GRID)
    assert read.array[0, ..., 0].tolist() == [[1, 1, 2, 0], [0, 0, 0, 0], [0, 0, 0, 3]]
    assert read.geometry.matches(GRID)


def test_without_masks_and_with_masks_of_several_shapes_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="no such folder of masks"):
        read_label(tmp_path / "masks", "objects", image=GRID)
    (tmp_path / "masks").mkdir()
    with pytest.raises(CrganError, match="folder of masks is empty"):
        read_label(tmp_path / "masks", "objects", image=GRID)
    write_masks(tmp_path / "masks", FIRST, [[1, 2]])
    with pytest.raises(CrganError, match=r"differ in shape[\s\S]*\(3, 4\), as 0\.png[\s\S]*\(1, 2\)"):
        read_label(tmp_path / "masks", "objects", image=GRID)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4)).save(tmp_path / "a.png")
    folder = write_masks(tmp_path / "masks", FIRST, THIRD)
    return Case(case_id="a", patient_id="a", images=(tmp_path / "a.png",), label=folder, label_format="objects")


def test_a_case_is_read_with_its_objects(case: Case) -> None:
    scheme = LabelScheme(classes={1: "first", 2: "last"})
    dataset = Dataset(root=case.images[0].parent, layout="test", cases=(case,), modalities=("image",), labels=scheme)
    label = read_case(case, dataset).label
    assert label is not None
    assert label[0].tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 2]]


def test_the_check_counts_objects_and_bytes_and_notices_another_shape(case: Case) -> None:
    inspection = inspect_case(case, ("image",), None)
    summary = inspection.summary
    assert inspection.problems == ()
    assert summary is not None
    assert summary.label_voxels == {0: 9, 1: 2, 2: 1}
    assert case.label is not None
    files = [*case.images, *label_parts(case.label, "objects")]
    assert summary.bytes_on_disk == sum(path.stat().st_size for path in files)
    Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5)).save(case.images[0])
    assert [problem.what for problem in inspect_case(case, ("image",), None).problems] == ["Image and label of case a differ in shape."]


def test_a_changed_mask_is_prepared_anew(case: Case) -> None:
    before = content_key(case, {})
    assert case.label is not None
    write_masks(case.label, FIRST, SECOND)
    assert content_key(case, {}) != before


def test_an_unreadable_image_is_the_only_problem(case: Case) -> None:
    case.images[0].write_bytes(b"no picture")
    inspection = inspect_case(case, ("image",), None)
    assert inspection.summary is None
    assert [problem.what for problem in inspection.problems] == ["The image file cannot be read."]
