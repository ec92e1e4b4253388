from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from crgan.cases.labels import IGNORED, LabelScheme
from crgan.config import Config
from crgan.errors import CrganError
from crgan.model import Model
from crgan.progress import Silent
from crgan.training.patients import Patients

MakeConfig = Callable[..., Config]
EXCLUSIVE = {"classes": {1: "rim", 2: "core"}}


class Notes(Silent):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def test_patients_are_prepared_each_for_its_purpose(patients: Path, small_config: MakeConfig) -> None:
    found = Patients(patients, small_config(), None, Silent())
    assert len(found.train) == 3
    assert len(found.validation) == 1
    assert {case.case_id for case in (*found.train, *found.validation)} == {"p0", "p1", "p2", "p3"}
    assert found.labels.targets == ("whole", "core")
    assert found.pipeline.modalities == ("flair", "t1")
    assert found.fingerprint.cases == 3  # validation patients take no part in it


def test_preprocessing_is_fitted_to_the_training_patients_alone(write_patients, small_config: MakeConfig, tmp_path: Path) -> None:
    config = small_config()
    held = Patients(write_patients(tmp_path / "probe"), config, None, Silent()).validation[0].case_id
    data = write_patients(tmp_path / "data")
    for path in (data / held).iterdir():  # the validation patient's voxels become three times as large
        image = nib.load(path)
        nib.save(nib.Nifti1Image(np.asarray(image.dataobj), np.diag([3, 3, 3.3, 1])), path.with_suffix("").with_suffix(".nii"))
        path.unlink()
    found = Patients(data, config, None, Silent())
    assert found.validation[0].case_id == held
    assert found.pipeline.spacing_mm == pytest.approx((1, 1, 1))


def test_test_patients_are_not_read(write_patients, small_config: MakeConfig, tmp_path: Path) -> None:
    data = write_patients(tmp_path / "data")
    for path in (data / "p3").iterdir():
        path.write_bytes(b"not to be opened")
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"test": ["p3"]}), encoding="utf-8")
    found = Patients(data, small_config(**{"data.split": split}), None, Silent())
    assert {case.case_id for case in (*found.train, *found.validation)} == {"p0", "p1", "p2"}
    assert found.describe()["patients"]["test"] == ["p3"]


def test_all_that_is_wrong_is_told_at_once(write_patients, small_config: MakeConfig, tmp_path: Path) -> None:
    data = write_patients(tmp_path / "data")
    (data / "p0" / "p0_flair.nii.gz").write_bytes(b"")
    (data / "p2" / "p2_t1.nii.gz").unlink()
    with pytest.raises(CrganError) as caught:
        Patients(data, small_config(), None, Silent())
    told = str(caught.value)
    assert "p0_flair.nii.gz" in told
    assert "p2_t1.nii.gz" in told
    assert all(problem.severity == "error" for problem in caught.value.problems)


def test_what_is_odd_is_told_and_the_work_goes_on(write_patients, small_config: MakeConfig, tmp_path: Path) -> None:
    notes = Notes()
    Patients(write_patients(tmp_path / "data", classes=(1,)), small_config(), None, notes)
    assert any("No label holds the class core" in text for text in notes.texts)


def test_labels_of_nothing_but_background_are_nothing_to_learn_from(write_patients, small_config: MakeConfig, tmp_path: Path) -> None:
    data = write_patients(tmp_path / "data", scheme=None)
    for path in data.glob("*/*_seg.nii.gz"):
        image = nib.load(path)
        nib.save(nib.Nifti1Image(np.zeros(image.shape, np.uint8), image.affine), path)
    with pytest.raises(CrganError, match="no labels to learn from"):
        Patients(data, small_config(), None, Silent())


def test_only_so_many_cases_are_validated_on(write_patients, small_config: MakeConfig, tmp_path: Path) -> None:
    data = write_patients(tmp_path / "data", count=6)
    two_patients_of_three_cases = "p(?=[012])|(?<=p[345])."
    found = Patients(data, small_config(**{"data.group": two_patients_of_three_cases, "data.validation_cases": 2}), None, Silent())
    assert (len(found.train), len(found.validation)) == (3, 2)


def test_the_description_reads_back_as_it_is_and_tells_any_change(write_patients, small_config: MakeConfig, tmp_path: Path) -> None:
    data = write_patients(tmp_path / "data")

    def describe(*overrides: str) -> object:
        return Patients(data, small_config(*overrides), None, Silent()).describe()

    first = describe()
    assert json.loads(json.dumps(first)) == first == describe()
    assert describe("preprocessing.normalisation=pooled") != first
    path = data / "p1" / "p1_flair.nii.gz"
    image = nib.load(path)
    voxels = np.asarray(image.dataobj).copy()
    voxels[9, 9, 5] += 1
    nib.save(nib.Nifti1Image(voxels, image.affine), path)
    assert describe() != first


def test_shares_of_the_targets(patients: Path, small_config: MakeConfig) -> None:
    found = Patients(patients, small_config(), None, Silent())
    labels = [np.asarray(case.label) for case in found.train]
    voxels = sum(label.size for label in labels)
    expected = [sum((label >= code).sum() for label in labels) / voxels for code in (1, 2)]
    assert found.target_shares() == pytest.approx(expected)


def test_a_model_to_start_from_gives_preprocessing_and_names(patients: Path, trained: Path, write_patients, small_config, tmp_path) -> None:
    start = Model.load(trained)
    plain = write_patients(tmp_path / "data", scheme=None, spacing_mm=(2.0, 2.0, 2.0))
    found = Patients(plain, small_config(), start, Silent())
    assert found.pipeline == start.pipeline
    assert found.labels == start.labels
    other = write_patients(tmp_path / "other", scheme={"classes": {1: "anterior", 2: "posterior"}})
    assert Patients(other, small_config(), None, Silent()).labels == LabelScheme(classes={1: "anterior", 2: "posterior"})
    with pytest.raises(CrganError, match="other modalities or targets"):
        Patients(other, small_config(), start, Silent())


def test_sizes_must_have_been_derived(patients: Path, small_config: MakeConfig) -> None:
    config = small_config()
    with pytest.raises(ValueError, match="derived"):
        Patients(patients, config, None, Silent()).sampler(config, config.generator, (), 0)


@pytest.mark.parametrize("declared", [True, False])
def test_voxels_to_ignore_enter_no_statistics(write_patients, small_config: MakeConfig, tmp_path: Path, declared: bool) -> None:
    data = write_patients(tmp_path / "data", spacing_mm=(1.0, 1.0, 1.0), scheme={**EXCLUSIVE, "ignore": 9} if declared else None)
    for path in data.glob("*/*_seg.nii.gz"):
        image = nib.load(path)
        labels = np.asarray(image.dataobj).copy()
        labels[..., 5:] = 9
        nib.save(nib.Nifti1Image(labels, image.affine), path)
    found = Patients(data, small_config(*([] if declared else ["data.ignore=9"])), None, Silent())
    assert (found.labels.ignore, tuple(found.labels.classes)) == (9, (1, 2))
    lower = [np.asarray(case.label)[:5] for case in found.train]
    assert all((np.asarray(case.label)[5:] == IGNORED).all() for case in found.train)
    expected = [np.concatenate(lower, axis=None).tolist().count(code) / sum(label.size for label in lower) for code in (1, 2)]
    assert found.target_shares() == pytest.approx(expected)
