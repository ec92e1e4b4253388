from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crgan.config import Config, read_config
from crgan.ensemble import Ensemble, load_model
from crgan.errors import CrganError
from crgan.files import read_json
from crgan.inference.calibrate import calibrate
from crgan.model import Model
from crgan.training import ensemble as module
from crgan.training.ensemble import train_ensemble

MakeConfig = Callable[..., Config]


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def run(patients: Path, small_config: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = small_config(steps=9, seed=3, **{"data.validation": 0.5})
    return train_ensemble(patients, tmp_path_factory.mktemp("ensembles") / "run", config=config, members=2)


def test_members_share_the_steps_and_the_preprocessing_and_differ_in_their_seed(run: Path) -> None:
    configs = [read_config(run / "members" / str(number) / "config.yaml") for number in range(2)]
    assert [(config.seed, config.steps) for config in configs] == [(3, 4), (4, 4)]
    models = [Model.load(run / "members" / str(number), device="cpu") for number in range(2)]
    assert models[0].pipeline.to_json() == models[1].pipeline.to_json()
    weights = [model.generator.state_dict() for model in models]
    assert any((weights[0][key] != weights[1][key]).any() for key in weights[0])


def test_the_folder_explains_itself(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == {"members", "ensemble.json", "data.json", "report.html"}
    assert "Ensemble of 2" in (run / "report.html").read_text(encoding="utf-8")
    parts = [read_json(run / "members" / str(number) / "data.json")["patients"] for number in range(2)]
    known = read_json(run / "data.json")["patients"]
    assert known["train"] == sorted({*parts[0]["train"], *parts[0]["validation"], *parts[1]["train"], *parts[1]["validation"]})


def test_the_dial_rests_on_the_validation_patients_of_all_members(run: Path) -> None:
    ensemble = load_model(run, device="cpu")
    assert isinstance(ensemble, Ensemble)
    validated = {
        patient for number in range(2) for patient in read_json(run / "members" / str(number) / "data.json")["patients"]["validation"]
    }
    assert ensemble.dial.curves["whole"].patients == len(validated)
    assert ensemble.temperatures.refiner["whole"].patients == len(validated)


def test_patients_of_any_member_cannot_calibrate_it(run: Path, patients: Path) -> None:
    with pytest.raises(CrganError, match="learned from patients"):
        calibrate(run, patients, max_fnr=0.5, threads=1)


def test_it_goes_on_where_it_stopped(
    run: Path, patients: Path, small_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_config(steps=9, seed=3, **{"data.validation": 0.5})
    real, trained = module.train, []

    def stop(data: Path, out: Path, **how: object) -> Path:
        trained.append(out.name)
        if len(trained) == 2:
            raise KeyboardInterrupt
        return real(data, out, **how)

    monkeypatch.setattr(module, "train", stop)
    with pytest.raises(KeyboardInterrupt):
        train_ensemble(patients, tmp_path / "run", config=config, members=2)
    with pytest.raises(CrganError, match=r"another number of members[\s\S]*--ensemble 2"):
        train_ensemble(patients, tmp_path / "run", config=config, members=3, resume=True)
    train_ensemble(patients, tmp_path / "run", config=config, members=2, resume=True)
    assert trained == ["0", "1", "1"]  # what was finished is not trained again
    left, whole = content(tmp_path / "run"), content(run)
    for name in ("ensemble.json", "members/0/model/generator.safetensors", "members/1/model/refiner.safetensors"):
        assert left[name] == whole[name]


def test_earlier_work_is_not_lost_by_mistake(run: Path, patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    before = content(run)
    with pytest.raises(CrganError, match="already holds an ensemble"):
        train_ensemble(patients, run, config=small_config(), members=2)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CrganError):
        train_ensemble(tmp_path / "empty", run, config=small_config(), members=2, overwrite=True)
    assert content(run) == before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("…")
    for how in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(CrganError):
            train_ensemble(patients, tmp_path / "mine", config=small_config(), members=2, **how)
    assert content(tmp_path / "mine") == {"thesis.txt": "…".encode()}


@pytest.mark.parametrize(
    ("changes", "members", "what"), [({}, 1, "2 or more"), ({"devices": 2}, 2, "2 processes"), ({"steps": None}, 2, "how long")]
)
def test_what_cannot_be_is_refused(
    patients: Path, small_config: MakeConfig, tmp_path: Path, changes: dict[str, object], members: int, what: str
) -> None:
    with pytest.raises(CrganError, match=what):
        train_ensemble(patients, tmp_path / "run", config=small_config(**changes), members=members)
    assert not (tmp_path / "run").exists()


def test_an_ensemble_may_take_the_place_of_another(patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    config = small_config(system="unet", steps=2)
    for members in (2, 3):
        train_ensemble(patients, tmp_path / "run", config=config, members=members, overwrite=True)
    assert len(load_model(tmp_path / "run", device="cpu").members) == 3
    assert load_model(tmp_path / "run", device="cpu").refiner is None
