from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from crgan.cases.layouts import open_dataset
from crgan.dial import Dial
from crgan.errors import CrganError
from crgan.inference.jobs import CaseJob, Request, Worker
from crgan.inference.predict import predict
from crgan.model import Model, model_digest

PLAIN = Request(
    dial=Dial.neutral(["whole", "core"]),
    generator_only=False,
    probabilities=False,
    errors=False,
    where_to_look=False,
    promise=None,
    naming=None,
    tta=0,
    dicom_seg=False,
    precision="32-true",
)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def job(patients: Path, trained: Path, tmp_path: Path) -> CaseJob:
    model = Model.load(trained)
    labels = model.labels
    (case,) = (case for case in open_dataset(patients, labels=labels).cases if case.case_id == "p1")
    return CaseJob(
        case=case, masks=(tmp_path / "out" / "p1.nii.gz",), scheme=labels, out=tmp_path / "out", request=replace(PLAIN, dial=model.dial)
    )


def test_a_job_that_runs_twice_leaves_the_same_file(job: CaseJob, trained: Path) -> None:
    work = Worker(models=(trained,), digest=model_digest(trained), device="cpu", threads=1)
    work(job)
    once = content(job.out)
    work(job)
    assert content(job.out) == once


def test_a_worker_reads_the_model_once(job: CaseJob, trained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = shutil.copytree(trained / "model", tmp_path / "model")
    loads, load = [], Model.load
    monkeypatch.setattr(Model, "load", lambda path, **settings: loads.append(path) or load(path, **settings))
    work = Worker(models=(model,), digest=model_digest(model), device="cpu", threads=1)
    work(job)
    work(job)
    assert loads == [model]


def test_a_worker_compiles_the_model_it_reads(job: CaseJob, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(Model, "compile", lambda self: compiled.append(id(self)))
    work = Worker(models=(trained,), digest=model_digest(trained), device="cpu", threads=1, compiled=True)
    work(job)
    work(job)
    assert len(compiled) == 1


def test_a_worker_that_sees_another_model_refuses(job: CaseJob, trained: Path) -> None:
    with pytest.raises(CrganError, match="another model in this place"):
        Worker(models=(trained,), digest="0" * 64, device="cpu", threads=1)(job)
    assert not job.masks[0].exists()


def test_paths_are_made_absolute(job: CaseJob, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    sent = CaseJob(case=job.case, masks=(Path("out/p1.nii.gz"),), scheme=job.scheme, out=Path("out"), request=job.request).absolute()
    assert (sent.masks, sent.out) == ((tmp_path / "out" / "p1.nii.gz",), tmp_path / "out")
    assert all(path.is_absolute() for path in sent.case.images)


@pytest.mark.slow
def test_what_died_with_a_worker_is_made_when_the_prediction_goes_on(
    trained: Path, patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker is killed, as for memory: one message names the case, and --resume does the rest, in processes as alone."""
    predict(trained, patients, tmp_path / "alone", errors=True, threads=1)
    hook = tmp_path / "hook"
    hook.mkdir()
    # Read by every new Python process, here that of a worker: what takes too much memory at p2 dies as Linux kills it.
    (hook / "sitecustomize.py").write_text(
        "import os, signal\n"
        "import crgan.inference.jobs as jobs\n"
        "real = jobs.read_image\n"
        "def read(case, modalities):\n"
        "    if case.case_id == 'p2':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return real(case, modalities)\n"
        "jobs.read_image = read\n",
        encoding="utf-8",
    )
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(hook), os.environ.get("PYTHONPATH", "")]))
        with pytest.raises(CrganError) as caught:
            predict(trained, patients, tmp_path / "many", errors=True, threads=1, workers=2)
    (problem,) = caught.value.problems
    assert problem.where == "at work on p2"
    assert not (tmp_path / "many" / "p2.nii.gz").exists()
    predict(trained, patients, tmp_path / "many", errors=True, threads=1, workers=2, resume=True)
    assert content(tmp_path / "many") == content(tmp_path / "alone")
