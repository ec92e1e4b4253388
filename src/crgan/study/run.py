"""A whole study: every job that is not over yet, then tables and a page."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, as_completed
from functools import partial
from pathlib import Path

from crgan.errors import CrganError, Problem
from crgan.progress import Progress, Silent
from crgan.study.job import run_job
from crgan.study.plan import Job, Study
from crgan.study.results import SetResults, gather
from crgan.study.tables import write_results


def run_study(study: Study, out: Path | str, *, executor: Executor | None = None, progress: Progress | None = None) -> list[SetResults]:
    """Train, segment and score every system of a study, and compare them.

    Parameters
    ----------
    study
        What to do.
    out
        Its folder. What an earlier run of the study left there is gone on with.
    executor
        Runs jobs side by side, in processes or on a cluster; None runs one after the other, in this process.
    progress
        Follows the jobs.

    Returns
    -------
    list of SetResults
        For each data set the scores of every system.

    Raises
    ------
    CrganError
        If jobs failed: all others have been done, and the study can be run again.
    """
    out, progress = Path(out), progress or Silent()
    jobs = list(study.jobs())
    failed = _one_by_one(jobs, out, progress) if executor is None else _side_by_side(jobs, out, executor, progress)
    if failed:
        raise CrganError(failed)
    results = [gather(study, name, out) for name in study.sets]
    write_results(out, study, results)
    return results


def _one_by_one(jobs: list[Job], out: Path, progress: Progress) -> list[Problem]:
    failed: list[Problem] = []
    for number, job in enumerate(jobs, start=1):
        progress.note(f"{number}/{len(jobs)} {job.folder}")
        failed += _failures(partial(run_job, job, out, progress), job)
    return failed


def _side_by_side(jobs: list[Job], out: Path, executor: Executor, progress: Progress) -> list[Problem]:
    failed: list[Problem] = []
    with progress.task("studying", len(jobs)) as task:
        futures: dict[Future[None], Job] = {executor.submit(run_job, job, out): job for job in jobs}
        for future in as_completed(futures):
            failed += _failures(future.result, futures[future])
            task.advance()
    return failed


def _failures(work: Callable[[], None], job: Job) -> list[Problem]:
    """What kept a job from its end, with the job's name; a fault of ours goes through."""
    try:
        work()
    except CrganError as error:
        return [
            Problem(what=f"{job.folder}: {problem.what}", where=problem.where, expected=problem.expected, got=problem.got, fix=problem.fix)
            for problem in error.problems
        ]
    return []
