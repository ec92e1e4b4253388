"""One job of a study: train, segment the test patients with and without the refiner, score."""

from __future__ import annotations

from pathlib import Path

from crgan.cases.layouts import open_dataset
from crgan.cases.splits import read_split
from crgan.evaluation.evaluate import evaluate
from crgan.inference.predict import predict
from crgan.progress import Progress, Silent
from crgan.study.plan import REFINED, Job
from crgan.training.run import train

SCORES, GENERATOR_SCORES = "scores", "scores-generator"


def run_job(job: Job, out: Path, progress: Progress | None = None) -> None:
    """Do what is left of a job; one that is over is left as it is.

    Parameters
    ----------
    job
        What to do.
    out
        The study's folder.
    progress
        Follows the work.

    Raises
    ------
    CrganError
        If anything is wrong with the data or settings.
    """
    progress = progress or Silent()
    folder = out / job.folder
    wanted = {SCORES: "masks"}
    if job.row.system.endswith(REFINED):
        wanted[GENERATOR_SCORES] = "masks-generator"
    if all((folder / name / "scores.json").exists() for name in wanted):
        return
    data, config = job.data, job.config
    run = folder / "run"
    if not (run / "model" / "model.json").exists():
        train(data.data, run, config=config, resume=True, progress=progress)
    images, labels = data.images or data.data, data.labels or data.data
    # How the training data are read says nothing of test folders beside them.
    layout, pattern, group = (data.layout, data.pattern, data.group) if data.images is None else (None, None, None)
    cases = _test_cases(job)
    for name, masks in wanted.items():
        generator_only = name == GENERATOR_SCORES
        predict(
            run,
            images,
            folder / masks,
            generator_only=generator_only,
            cases=cases,
            overwrite=True,
            device=config.device,
            threads=config.threads,
            layout=layout,
            pattern=pattern,
            group=group,
            progress=progress,
        )
        evaluate(
            folder / masks,
            labels,
            out=folder / name,
            cases=cases,
            overwrite=True,
            workers=config.threads,
            layout=layout,
            pattern=pattern,
            group=group,
            progress=progress,
        )


def _test_cases(job: Job) -> tuple[str, ...] | None:
    """The cases of the split's test side; None where all cases of the test folder are meant."""
    data = job.data
    if data.split is None:
        return None
    dataset = open_dataset(data.data, layout=data.layout, pattern=data.pattern, group=data.group)
    return tuple(read_split(data.split, dataset, fold=job.fold).test)
