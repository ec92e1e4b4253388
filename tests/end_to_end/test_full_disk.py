"""The disk is full, once for every file that a command writes: it says so, leaves nothing half-written, and can be gone on with.

`benchmarks/full_disk.py` does the same on a real file system.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from crgan.cases.phantom import write_brains
from crgan.cli import app
from crgan.errors import CrganError
from crgan.evaluation.evaluate import evaluate
from crgan.inference.calibrate import calibrate
from crgan.inference.predict import predict
from crgan.study.plan import read_study
from crgan.study.run import run_study
from crgan.training.run import train

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs a system that tells what file is open")

UNFINISHED = re.compile(r"^\.(.+)\.\d+\.[0-9a-f]{8}\.part(\..*)?$")
CACHED = re.compile(r"^[0-9a-f]{64}$|^\.[0-9a-f]+\.[0-9a-f]+\.part$")


class FullDisk:
    """Has no room for any file the first time that it is to be brought to the disk, and always the second time."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self._fsync = os.fsync

    def fsync(self, number: int) -> None:
        path = Path(f"/proc/self/fd/{number}").readlink()
        found = UNFINISHED.match(path.name)
        name = found[1] if found else path.name
        where = "" if CACHED.match(path.parent.name) else f"{path.parent.name}/"
        if path.is_file() and where + name not in self.refused:
            self.refused.append(where + name)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._fsync(number)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[FullDisk]:
    disk = FullDisk()
    monkeypatch.setattr(os, "fsync", disk.fsync)
    return disk


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def until_done(work: Callable[[], object], disk: FullDisk, *places: Path) -> None:
    """Try until it works; each time it does not, that must be told as it should, with nothing half-written left."""
    for _ in range(200):
        before = len(disk.refused)
        try:
            work()
        except CrganError as error:
            problems = error.problems
        else:
            return
        assert len(disk.refused) > before, problems
        for problem in problems:
            assert "No space left on device" in (problem.got or "")
            assert problem.where is not None
            assert "has room" in (problem.fix or "")
        assert not [path for place in places for path in place.rglob("*.part*")]
    pytest.fail("it was never done")


def names(disk: FullDisk) -> set[str]:
    return {name.rpartition("/")[2] for name in disk.refused}


def test_train(patients: Path, small_config, tmp_path: Path, disk: FullDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_config("refinement.discriminator_map=true", steps=4, **{"data.cache": tmp_path / "cache"})
    until_done(lambda: train(patients, tmp_path / "run", config=config, resume=True), disk, tmp_path)
    assert names(disk) >= {
        *("image.npy", "label.npy", "coordinates.npy", "case.json"),
        *("config.yaml", "data.json", "metrics.csv", "best.safetensors", "last.safetensors", "p0.npy"),
        *("generator.safetensors", "discriminator.safetensors", "refiner.safetensors", "model.json", "report.html"),
    }
    monkeypatch.undo()
    train(patients, tmp_path / "whole", config=config)
    assert content(tmp_path / "run" / "model") == content(tmp_path / "whole" / "model")


def test_predict_and_evaluate(trained: Path, patients: Path, tmp_path: Path, disk: FullDisk, monkeypatch: pytest.MonkeyPatch) -> None:
    def segment(out: Path, *, resume: bool = False) -> None:
        predict(trained, patients, out, probabilities=True, errors=True, resume=resume, threads=1)

    until_done(lambda: segment(tmp_path / "masks", resume=True), disk, tmp_path)
    assert {name.split("_")[0].removesuffix(".nii.gz") for name in names(disk)} >= {"p0", "p1", "p2", "p3", "labels.json"}
    assert len(disk.refused) >= 4 * (1 + 2 * 3)
    until_done(lambda: evaluate(tmp_path / "masks", patients, out=tmp_path / "scores", overwrite=True, workers=1), disk, tmp_path)
    assert names(disk) >= {"scores.json", "scores.csv", "report.html"}
    monkeypatch.undo()
    segment(tmp_path / "whole")
    assert {**content(tmp_path / "masks"), ".prediction.json": b""} == {**content(tmp_path / "whole"), ".prediction.json": b""}


@pytest.fixture
def new_patients(write_patients: Callable[..., Path], tmp_path: Path) -> Path:
    return write_patients(tmp_path / "new", count=6)


def test_calibrate(trained: Path, new_patients: Path, tmp_path: Path, disk: FullDisk) -> None:
    run = shutil.copytree(trained, tmp_path / "run", ignore=shutil.ignore_patterns("checkpoints"))
    (run / "data.json").unlink()  # so that the patients may have any names
    until_done(lambda: calibrate(run, new_patients, max_fnr=0.2, threads=1), disk, run)
    assert names(disk) == {"model.json", "calibration.json"}


def test_phantom(tmp_path: Path, disk: FullDisk) -> None:
    def draw() -> None:
        shutil.rmtree(tmp_path / "brains", ignore_errors=True)
        write_brains(tmp_path / "brains", count=1, shape=(32, 32, 32))

    until_done(draw, disk, tmp_path)
    assert {name.removesuffix(".nii.gz").rpartition("_")[2] for name in names(disk)} >= {"flair", "t1", "t2", "seg", "labels.json"}


@pytest.mark.parametrize("option", ["--json", "--write-manifest"])
def test_check(patients: Path, tmp_path: Path, disk: FullDisk, monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    words = ["check", str(patients), option, str(tmp_path / "found.json")]
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 2
    assert "No space left on device" in first.stderr
    assert "Traceback" not in first.output
    assert not list(tmp_path.iterdir())
    assert CliRunner().invoke(app, words).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]


@pytest.mark.slow
def test_study(patients: Path, tmp_path: Path, disk: FullDisk) -> None:
    plan, split = tmp_path / "study.yaml", tmp_path / "split.json"
    split.write_text(json.dumps({"train": ["p0", "p1"], "test": ["p2", "p3"]}), encoding="utf-8")
    settings = ["generator.widths=[4,8,8]", "generator.groups=2", "validations=1", "batch.length=3", f"data.cache={tmp_path / 'cache'}"]
    sets = {"balls": {"data": str(patients), "split": "split.json"}}
    plan.write_text(yaml.safe_dump({"sets": sets, "systems": ["unet"], "steps": 2, "threads": 1, "set": settings}), encoding="utf-8")
    study = read_study(plan)
    until_done(lambda: run_study(study, tmp_path / "out"), disk, tmp_path)
    assert names(disk) >= {"tables.md", "tables.tex", "tables.csv", "comparison.json", "report.html", "scores.json"}
