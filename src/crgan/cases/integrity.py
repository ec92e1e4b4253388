"""Is the data set sound? Every file is read once, and all that is wrong is told together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed

from crgan.cases.case import Case, Dataset
from crgan.cases.checks import names
from crgan.cases.checks.cohort import COHORT_CHECKS
from crgan.cases.checks.duplicates import duplicates
from crgan.cases.checks.modalities import exchanged_modalities
from crgan.cases.checks.pairing import mispaired_labels
from crgan.cases.inspection import inspect_case
from crgan.cases.splits import Split
from crgan.cases.summary import CaseSummary, ChannelSummary, Inspection
from crgan.errors import Problem
from crgan.progress import Progress, Silent

__all__ = ["CaseSummary", "ChannelSummary", "check_cases"]

_NOT_COMPARABLE = {"channels", "constant", "repeated-slice"}


def check_cases(
    dataset: Dataset,
    *,
    cases: Sequence[Case] | None = None,
    need_labels: bool,
    split: Split | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> tuple[list[CaseSummary], list[Problem]]:
    """Read all files of the cases and tell what they hold and what is wrong.

    Parameters
    ----------
    dataset
        The data set.
    cases
        The cases to read; by default all of the data set.
    need_labels
        Whether it is an error if no case has a label, and a warning if some have none.
    split
        Who trains and who tests, to find the same image on both sides.
    executor
        Where to read, one task a case; by default a thread per core, since decompressing, counting and hashing release
        Python's lock and threads need not be started up.
    progress
        Who is told how far it is.

    Returns
    -------
    summaries
        One a case whose image could be read, in the order of the cases.
    problems
        All that was found, first what concerns several cases; empty if all is well. No cases give no problems.
    """
    chosen = tuple(dataset.cases if cases is None else cases)
    inspections = _inspect(chosen, dataset, executor, progress or Silent())
    summaries = [inspection.summary for inspection in inspections if inspection.summary is not None]
    problems = [
        *(dataset.warnings if any(case.label is not None for case in chosen) else ()),
        *names.repeated_ids(chosen),
        *names.missing_modalities(chosen, dataset),
        *names.missing_labels(chosen, dataset, need_labels=need_labels),
        *names.mixed_dimensions(summaries, dataset),
        *names.absent_classes(summaries, dataset),
        *_compare(dataset, chosen, inspections, split),
    ]
    problems += [problem for inspection in inspections for problem in inspection.problems]
    return summaries, problems


def _inspect(cases: Sequence[Case], dataset: Dataset, executor: Executor | None, progress: Progress) -> list[Inspection]:
    """Read the files of every case."""
    found: dict[int, Inspection] = {}
    pool = executor or ThreadPoolExecutor(_cores())
    try:
        with progress.task("checking", len(cases)) as task:
            pending = {pool.submit(inspect_case, case, dataset.modalities, dataset.labels): number for number, case in enumerate(cases)}
            for future in as_completed(pending):
                found[pending[future]] = future.result()
                task.advance()
    finally:
        if executor is None:  # after Ctrl-C, too, what has not begun is dropped
            pool.shutdown(cancel_futures=True)
    return [found[number] for number in range(len(cases))]


def _compare(dataset: Dataset, cases: Sequence[Case], inspections: Sequence[Inspection], split: Split | None) -> list[Problem]:
    """Hold the cases against each other. What one check explains is not reported by the next."""
    copies, copied = duplicates(dataset, cases, inspections, split)
    exchanged = exchanged_modalities(dataset, cases, inspections)
    mispaired = mispaired_labels(cases, inspections, explained=copied | set(exchanged))
    comparable = [
        (inspection.summary, inspection.evidence)
        for number, inspection in enumerate(inspections)
        if inspection.summary is not None
        and number not in exchanged
        and not _NOT_COMPARABLE & {problem.kind for problem in inspection.problems}
    ]
    odd = [problem for check in COHORT_CHECKS for problem in check(dataset, comparable)]
    return [*copies, *exchanged.values(), *mispaired, *odd]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
