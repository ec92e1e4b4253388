"""Folders that vanish, are read-only or are shared by several runs: one clear message, and everything stays usable."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from crgan.arrays import forget_mapped
from crgan.config import Config
from crgan.errors import CrganError
from crgan.preprocessing import store
from crgan.progress import Silent
from crgan.training import loop
from crgan.training.adversarial import AdversarialStage
from crgan.training.refinement import RefinementStage
from crgan.training.run import train

MakeConfig = Callable[..., Config]


@pytest.fixture
def own(patients: Path, tmp_path: Path) -> Path:
    """Patients that a test may take away."""
    return shutil.copytree(patients, tmp_path / "patients")


@pytest.fixture
def config(small_config: MakeConfig, tmp_path: Path) -> Config:
    return small_config(steps=6, **{"data.cache": tmp_path / "cache"})


@pytest.fixture(scope="module")
def expected(patients: Path, small_config: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return weights(train(patients, tmp_path_factory.mktemp("undisturbed") / "run", config=small_config(steps=6)))


def weights(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "model").glob("*.safetensors")}


def before(monkeypatch: pytest.MonkeyPatch, stage: type, number: int, action: Callable[[], object]) -> None:
    """Do something before a step."""
    step = stage.step

    def acted(self: object, count: int, total: int | None) -> dict[str, float]:
        if count == number:
            action()
        return step(self, count, total)

    monkeypatch.setattr(stage, "step", acted)


def fails(work: Callable[[], object], match: str) -> None:
    with pytest.raises(CrganError, match=match) as caught:
        work()
    for problem in caught.value.problems:
        assert problem.where is not None


def test_the_cache_is_removed_midway(own: Path, config: Config, expected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone() -> None:
        shutil.rmtree(tmp_path / "cache")
        forget_mapped()

    with monkeypatch.context() as patch:
        before(patch, AdversarialStage, 1, gone)
        fails(lambda: train(own, tmp_path / "run", config=config), r"could not be read[\s\S]*network folder[\s\S]*--resume")
    assert weights(train(own, tmp_path / "run", config=config, resume=True)) == expected


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO])
def test_the_network_folder_of_the_cache_goes_stale_midway(
    own: Path, config: Config, expected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    with monkeypatch.context() as patch:
        status = Path.stat

        def stale(self: Path, **kwargs: bool) -> os.stat_result:
            if tmp_path / "cache" in self.parents:
                raise OSError(number, os.strerror(number), str(self))
            return status(self, **kwargs)

        def gone() -> None:
            forget_mapped()
            patch.setattr(Path, "stat", stale)

        before(patch, RefinementStage, 1, gone)
        fails(lambda: train(own, tmp_path / "run", config=config), os.strerror(number))
    assert weights(train(own, tmp_path / "run", config=config, resume=True)) == expected


def test_the_data_are_removed_while_they_are_prepared(
    own: Path, config: Config, expected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = tmp_path / "away"
    with monkeypatch.context() as patch:
        read = store.read_case

        def gone(*args: object) -> object:
            if own.exists():
                own.rename(away)
            return read(*args)

        patch.setattr(store, "read_case", gone)
        fails(lambda: train(own, tmp_path / "run", config=config), "no such image file|could not be read|cannot be read")
    away.rename(own)
    assert weights(train(own, tmp_path / "run", config=config, resume=True)) == expected


def test_the_run_folder_becomes_read_only_midway(
    own: Path, config: Config, expected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a network folder does whose server is in trouble."""
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        replace = Path.replace

        def read_only() -> None:
            def refuse(self: Path, target: Path) -> Path:
                if tmp_path / "run" in Path(target).parents:
                    raise OSError(errno.EROFS, os.strerror(errno.EROFS))
                return replace(self, target)

            patch.setattr(Path, "replace", refuse)

        before(patch, RefinementStage, 2, read_only)
        fails(lambda: train(own, tmp_path / "run", config=config), os.strerror(errno.EROFS))
    assert weights(train(own, tmp_path / "run", config=config, resume=True)) == expected


def test_a_read_only_folder_for_the_run_is_told_before_any_work(own: Path, config: Config, tmp_path: Path, monkeypatch) -> None:
    def refuse(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    fails(lambda: train(own, tmp_path / "run", config=config), os.strerror(errno.EROFS))
    assert not (tmp_path / "run").exists()


class Noting(Silent):
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_bits_flip_in_checkpoints(own: Path, config: Config, expected, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one before is gone on from, which is told; with both damaged it is an error."""
    run, both, progress = tmp_path / "run", tmp_path / "both", Noting()
    with monkeypatch.context() as patch:
        patch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        before(patch, RefinementStage, 2, interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(own, run, config=config)
    flip(run / "checkpoints" / "refinement" / "last.safetensors")
    shutil.copytree(run, both)
    assert weights(train(own, run, config=config, resume=True, progress=progress)) == expected
    assert [note for note in progress.notes if "checkpoint cannot be used" in note and "last.safetensors" in note]
    flip(both / "checkpoints" / "refinement" / "previous.safetensors")
    fails(lambda: train(own, both, config=config, resume=True), r"checkpoint cannot be used[\s\S]*--overwrite")


def interrupt() -> None:
    raise KeyboardInterrupt


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)


def test_a_bit_flips_in_what_the_generator_said(own: Path, config: Config, expected, tmp_path: Path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        before(patch, RefinementStage, 1, interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(own, tmp_path / "run", config=config)
    flip(next((tmp_path / "run" / "checkpoints").rglob("*.npy")))
    forget_mapped()
    fails(lambda: train(own, tmp_path / "run", config=config, resume=True), r"damaged on the disk[\s\S]*--resume")
    assert weights(train(own, tmp_path / "run", config=config, resume=True)) == expected


def test_two_runs_fill_one_cache_at_once(own: Path, config: Config, expected, in_child, tmp_path: Path) -> None:
    runs = [tmp_path / f"run{number}" for number in range(2)]
    with ThreadPoolExecutor(2) as pool:
        codes = list(pool.map(lambda run: in_child(partial(train, own, run, config=config)), runs))
    assert codes == [0, 0]
    assert [weights(run) for run in runs] == [expected, expected]
    assert not list((tmp_path / "cache").rglob("*.part*"))
