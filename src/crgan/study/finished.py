"""The part of a study that is over, as a study of its own: to look at it before all of it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from crgan.errors import fail
from crgan.study.output import write_results
from crgan.study.plan import DataSet, Job, Row, Study
from crgan.study.record import RECORD
from crgan.study.results import SetResults, gather


def compare_finished(study: Study, out: Path | str) -> tuple[list[SetResults], list[Job]]:
    """Compare what of a study is over, and write tables, figures and page of it.

    Parameters
    ----------
    study
        The whole.
    out
        Its folder.

    Returns
    -------
    results
        For each data set of which something is over the scores of every system of which something is.
    left_out
        The jobs that are not in it.

    Raises
    ------
    CrganError
        If nothing is over.
    """
    out = Path(out)
    part, left_out = finished_part(study, out)
    if part is None:
        raise fail(
            "No training of the study is over.",
            where=out,
            expected=f"the results of some, as {left_out[0].folder / RECORD}",
            fix="run the study without --finished, or name its folder by --out",
        )
    results = [gather(part, name, out) for name in part.sets]
    write_results(out, part, results, left_out=left_out)
    return results, left_out


def finished_part(study: Study, out: Path) -> tuple[Study | None, list[Job]]:
    """Tell what of a study is over.

    A system has a seed where all folds of it are over, so that systems are compared on the same patients.

    Parameters
    ----------
    study
        The whole.
    out
        Its folder.

    Returns
    -------
    part
        The study without data sets, systems, seeds and numbers of training patients that are not over; None if nothing is.
    left_out
        The jobs that are not in the part.
    """
    found = {name: _part(study, name, out) for name in study.sets}
    sets = {name: data for name, data in found.items() if data is not None}
    part = study.model_copy(update={"sets": sets}) if sets else None
    kept = {job.folder for job in part.jobs()} if part else set()
    return part, [job for job in study.jobs() if job.folder not in kept]


def _part(study: Study, name: str, out: Path) -> DataSet | None:
    seeds: dict[str, tuple[int, ...]] = {}
    for row in study.rows(name):
        jobs = list(study.jobs_of(name, study.refined(name, row) or row))
        over = tuple(seed for seed in dict.fromkeys(job.seed for job in jobs) if _over((job for job in jobs if job.seed == seed), out))
        if over:
            seeds[row.label] = over
    if not seeds:
        return None
    data = study.sets[name].model_copy(update={"systems": tuple(seeds), "seeds": seeds})
    part = study.model_copy(update={"sets": {name: data}})
    rows = [row for row in part.rows(name) if part.refined(name, row) is None]
    fewer = tuple(number for number in data.training_patients if _over(_with_patients(part, name, rows, number), out))
    return data.model_copy(update={"training_patients": fewer})


def _with_patients(study: Study, name: str, rows: Iterable[Row], number: int) -> Iterable[Job]:
    return (job for row in rows for job in study.jobs_of(name, row, number))


def _over(jobs: Iterable[Job], out: Path) -> bool:
    return all((out / job.folder / RECORD).exists() for job in jobs)
