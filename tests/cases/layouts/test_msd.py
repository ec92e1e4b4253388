from __future__ import annotations

import json
from pathlib import Path

import pytest

from crgan.cases.labels import LabelScheme
from crgan.cases.layouts.msd import Msd, scheme_beside
from crgan.errors import CrganError

LAYOUT = Msd()
TASK = {
    "modality": {"0": "FLAIR"},
    "labels": {"0": "background", "1": "oedema", "2": "core"},
    "training": [
        {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"},
        {"image": "./imagesTr/b.nii.gz", "label": "./labelsTr/b.nii.gz"},
    ],
}
FILES = ["imagesTr/a.nii.gz", "imagesTr/b.nii.gz", "labelsTr/a.nii.gz", "labelsTr/b.nii.gz", "imagesTs/c.nii.gz", "labelsTs/c.nii.gz"]


def describe(root: Path, **changes: object) -> Path:
    (root / "dataset.json").write_text(json.dumps({**TASK, **changes}))
    return root


def test_the_training_cases_and_the_names_of_the_task_are_found(folder) -> None:
    root = describe(folder(*FILES, "imagesTr/._a.nii.gz"))
    assert LAYOUT.detect(root)
    found = LAYOUT.cases(root)
    assert [(case.case_id, case.patient_id) for case in found.cases] == [("a", "a"), ("b", "b")]
    assert found.cases[1].images == (root / "imagesTr/b.nii.gz",)
    assert found.cases[1].label == root / "labelsTr/b.nii.gz"
    assert found.modalities == ("FLAIR",)
    assert found.labels == LabelScheme(classes={1: "oedema", 2: "core"})


def test_without_a_list_the_folders_count(folder) -> None:
    root = describe(folder(*FILES, "imagesTr/d.nii.gz"), training=[])
    found = LAYOUT.cases(root)
    assert [(case.case_id, case.label is not None) for case in found.cases] == [("a", True), ("b", True), ("d", False)]


def test_listed_files_that_are_missing_are_named_all_the_same(folder) -> None:
    root = describe(folder("imagesTr/a.nii.gz", "labelsTr/b.nii.gz"))
    found = LAYOUT.cases(root)
    assert not found.cases[1].images[0].exists()
    assert found.cases[0].label is not None
    assert not found.cases[0].label.exists()


@pytest.mark.parametrize(("part", "ids"), [("imagesTs", ["c"]), ("imagesTr", ["a", "b"])])
def test_an_image_folder_alone_gives_images_without_labels(folder, part: str, ids: list[str]) -> None:
    root = describe(folder(*FILES)) / part
    assert LAYOUT.detect(root)
    found = LAYOUT.cases(root)
    assert [case.case_id for case in found.cases] == ids
    assert all(case.label is None for case in found.cases)
    assert (found.modalities, found.labels) == (("FLAIR",), None)


def test_the_folder_may_be_given_from_within(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(describe(folder(*FILES)) / "imagesTs")
    assert LAYOUT.detect(Path())
    assert [case.case_id for case in LAYOUT.cases(Path()).cases] == ["c"]


def test_modalities_are_sorted_by_number_and_must_fit_the_files(folder) -> None:
    import nibabel as nib
    import numpy as np

    root = describe(folder(*FILES), modality={str(n): name for n, name in [(10, "k"), (0, "a"), (1, "b")]})
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 3), np.uint8), np.eye(4)), root / "imagesTr/a.nii.gz")
    assert LAYOUT.cases(root).modalities == ("a", "b", "k")
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 2), np.uint8), np.eye(4)), root / "imagesTr/a.nii.gz")
    assert LAYOUT.cases(root).modalities == ("channel 1", "channel 2")


@pytest.mark.parametrize(
    "changes", [{"labels": ["a"]}, {"labels": {"background": 0}}, {"training": ["imagesTr/a"]}, {"modality": {"x": "y"}}]
)
def test_another_programs_description_is_refused(folder, changes: dict[str, object]) -> None:
    root = describe(folder(*FILES), **changes)
    with pytest.raises(CrganError, match=r"not that of a Decathlon task[\s\S]*dataset\.json"):
        LAYOUT.cases(root)


def test_a_damaged_description_is_told(folder) -> None:
    root = folder(*FILES)
    (root / "dataset.json").write_text("{")
    assert LAYOUT.detect(root)
    with pytest.raises(CrganError, match="not valid JSON"):
        LAYOUT.cases(root)


def test_other_folders_are_not_taken(folder) -> None:
    root = folder(*FILES)
    assert not LAYOUT.detect(root)
    (root / "dataset.json").write_text('{"channel_names": {"0": "FLAIR"}}')  # nnU-Net's
    assert not LAYOUT.detect(root)
    assert not LAYOUT.detect(root / "imagesTr/a.nii.gz")


def test_the_scheme_is_known_in_the_label_folders(folder) -> None:
    root = describe(folder(*FILES))
    assert scheme_beside(root / "labelsTs") == LabelScheme(classes={1: "oedema", 2: "core"})
    assert scheme_beside(root) is None
    (root / "dataset.json").write_text("[]")
    assert scheme_beside(root / "labelsTs") is None
