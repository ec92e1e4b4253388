"""A whole study: every job that is not over yet, then tables, figures and a page."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

from crgan.errors import CrganError, Problem
from crgan.executors import work_through
from crgan.progress import Progress, Silent
from crgan.study.job import run_job
from crgan.study.output import write_results
from crgan.study.plan import Job, Study, generator_sources
from crgan.study.results import SetResults, gather


def run_study(study: Study, out: Path | str, *, executor: Executor | None = None, progress: Progress | None = None) -> list[SetResults]:
    """Train, segment and score every system of a study, and compare them.

    Parameters
    ----------
    study
        What to do.
    out
        Its folder. What an earlier run of the study left there is gone on with.
    executor
        Runs jobs side by side, in processes or on a cluster (:func:`crgan.executors.open_executor`); None runs one after
        the other, in this process.
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
    sources = generator_sources(jobs)
    work = [_Item(job=job, out=out, source=sources.get(job.folder)) for job in jobs]
    failed = _one_by_one(work, progress) if executor is None else _side_by_side(work, executor, progress)
    if failed:
        raise CrganError(failed)
    results = [gather(study, name, out) for name in study.sets]
    write_results(out, study, results)
    return results


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """A job, the study's folder, and the job whose generator it takes over."""

    job: Job
    out: Path
    source: Job | None


def _one_by_one(work: Sequence[_Item], progress: Progress) -> list[Problem]:
    failed: list[Problem] = []
    for number, item in enumerate(work, start=1):
        progress.note(f"{number}/{len(work)} {item.job.folder}")
        failed += _do(item, progress)
    return failed


def _side_by_side(work: Sequence[_Item], executor: Executor, progress: Progress) -> list[Problem]:
    """Hand jobs out, those that take over a generator once all others are over, well or not."""
    failed: list[Problem] = []
    with progress.task("studying", len(work)) as task:
        for wave in ([item for item in work if item.source is None], [item for item in work if item.source is not None]):
            for _, problems in work_through(executor, _do, {str(item.job.folder): item for item in wave}):
                failed += problems
                task.advance()
    return failed


def _do(item: _Item, progress: Progress | None = None) -> list[Problem]:
    """Do a job; gives what kept it from its end, with the job's name. A fault of ours goes through."""
    try:
        run_job(item.job, item.out, item.source, progress)
    except CrganError as error:
        where = item.job.folder
        return [
            Problem(what=f"{where}: {problem.what}", where=problem.where, expected=problem.expected, got=problem.got, fix=problem.fix)
            for problem in error.problems
        ]
    return []
