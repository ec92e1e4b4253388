from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from crgan.config import Config, read_config
from crgan.dial import Dial
from crgan.errors import CrganError
from crgan.files import read_json
from crgan.model import Model
from crgan.training import choosing
from crgan.training.adversarial import AdversarialStage
from crgan.training.run import train

MakeConfig = Callable[..., Config]


def model_files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "model").iterdir()}


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def journal(run: Path) -> list[tuple[str, int]]:
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return [(row["stage"], int(row["step"])) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def run(patients: Path, small_config: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(patients, tmp_path_factory.mktemp("runs") / "run", config=small_config(steps=10))


def test_a_run_folder_explains_itself(run: Path, patients: Path) -> None:
    assert {path.name for path in run.iterdir()} == {"config.yaml", "data.json", "metrics.csv", "report.html", "checkpoints", "model"}
    config = read_config(run / "config.yaml")
    assert config.planes == ("axial", "coronal", "sagittal")
    for network in (config.generator, config.refiner):
        assert None not in network.model_dump().values()
    described = read_json(run / "data.json")["patients"]
    assert sorted([*described["train"], *described["validation"]]) == ["p0", "p1", "p2", "p3"]
    assert described["test"] == []
    assert not [path for path in run.rglob("*") if path.name.startswith(".") or path.name.endswith(".part")]


def test_the_steps_are_shared_by_the_stages(run: Path) -> None:
    assert journal(run) == [("adversarial", 2), ("adversarial", 4), ("refinement", 3), ("refinement", 6)]


def test_without_a_refiner_all_steps_are_the_generators(patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    train(patients, tmp_path / "run", config=small_config(steps=6, system="cgan"))
    assert journal(tmp_path / "run") == [("adversarial", 3), ("adversarial", 6)]


def test_the_model_is_made_of_the_best_weights(run: Path) -> None:
    for stage, network in (("adversarial", "generator"), ("refinement", "refiner")):
        best = load_file(run / "checkpoints" / stage / "best.safetensors")
        kept = load_file(run / "model" / f"{network}.safetensors")
        assert all(torch.equal(value, best[f"module/{network}/{key}"]) for key, value in kept.items())


def test_the_refiner_can_see_what_the_discriminator_thinks(patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    switches = ("refinement.discriminator_map=true", "refinement.on_doubts=false")
    run = train(patients, tmp_path / "run", config=small_config(*switches, steps=20))
    model = Model.load(run)
    assert model.refiner is not None
    assert model.refiner.channels == 2 + 2 + 1  # modalities, regions, the map
    image = np.random.default_rng(0).normal(size=(2, 8, 24, 24)).astype(np.float32)
    corrected = model.estimate(image).corrected
    assert model.discriminator is not None
    torch.nn.init.constant_(model.discriminator.head.bias, 5.0)
    convinced = model.estimate(image).corrected
    assert corrected is not None
    assert convinced is not None
    assert not np.array_equal(corrected, convinced)


def test_the_same_seed_gives_the_same_files_bit_for_bit(run: Path, patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    again = train(patients, tmp_path / "again", config=small_config(steps=10))
    assert model_files(again) == model_files(run)
    other = train(patients, tmp_path / "other", config=small_config(steps=10, seed=1))
    assert model_files(other)["generator.safetensors"] != model_files(run)["generator.safetensors"]


def test_the_cache_changes_nothing(run: Path, patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    fresh = train(patients, tmp_path / "run", config=small_config(steps=10, **{"data.cache": tmp_path / "cache"}))
    assert model_files(fresh) == model_files(run)


def test_a_finished_run_that_is_gone_on_with_stays_as_it_is(run: Path, patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    shutil.rmtree(copy / "model")
    train(patients, copy, config=small_config(), resume=True)
    assert model_files(copy) == model_files(run)
    assert (copy / "metrics.csv").read_bytes() == (run / "metrics.csv").read_bytes()


def test_a_run_keeps_the_settings_it_began_with(run: Path, patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    train(patients, copy, config=small_config("generator.widths=[2,2,2]", steps=None, system="unet", seed=5), resume=True)
    assert model_files(copy) == model_files(run)
    assert (copy / "config.yaml").read_bytes() == (run / "config.yaml").read_bytes()


@pytest.mark.parametrize("change", ["voxel", "patient", "label", "scheme"])
def test_other_data_are_not_gone_on_with(run: Path, patients: Path, small_config: MakeConfig, tmp_path: Path, change: str) -> None:
    data, copy = shutil.copytree(patients, tmp_path / "data"), shutil.copytree(run, tmp_path / "run")
    train(data, copy, config=small_config(), resume=True)  # in another place, but the same
    if change == "patient":
        shutil.rmtree(data / "p2")
    elif change == "scheme":
        (data / "labels.json").write_text('{"classes": {"1": "rim", "2": "core"}}', encoding="utf-8")
    else:
        path = data / "p1" / f"p1_{'seg' if change == 'label' else 'flair'}.nii.gz"
        image = nib.load(path)
        voxels = np.asarray(image.dataobj).copy()
        voxels[9, 9, 5] = 1
        nib.save(nib.Nifti1Image(voxels, image.affine), path)
    before = content(copy)
    with pytest.raises(CrganError, match="not those that the run began with"):
        train(data, copy, config=small_config(), resume=True)
    assert content(copy) == before


def test_it_must_be_said_how_long(patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="how long to train"):
        train(patients, tmp_path / "run", config=small_config(steps=None))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("device", ["cuda:7", "gpu", "tpu0", "mps"])
def test_a_device_that_is_not_there_is_told_before_any_work(patients: Path, small_config: MakeConfig, tmp_path: Path, device: str) -> None:
    if device == "mps" and torch.backends.mps.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(CrganError, match=f"--device {device}"):
        train(patients, tmp_path / "run", config=small_config(device=device))
    assert not (tmp_path / "run").exists()


def test_a_machine_that_cannot_compile_is_told_before_any_work(
    patients: Path, small_config: MakeConfig, tmp_path: Path, monkeypatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr(torch, "compile", fails)
    with pytest.raises(CrganError, match=r"cannot compile[\s\S]*compile=true"):
        train(patients, tmp_path / "run", config=small_config("compile=true"))
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_compiled_training_goes_on_where_it_was(
    run: Path, patients: Path, small_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder has the same files, and a resumed one the same weights to the bit."""
    config = small_config("compile=true", "planes=[axial]", steps=6)
    whole = train(patients, tmp_path / "whole", config=config)
    assert {*content(whole)} - {"metrics.csv"} == {*content(run)} - {"metrics.csv"}
    assert load_file(whole / "model" / "generator.safetensors").keys() == load_file(run / "model" / "generator.safetensors").keys()
    step = AdversarialStage.step

    def stop(self, number: int, total: int | None) -> dict[str, float]:
        if number == 1:
            raise KeyboardInterrupt
        return step(self, number, total)

    monkeypatch.setattr(AdversarialStage, "step", stop)
    with pytest.raises(KeyboardInterrupt):
        train(patients, tmp_path / "run", config=config)
    monkeypatch.undo()
    train(patients, tmp_path / "run", config=config, resume=True)
    assert model_files(tmp_path / "run") == model_files(whole)


@pytest.mark.parametrize("wrong", ["no data", "bad data", "no start", "bad split"])
def test_the_run_to_overwrite_outlives_a_mistake(run: Path, patients: Path, small_config: MakeConfig, tmp_path: Path, wrong: str) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    before = content(copy)
    data, settings, init = patients, {}, None
    if wrong == "no data":
        data = tmp_path / "misspelt"
    elif wrong == "bad data":
        data = shutil.copytree(patients, tmp_path / "data")
        (data / "p0" / "p0_flair.nii.gz").write_bytes(b"")
    elif wrong == "no start":
        init = tmp_path / "misspelt"
    else:
        settings = {"data.split": tmp_path / "misspelt.json"}
    with pytest.raises(CrganError):
        train(data, copy, config=small_config(**settings), overwrite=True, init=init)
    assert content(copy) == before


def test_an_overwritten_run_leaves_nothing_behind(run: Path, patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    (copy / "model" / "stray.txt").touch()
    config = small_config(steps=6, seed=9)
    train(patients, copy, config=small_config(steps=6), overwrite=True)
    train(patients, copy, config=config, overwrite=True)  # whose files have the names of those just mapped into memory
    clean = train(patients, tmp_path / "clean", config=config)
    assert {*content(copy)} == {*content(clean)}
    assert model_files(copy) == model_files(clean)


@pytest.mark.parametrize("system", ["cgan", "rnn-cgan"])
def test_a_shallow_generator_and_its_discriminator(patients: Path, small_config: MakeConfig, tmp_path: Path, system: str) -> None:
    """Crops that the generator halves once are none that the discriminator can halve twice."""
    config = small_config("generator.widths=[4,8]", "adversarial.begin=0", system=system)
    train(patients, tmp_path / "run", config=config)
    crops = read_config(tmp_path / "run" / "config.yaml").generator.crops
    assert any(side % 4 for crop in crops.values() for side in crop)


def test_a_refiner_of_another_size_than_the_generator_begins_anew(patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    train(patients, tmp_path / "run", config=small_config("generator.recurrent_width=3"))
    config = read_config(tmp_path / "run" / "config.yaml")
    assert config.refiner.recurrent_width != config.generator.recurrent_width


def test_the_largest_seed(patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    train(patients, tmp_path / "run", config=small_config(seed=2**32 - 1, noise_channel=True))
    with pytest.raises(CrganError, match="seed"):
        small_config(seed=2**32)


class TestInit:
    STILL = ("generator_optimisation.learning_rate=1e-30", "refiner_optimisation.learning_rate=1e-30")

    def test_it_begins_with_the_weights(self, trained: Path, patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
        found = Model.load(train(patients, tmp_path / "run", config=small_config(*self.STILL), init=trained))
        start = Model.load(trained)
        for name in ("generator", "refiner"):
            expected = getattr(start, name).state_dict()
            assert all(torch.equal(value, expected[key]) for key, value in getattr(found, name).state_dict().items())

    def test_a_refiner_is_added_to_a_model_without_one(self, patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
        first = train(patients, tmp_path / "first", config=small_config(system="rnn-unet"))
        second = train(patients, tmp_path / "second", config=small_config(*self.STILL), init=first)
        assert Model.load(second).refiner is not None
        assert load_file(second / "model" / "generator.safetensors").keys() == load_file(first / "model" / "generator.safetensors").keys()

    def test_a_run_may_start_from_the_one_it_replaces(
        self, trained: Path, patients: Path, small_config: MakeConfig, tmp_path: Path
    ) -> None:
        copy = shutil.copytree(trained, tmp_path / "run")
        train(patients, copy, config=small_config(*self.STILL), init=copy, overwrite=True)
        assert (copy / "model" / "generator.safetensors").read_bytes() == (trained / "model" / "generator.safetensors").read_bytes()

    def test_it_must_be_there(self, patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
        with pytest.raises(CrganError, match="no trained model"):
            train(patients, tmp_path / "run", config=small_config(), init=tmp_path / "misspelt")

    def test_other_labels_are_refused(self, trained: Path, write_patients, small_config: MakeConfig, tmp_path: Path) -> None:
        data = write_patients(tmp_path / "data", scheme={"classes": {1: "anterior", 2: "posterior"}})
        with pytest.raises(CrganError, match=r"other modalities or targets[\s\S]*anterior"):
            train(data, tmp_path / "run", config=small_config(), init=trained)
        assert not (tmp_path / "run").exists()

    def test_without_it_a_run_does_not_go_on_with_other_preprocessing(self, trained, write_patients, small_config, tmp_path) -> None:
        data = write_patients(tmp_path / "data", spacing_mm=(2.0, 2.0, 2.0))
        train(data, tmp_path / "run", config=small_config(), init=trained)
        before = model_files(tmp_path / "run")
        with pytest.raises(CrganError, match="--init"):
            train(data, tmp_path / "run", config=small_config(), resume=True)
        train(data, tmp_path / "run", config=small_config(), resume=True, init=trained)
        assert model_files(tmp_path / "run") == before


def test_minutes_become_steps_that_are_stored(patients: Path, small_config: MakeConfig, tmp_path: Path, monkeypatch) -> None:
    run = train(patients, tmp_path / "run", config=small_config(steps=None, minutes=0.01, system="rnn-unet"))
    with safe_open(run / "checkpoints" / "adversarial" / "last.safetensors", framework="pt") as file:
        facts = file.metadata()["facts"]
    (_, last) = journal(run)[-1]
    assert f'"total": {last}' in facts
    assert last >= 12  # those that were measured


def test_a_stage_stops_when_nothing_gets_better(patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    config = small_config("generator_optimisation.learning_rate=1e-30", "validations=6", "patience=2", steps=12, system="unet")
    train(patients, tmp_path / "run", config=config)
    assert journal(tmp_path / "run") == [("adversarial", 2), ("adversarial", 4), ("adversarial", 6)]


def test_half_precision_trains(patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    run = train(patients, tmp_path / "run", config=small_config(precision="bf16-mixed"))
    assert all(value.dtype == torch.float32 for value in load_file(run / "model" / "generator.safetensors").values())


def test_tensorboard_is_asked_for_by_name(patients: Path, small_config: MakeConfig, tmp_path: Path, monkeypatch) -> None:
    import builtins

    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name.startswith("lightning_fabric.loggers.tensorboard"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CrganError, match=r"pip install 'crgan\[tracking\]'"):
        train(patients, tmp_path / "run", config=small_config(logger="tensorboard"))


@pytest.mark.parametrize("system", ["rnn-cgan+refinement", "unet"])
def test_the_dials_that_were_found_are_stored(
    patients: Path, small_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str
) -> None:
    found: list[tuple[bool, Dial]] = []
    real = choosing.find_dial

    def noted(*args: Any, refined: bool, **further: Any) -> Dial:
        found.append((refined, real(*args, refined=refined, **further)))
        return found[-1][1]

    monkeypatch.setattr(choosing, "find_dial", noted)
    model = Model.load(train(patients, tmp_path / "run", config=small_config(system=system)))
    by_kind = dict(found)
    assert by_kind.keys() == ({True, False} if "refinement" in system else {False})
    assert model.generator_dial.to_json() == by_kind[False].to_json()
    assert model.dial.to_json() == by_kind["refinement" in system].to_json()
    assert model.dial.curves["whole"].points


def test_the_refiners_places_are_kept_on_disk_and_made_again_if_they_are_lost(
    run: Path, patients: Path, small_config: MakeConfig, tmp_path: Path
) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    places = {path.name for path in (copy / "checkpoints" / "places").iterdir()}
    trained = read_json(copy / "data.json")["patients"]["train"]
    assert places == {f"{name}_{kind}.npy" for name in trained for kind in ("candidates", "errors")}
    (copy / "checkpoints" / "places" / f"{trained[0]}_candidates.npy").unlink()
    shutil.rmtree(copy / "checkpoints" / "refinement")
    shutil.rmtree(copy / "model")
    train(patients, copy, config=small_config(), resume=True)
    assert model_files(copy) == model_files(run)
