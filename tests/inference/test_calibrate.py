from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from crgan.errors import CrganError
from crgan.files import read_json
from crgan.inference.calibrate import calibrate
from crgan.inference.predict import predict
from crgan.model import Model


@pytest.fixture(scope="module")
def new_patients(write_patients: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_patients(tmp_path_factory.mktemp("new"), count=6)
    for path in sorted(folder.glob("p*")):
        for file in path.iterdir():
            file.rename(path / file.name.replace("p", "new", 1))
        path.rename(folder / path.name.replace("p", "new", 1))
    return folder


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    import shutil

    return shutil.copytree(trained, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))


def test_the_promise_is_stored_and_kept(run: Path, new_patients: Path, tmp_path: Path) -> None:
    promise = calibrate(run, new_patients, max_fnr=0.2, threads=1)
    assert Model.load(run).promises == (promise,)
    assert read_json(run / "calibration.json")["patients"] == [f"new{number}" for number in range(6)]
    predict(run, new_patients, tmp_path / "masks", max_fnr=0.2, threads=1)
    targets = Model.load(run).labels.targets
    for target, label in zip(targets, ((1, 2), (2,)), strict=True):
        missed = []
        for number in range(6):
            truth = np.isin(np.asarray(nib.load(new_patients / f"new{number}" / f"new{number}_seg.nii.gz").dataobj), label)
            image = nib.load(tmp_path / "masks" / "maps" / f"new{number}_{target.replace(' ', '-')}_promise.nii.gz")
            found = np.asarray(image.dataobj) > 0
            if truth.any():
                missed.append((truth & ~found).sum() / truth.sum())
        assert np.mean(missed) == pytest.approx(promise.targets[target].missed, abs=1e-6)
        assert (len(missed) * np.mean(missed) + 1) / (len(missed) + 1) <= 0.2


def test_another_limit_stands_beside_and_the_same_takes_the_place(run: Path, new_patients: Path) -> None:
    calibrate(run, new_patients, max_fnr=0.2, threads=1)
    lesions = calibrate(run, new_patients, max_fnr=0.2, per="lesion", threads=1)
    again = calibrate(run, new_patients, max_fnr=0.2, threads=1)
    assert Model.load(run).promises == (lesions, again)


def test_patients_of_the_training_promise_nothing(run: Path, patients: Path) -> None:
    before = (run / "model" / "model.json").read_bytes()
    with pytest.raises(CrganError, match="learned from patients"):
        calibrate(run, patients, max_fnr=0.3)
    assert (run / "model" / "model.json").read_bytes() == before


def test_too_few_patients_leave_the_model_as_it_was(run: Path, new_patients: Path) -> None:
    before = (run / "model" / "model.json").read_bytes()
    with pytest.raises(CrganError, match="at least 4 patients"):
        calibrate(run, new_patients, max_fnr=0.2, cases=["new0", "new1"], threads=1)
    assert (run / "model" / "model.json").read_bytes() == before


@pytest.mark.parametrize("limit", [0.0, 1.0, -0.1, 1.5])
def test_a_limit_is_a_share(run: Path, new_patients: Path, limit: float) -> None:
    with pytest.raises(CrganError, match="above 0 and below 1"):
        calibrate(run, new_patients, max_fnr=limit)


def test_only_a_promise_that_was_made_can_be_asked_for(run: Path, new_patients: Path, tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="no such promise"):
        predict(run, new_patients, tmp_path / "masks", max_fnr=0.2)
    assert not (tmp_path / "masks").exists()
    for other in ({"generator_only": True}, {"tta": 2}, {"precision": "bf16-mixed"}):
        with pytest.raises(CrganError, match=r"whole system[\s\S]*--max-fnr"):
            predict(run, new_patients, tmp_path / "masks", max_fnr=0.2, **other)
