from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crgan.cases.case import Case, Dataset
from crgan.cases.labels import LabelScheme
from crgan.cases.reading import COLOURS, read_case, read_image, reference_geometry
from crgan.errors import CrganError

MakeFile = Callable[..., Path]

SCHEME = LabelScheme(classes={1: "a", 7: "b"})
FLIPPED = np.diag([-1.0, 1.0, 1.0, 1.0])


def dataset(case: Case, modalities: tuple[str, ...], labels: LabelScheme | None = SCHEME) -> Dataset:
    return Dataset(root=Path(), layout="test", cases=(case,), modalities=modalities, labels=labels)


def ramp(start: int, shape: tuple[int, ...] = (4, 5, 6)) -> np.ndarray:
    return (start + np.arange(np.prod(shape))).reshape(shape).astype(np.int16)


def test_modalities_become_channels_in_working_axes(nifti: MakeFile, label: MakeFile) -> None:
    paths = (nifti("t1.nii.gz", ramp(0), affine=FLIPPED), nifti("t2.nii.gz", ramp(1000), affine=FLIPPED))
    case = Case(case_id="p", patient_id="p", images=paths, label=label("seg.nii.gz", 1, 7, 9, affine=FLIPPED))
    read = read_case(case, dataset(case, ("T1", "T2")))
    assert read.image.shape == (2, 6, 5, 4)
    assert read.image.dtype == np.float32
    assert np.array_equal(read.image[1], ramp(1000)[::-1].transpose(2, 1, 0))
    assert read.label is not None
    # Values 1, 7, 9 stand at k = 0, 1, 2 of the file's first row; 7 is code 2, and 9 is not declared.
    assert read.label[:, 0, -1].tolist() == [1, 2, 0, 0, 0, 0]
    assert read.spacing_mm == (1.0, 1.0, 1.0)
    assert read.geometry.orientation == "LAS"


def test_channels_of_one_file_and_files_of_several_channels(nifti: MakeFile) -> None:
    four_d = nifti("a.nii.gz", np.moveaxis(np.stack([ramp(0), ramp(500)]), 0, -1))
    case = Case(case_id="p", patient_id="p", images=(four_d, nifti("b.nii.gz", ramp(9))))
    image = read_image(case, ("a", "b", "c")).array
    assert [int(channel.min()) for channel in image] == [0, 500, 9]
    assert image.dtype == np.int16  # as in the files: half of the memory of float32


def test_without_a_label_or_a_scheme_there_are_no_codes(nifti: MakeFile, label: MakeFile) -> None:
    case = Case(case_id="p", patient_id="p", images=(nifti("a.nii.gz"),))
    assert read_case(case, dataset(case, ("T1",))).label is None
    case = Case(case_id="p", patient_id="p", images=(nifti("a.nii.gz"),), label=label("seg.nii.gz", 1))
    assert read_case(case, dataset(case, ("T1",), labels=None)).label is None


def test_a_grey_picture_among_colours_stands_in_all_three(tmp_path: Path) -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    case = Case(case_id="a", patient_id="a", images=(tmp_path / "a.png",))
    read = read_case(case, dataset(case, COLOURS, labels=None))
    assert np.array_equal(read.image, np.broadcast_to(pixels, (3, 1, 2, 3)))


def test_another_number_of_channels_is_refused(nifti: MakeFile) -> None:
    case = Case(case_id="p", patient_id="p", images=(nifti("a.nii.gz"),))
    with pytest.raises(CrganError, match=r"Case p has another number[\s\S]*2 \(T1, T2\)[\s\S]*got:\s+1\n"):
        read_image(case, ("T1", "T2"))


def test_modalities_on_different_grids_come_on_that_of_the_label_else_of_the_first(nifti: MakeFile, label: MakeFile) -> None:
    coarse = np.array([[2.0, 0, 0, 0.5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    columns = np.broadcast_to(np.arange(4.0).reshape(4, 1, 1), (4, 5, 6)).astype(np.float32)
    paths = (nifti("t1.nii.gz", columns), nifti("t2.nii.gz", columns[:2] * 10, affine=coarse))
    case = Case(case_id="p", patient_id="p", images=paths)
    read = read_case(case, dataset(case, ("T1", "T2"), labels=None))
    assert read.image[:, 0, 0].tolist() == [[0, 1, 2, 3], [0, 2.5, 7.5, 10]]
    drawn = replace(case, label=label("seg.nii.gz", 1, affine=coarse, shape=(2, 5, 6)))
    read = read_case(drawn, dataset(drawn, ("T1", "T2")))
    assert read.image.shape == (2, 6, 5, 2)
    assert read.spacing_mm == (1, 1, 2)
    assert read.geometry.shape == (2, 5, 6)
    assert reference_geometry(drawn).shape == (2, 5, 6)
    assert reference_geometry(replace(drawn, reference=0)).shape == (4, 5, 6)


def test_modalities_of_different_places_are_refused_all_at_once(nifti: MakeFile) -> None:
    far = np.eye(4) + np.eye(4, k=3) * 30
    paths = (nifti("t1.nii.gz"), nifti("t2.nii.gz", affine=FLIPPED), nifti("t3.nii.gz", ramp(0, (4, 5, 7)), affine=far))
    with pytest.raises(CrganError) as caught:
        read_image(Case(case_id="p", patient_id="p", images=paths), ("T1", "T2", "T3"))
    assert [(problem.what, problem.where) for problem in caught.value.problems] == [
        ("Two modalities of case p differ in orientation.", paths[1]),
        ("Two modalities of case p differ in shape.", paths[2]),
    ]


def test_a_label_on_another_grid_is_refused(nifti: MakeFile, label: MakeFile) -> None:
    case = Case(case_id="p", patient_id="p", images=(nifti("a.nii.gz"),), label=label("seg.nii.gz", 1, affine=np.diag([1.0, 1, 2, 1])))
    with pytest.raises(CrganError, match=r"differ in spacing[\s\S]*1 x 1 x 1 mm, as in a\.nii\.gz[\s\S]*1 x 1 x 2 mm"):
        read_case(case, dataset(case, ("T1",)))
