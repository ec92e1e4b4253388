"""A run that was stopped, however rudely, and goes on ends with the same files as one that was not."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from crgan import files
from crgan.config import Config
from crgan.errors import CrganError
from crgan.model import Model
from crgan.training import loop
from crgan.training.adversarial import AdversarialStage
from crgan.training.refinement import RefinementStage
from crgan.training.run import train

MakeConfig = Callable[..., Config]

STEPS = 10  # 4 of the generator, 6 of the refiner


def result(run: Path) -> dict[str, bytes]:
    """What a run ends with, the journal without its seconds."""
    found = {path.name: path.read_bytes() for path in (run / "model").iterdir()}
    rows = [line.split(",") for line in (run / "metrics.csv").read_text(encoding="utf-8").splitlines()]
    return found | {"metrics.csv": "\n".join(",".join([*row[:2], *row[3:]]) for row in rows).encode()}


@pytest.fixture(scope="module")
def config(small_config: MakeConfig) -> Config:
    return small_config("adversarial.begin=0.5", "noise_channel=true", "validations=2", steps=STEPS)


@pytest.fixture(scope="module")
def uninterrupted(patients: Path, config: Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return result(train(patients, tmp_path_factory.mktemp("uninterrupted") / "run", config=config))


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(number: int, function: Callable[..., object], action: Callable[[], None]) -> Callable[..., object]:
    """Do something before a function is called for the n-th time."""
    calls = []

    def wrapped(*args: object, **kwargs: object) -> object:
        calls.append(None)
        if len(calls) == number:
            action()
        return function(*args, **kwargs)

    return wrapped


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_a_step(
    patients: Path, config: Config, uninterrupted, in_child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Without any chance to clean up, at steps drawn by chance, twice in a row."""
    draw = random.Random(seed)
    run = tmp_path / "run"
    every = draw.random() < 0.5
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0 if every else 60.0)
    for attempt in range(2):
        stage, last = draw.choice([(AdversarialStage, 4), (RefinementStage, 6)])
        with monkeypatch.context() as patch:
            patch.setattr(stage, "step", at_call(draw.randint(1, last), stage.step, die))
            code = in_child(partial(train, patients, run, config=config, resume=attempt > 0))
        # A stage that is over by the second time takes no step to be killed at.
        assert code in ((-signal.SIGKILL,) if attempt == 0 else (0, -signal.SIGKILL))
    train(patients, run, config=config, resume=True)
    assert result(run) == uninterrupted


@pytest.mark.parametrize(
    ("moment", "name"),
    [
        *(("before", name) for name in ("data.json", "config.yaml", "metrics.csv", "best.safetensors", "last.safetensors", "model.json")),
        *(("after", name) for name in ("config.yaml", "best.safetensors", ".npy")),
    ],
)
def test_killed_while_a_file_is_written(
    patients: Path, config: Config, uninterrupted, in_child, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, name: str
) -> None:
    """Just before a finished file takes its place, and just after."""
    run = tmp_path / "run"
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        mine = str(target).endswith(name) and run in Path(target).parents
        if mine and moment == "before":
            die()
        moved = real(self, target)
        if mine:
            die()
        return moved

    monkeypatch.setattr(Path, "replace", replace)
    assert in_child(lambda: train(patients, run, config=config)) == -signal.SIGKILL
    monkeypatch.undo()
    if name != "model.json" or moment == "before":
        with pytest.raises(CrganError, match="no trained model"):
            Model.load(run)
    train(patients, run, config=config, resume=True)
    assert result(run) == uninterrupted


def stopped_and_gone_on_with(
    patients: Path, config: Config, run: Path, monkeypatch: pytest.MonkeyPatch, stage: type, at: int
) -> dict[str, bytes]:
    with monkeypatch.context() as patch:
        patch.setattr(stage, "step", at_call(at, stage.step, lambda: os.kill(os.getpid(), signal.SIGINT)))
        with pytest.raises(KeyboardInterrupt):
            train(patients, run, config=config)
    return result(train(patients, run, config=config, resume=True))


@pytest.mark.parametrize(("stage", "at"), [(AdversarialStage, 1), (AdversarialStage, 3), (RefinementStage, 1), (RefinementStage, 6)])
def test_stopped_by_ctrl_c(
    patients: Path, config: Config, uninterrupted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: type, at: int
) -> None:
    assert stopped_and_gone_on_with(patients, config, tmp_path / "run", monkeypatch, stage, at) == uninterrupted


@pytest.mark.parametrize(("stage", "at"), [(AdversarialStage, 3), (RefinementStage, 2)])
def test_stopped_where_several_batches_make_a_step(
    patients: Path, small_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: type, at: int
) -> None:
    config = small_config("adversarial.begin=0.5", "noise_channel=true", "batch.accumulate=3", steps=STEPS)
    whole = result(train(patients, tmp_path / "whole", config=config))
    assert stopped_and_gone_on_with(patients, config, tmp_path / "run", monkeypatch, stage, at) == whole


def test_a_full_disk_in_the_middle_is_told_and_nothing_is_lost(
    patients: Path, config: Config, uninterrupted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    for number in (2, 5, 7):
        with monkeypatch.context() as patch:
            patch.setattr(files.os, "fsync", at_call(number, os.fsync, full))
            with pytest.raises(CrganError, match="No space left on device"):
                train(patients, tmp_path / "run", config=config, resume=True)
        assert not [path for path in tmp_path.rglob("*") if ".part" in path.name]
    train(patients, tmp_path / "run", config=config, resume=True)
    assert result(tmp_path / "run") == uninterrupted


def test_files_may_not_grow_any_further(patients: Path, config: Config, in_child, tmp_path: Path) -> None:
    """The operating system itself refuses, in the middle of writing."""
    resource = pytest.importorskip("resource", reason="this system has no such limits")
    train(patients, tmp_path / "warm", config=config)  # so that all cases are prepared

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
        try:
            train(patients, tmp_path / "run", config=config)
        except CrganError as error:
            if "could not be written" in str(error) and "safetensors" in str(error):
                return
            raise
        message = "the limit was not reached"
        raise AssertionError(message)

    assert in_child(limited) == 0
    assert not (tmp_path / "run" / "checkpoints" / "adversarial" / "best.safetensors").exists()


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.slow
def test_the_command_killed_and_stopped_and_gone_on_with(patients: Path, small_config: MakeConfig, tmp_path: Path) -> None:
    """From outside, at a moment of chance, as a batch system does; then by Ctrl-C."""
    config = small_config("validations=12", steps=150, system="rnn-unet")
    expected = result(train(patients, tmp_path / "whole", config=config))
    run = tmp_path / "run"
    words = ["train", str(patients), "--out", str(run), "--steps", "150", "--system", "rnn-unet", "--threads", "1"]
    for text in ("generator.widths=[4,8,8]", "refiner.widths=[4,8,8]", "generator.groups=2", "refiner.groups=2", "validations=12"):
        words += ["--set", text]
    words += ["--set", "batch.length=3", "--set", "generator_share=0.4", "--set", f"data.cache={config.data.cache}"]

    def start(*more: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from crgan.cli import main; main()", *words, *more]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")

    def rows() -> int:
        return len((run / "metrics.csv").read_text(encoding="utf-8").splitlines()) if (run / "metrics.csv").exists() else 0

    with start() as process:
        wait_for(lambda: rows() >= 3, process)
        time.sleep(random.Random(0).random() * 0.2)
        process.kill()
        process.communicate()
    assert process.returncode == -signal.SIGKILL
    before = rows()
    with start("--resume") as process:
        wait_for(lambda: rows() > before, process)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in told
    assert "Traceback" not in told
    assert not (run / "model").exists()
    train(patients, run, config=small_config(), resume=True)
    assert result(run) == expected
