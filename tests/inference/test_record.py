from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from crgan.conformal import Guarantee, Promise
from crgan.errors import CrganError
from crgan.files import write_json
from crgan.inference.predict import predict
from crgan.model import add_promise, model_digest


@pytest.fixture
def images(patients: Path, tmp_path: Path) -> Path:
    for name in ("p0", "p2"):
        shutil.copytree(patients / name, tmp_path / "images" / name, ignore=shutil.ignore_patterns("*seg*"))
    return tmp_path / "images"


@pytest.fixture(scope="module")
def whole(trained: Path, patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    predict(trained, patients, out, cases=["p0", "p2"], threads=1)
    return out


def states(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("p*.nii.gz")}


def test_what_is_complete_is_kept_and_what_is_missing_is_made(whole: Path, trained: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(trained, images, out, cases=["p0"], threads=1)
    first = states(out)
    masks = predict(trained, images, out, resume=True, threads=1)
    assert masks == [out / "p0.nii.gz", out / "p2.nii.gz"]
    assert states(out)["p0.nii.gz"] == first["p0.nii.gz"]
    assert all((out / name).read_bytes() == (whole / name).read_bytes() for name in ("p0.nii.gz", "p2.nii.gz"))


def test_there_may_be_nothing_to_go_on_with(whole: Path, trained: Path, images: Path, tmp_path: Path) -> None:
    predict(trained, images, tmp_path / "out", resume=True, threads=1)
    assert (tmp_path / "out" / "p2.nii.gz").read_bytes() == (whole / "p2.nii.gz").read_bytes()


def test_a_mask_older_than_its_image_is_made_again(whole: Path, trained: Path, images: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "out")
    before = states(out)
    later = before["p2.nii.gz"] + 10**9
    os.utime(images / "p2" / "p2_t1.nii.gz", ns=(later, later))
    predict(trained, images, out, resume=True, threads=1)
    after = states(out)
    assert after["p0.nii.gz"] == before["p0.nii.gz"]
    assert after["p2.nii.gz"] > before["p2.nii.gz"]


def test_masks_of_an_earlier_prediction_do_not_count(trained: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(trained, images, out, threads=1)
    before = states(out)
    predict(trained, images, out, cases=["p0"], fn_threshold=0.2, overwrite=True, threads=1)  # as if stopped before p2
    predict(trained, images, out, fn_threshold=0.2, resume=True, threads=1)
    assert states(out)["p2.nii.gz"] > before["p2.nii.gz"]


def test_other_settings_and_other_models_are_refused(whole: Path, trained: Path, images: Path, tmp_path: Path) -> None:
    out = shutil.copytree(whole, tmp_path / "out")
    with pytest.raises(CrganError, match=r"other settings[\s\S]*expected: +dial: .*.whole.: ..p.: 0.2.*\n +got: +dial: "):
        predict(trained, images, out, fn_threshold=0.2, resume=True, threads=1)
    other = shutil.copytree(trained / "model", tmp_path / "model")
    description = other / "model.json"
    description.write_text(description.read_text(encoding="utf-8").replace('"p": ', '"p": 0'), encoding="utf-8")
    write_json(out / ".prediction.json", [])
    with pytest.raises(CrganError, match="another model"):
        predict(trained, images, out, resume=True, threads=1)


def test_a_folder_of_something_else_is_refused(trained: Path, images: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "p0.nii.gz").touch()
    with pytest.raises(CrganError, match="does not tell what its masks"):
        predict(trained, images, tmp_path / "out", resume=True, threads=1)
    with pytest.raises(CrganError, match="Both --resume and --overwrite"):
        predict(trained, images, tmp_path / "out", resume=True, overwrite=True)


def test_a_model_is_told_by_all_but_its_promises(trained: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(trained / "model", tmp_path / "model")
    digest = model_digest(trained)
    assert model_digest(copy) == digest
    guarantee = Guarantee(sensitivity=0.5, patients=20, missed=0.1, marked=0.1)
    add_promise(copy, Promise(max_fnr=0.1, per="voxel", targets={"whole": guarantee, "core": guarantee}))
    assert model_digest(copy) == digest
    text = (copy / "model.json").read_text(encoding="utf-8")
    (copy / "model.json").write_text(text.replace('"dial": {', '"dial": {"added": 1,'), encoding="utf-8")
    assert model_digest(copy) != digest
