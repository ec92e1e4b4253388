"""How large a batch may be. There is no GPU here: its memory is a number, and running out of it is played."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric

from crgan.config import Config, read_config
from crgan.errors import CrganError
from crgan.planning import derive_settings
from crgan.progress import Silent
from crgan.training import room
from crgan.training.adversarial import AdversarialStage
from crgan.training.patients import Patients
from crgan.training.refinement import RefinementStage
from crgan.training.room import fill_memory, largest
from crgan.training.run import train


@pytest.mark.parametrize("most", [1, 2, 7, 8, 100])
def test_the_largest_that_fits_is_found_in_few_trials(most: int) -> None:
    for answer in range(most + 1):
        tried: list[int] = []
        assert largest(lambda number, answer=answer, tried=tried: tried.append(number) or number <= answer, most) == answer
        assert len(tried) == len({*tried}) <= 14
        assert max(tried) <= max(1, 2 * answer)  # what is much too large is not tried


@pytest.fixture
def found(patients: Path, small_config: Callable[..., Config]) -> Callable[..., tuple[Config, Patients]]:
    def make(*overrides: str, **named: object) -> tuple[Config, Patients]:
        config = small_config("batch.find=true", *overrides, **named)
        prepared = Patients(patients, config, None, Silent())
        return derive_settings(config, prepared.fingerprint), prepared

    return make


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Groups of a generator's and a refiner's batch that fit into the memory of a GPU, and those that leave some free."""
    room_for = {"generator": 3, "refiner": 2, "tight": 99}
    tried = []

    def limited(stage: type, network: str) -> None:
        step = stage.step

        def stepped(self, number: int, total: int | None) -> dict[str, float]:
            tried.append(self._sampler.groups)
            if self._sampler.groups > room_for[network]:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return step(self, number, total)

        monkeypatch.setattr(stage, "step", stepped)

    limited(AdversarialStage, "generator")
    limited(RefinementStage, "refiner")
    monkeypatch.setattr("crgan.training.run.require_gpu", lambda _: None)
    monkeypatch.setattr(room, "_taken", lambda _: 1.0 if tried[-1] >= room_for["tight"] else 0.5)
    return room_for


def test_each_network_gets_the_groups_that_fit(found, fabric: Fabric, memory: dict[str, int]) -> None:
    config, patients = found("planes=[axial, coronal]", "compile=true")
    memory["generator"] = len(patients.train)
    chosen = fill_memory(fabric, config, patients)
    assert (chosen.generator.groups, chosen.refiner.groups) == (len(patients.train), 2)
    assert chosen.model_copy(update={"generator": config.generator, "refiner": config.refiner}) == config


def test_some_memory_is_left(found, fabric: Fabric, memory: dict[str, int]) -> None:
    config, patients = found(system="unet")
    memory["tight"] = 2
    assert fill_memory(fabric, config, patients).generator.groups == 1


def test_no_more_groups_than_patients(found, fabric: Fabric, memory: dict[str, int]) -> None:
    config, patients = found(system="cgan")
    memory["generator"] = 1000
    assert fill_memory(fabric, config, patients).generator.groups == len(patients.train)


@pytest.mark.parametrize("network", ["generator", "refiner"])
def test_a_network_that_does_not_fit_at_all_is_told(found, fabric: Fabric, memory: dict[str, int], network: str) -> None:
    config, patients = found()
    memory[network] = 0
    with pytest.raises(CrganError, match=rf"The {network} does not fit[\s\S]*smaller {network}.crops[\s\S]*bf16-mixed"):
        fill_memory(fabric, config, patients)


def test_a_trial_sees_the_largest_crop(found, fabric: Fabric, memory: dict[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    config, patients = found("generator.crops={axial: [8, 8], coronal: [16, 8], sagittal: [8, 8]}", system="unet")
    seen, step = [], AdversarialStage.step
    monkeypatch.setattr(AdversarialStage, "step", lambda self, *args: seen.append(self._sampler.planes) or step(self, *args))
    fill_memory(fabric, config, patients)
    assert {*seen} == {("coronal",)}


def test_without_a_gpu_it_is_refused_before_any_work(patients: Path, small_config: Callable[..., Config], tmp_path: Path) -> None:
    with pytest.raises(CrganError, match=r"on one GPU[\s\S]*1 × cpu[\s\S]*leave it out"):
        train(patients, tmp_path / "run", config=small_config("batch.find=true"))
    assert not (tmp_path / "run").exists()


def test_what_is_found_is_kept_and_a_run_with_it_is_the_same(
    patients: Path, small_config: Callable[..., Config], memory: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory["generator"] = 1
    config = small_config("batch.find=true")
    run = train(patients, tmp_path / "run", config=config)
    written = read_config(run / "config.yaml")
    assert (written.generator.groups, written.refiner.groups) == (1, 2)
    monkeypatch.setattr("crgan.training.run.fill_memory", None)  # a resumed run does not look again
    assert train(patients, run, config=config, resume=True) == run
    given = train(patients, tmp_path / "given", config=small_config("generator.groups=1", "refiner.groups=2"))
    for name in ("generator.safetensors", "refiner.safetensors"):
        assert (run / "model" / name).read_bytes() == (given / "model" / name).read_bytes()


def test_memory_is_counted_without_what_others_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: 30)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 10)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (50, 100))
    for name in ("empty_cache", "reset_peak_memory_stats"):
        monkeypatch.setattr(torch.cuda, name, lambda *_: None)
    assert room._taken(torch.device("cuda")) == 0.5
