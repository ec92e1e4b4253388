"""Is the data set sound? Every file is read once, and all that is wrong is told together."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import Executor, ThreadPoolExecutor, as_completed

from crgan.cases.case import Case, Dataset
from crgan.cases.inspection import CaseSummary, ChannelSummary, inspect_case
from crgan.errors import Problem
from crgan.progress import Progress, Silent

__all__ = ["CaseSummary", "ChannelSummary", "check_cases"]

_FEW = 5


def check_cases(
    dataset: Dataset,
    *,
    cases: Sequence[Case] | None = None,
    need_labels: bool,
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
    executor
        Where to read, one task a case; by default a thread per core, since decompressing and counting release
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
    found: dict[int, tuple[CaseSummary | None, list[Problem]]] = {}
    pool = executor or ThreadPoolExecutor(_cores())
    try:
        with (progress or Silent()).task("checking", len(chosen)) as task:
            pending = {pool.submit(inspect_case, case, dataset.modalities, dataset.labels): number for number, case in enumerate(chosen)}
            for future in as_completed(pending):
                found[pending[future]] = future.result()
                task.advance()
    finally:
        if executor is None:  # after Ctrl-C, too, what has not begun is dropped
            pool.shutdown(cancel_futures=True)
    ordered = [found[number] for number in range(len(chosen))]
    summaries = [summary for summary, _ in ordered if summary is not None]
    problems = [*_duplicates(chosen), *_missing_modalities(chosen, dataset), *_missing_labels(chosen, dataset, need_labels=need_labels)]
    problems += [*_mixed_dimensions(summaries, dataset), *_absent_classes(summaries, dataset)]
    problems += [problem for _, of_case in ordered for problem in of_case]
    return summaries, problems


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _duplicates(cases: Sequence[Case]) -> list[Problem]:
    counts = Counter(case.case_id for case in cases)
    return [
        Problem(
            what=f"The case id {case_id} occurs {count} times.",
            where=", ".join(str(case.images[0]) for case in cases if case.case_id == case_id),
            expected="a name of its own for every case",
            got=case_id,
            fix="rename the files, or tell with --pattern which part of the path is the case",
        )
        for case_id, count in sorted(counts.items())
        if count > 1
    ]


def _missing_modalities(cases: Sequence[Case], dataset: Dataset) -> list[Problem]:
    """Cases that lack the file of a modality that others have, and labels without any image."""
    problems = []
    owners: dict[int, list[str]] = defaultdict(list)
    for case in cases:
        for number, path in enumerate(case.images):
            if path.exists():
                owners[number].append(case.patient_id)
    for case in cases:
        missing = [number for number, path in enumerate(case.images) if not path.exists()]
        if missing and len(missing) == len(case.images):
            got = f"the label {case.label.name}" if case.label is not None else "nothing"
            problems.append(
                Problem(
                    what=f"Case {case.case_id} has no image.",
                    where=case.images[0],
                    expected="an image file of this name",
                    got=got,
                    fix="add the image, correct its name, or remove the case",
                )
            )
            continue
        problems += [
            Problem(
                what=f"Case {case.case_id} lacks the modality {dataset.modalities[number]}.",
                where=case.images[number],
                expected=f"all of {', '.join(dataset.modalities)}",
                got=f"{_some(owners[number])} of {len({c.patient_id for c in cases})} patients have it",
                fix="add the file, or leave out the patient or the modality",
            )
            for number in missing
        ]
    return problems


def _missing_labels(cases: Sequence[Case], dataset: Dataset, *, need_labels: bool) -> list[Problem]:
    without = [case.case_id for case in cases if case.label is None or not case.label.exists()]
    if not need_labels or not without:
        return []
    alone = len(without) == len(cases)
    return [
        Problem(
            what="No case has a label." if alone else f"{len(without)} of {len(cases)} cases have no label.",
            where=dataset.root,
            expected="a label file for every case",
            got=None if alone else f"none for {_some(without)}",
            fix="add label files, or tell their names with --pattern" if alone else "add them; these cases are left out of training",
            severity="error" if alone else "warning",
        )
    ]


def _mixed_dimensions(summaries: Sequence[CaseSummary], dataset: Dataset) -> list[Problem]:
    pictures = [summary.case_id for summary in summaries if summary.dimensions == 2]
    if len(pictures) in (0, len(summaries)):
        return []
    return [
        Problem(
            what="Some images have two dimensions, others three.",
            where=dataset.root,
            expected="all of the same kind",
            got=f"{len(pictures)} of {len(summaries)} are pictures: {_some(pictures)}",
            fix="keep pictures and volumes in data sets of their own",
        )
    ]


def _absent_classes(summaries: Sequence[CaseSummary], dataset: Dataset) -> list[Problem]:
    """Declared classes that no label holds."""
    labelled = [summary for summary in summaries if summary.label_voxels is not None]
    if not labelled or dataset.labels is None or dataset.labels.instances:
        return []
    present = set().union(*(summary.label_voxels or {} for summary in labelled))
    return [
        Problem(
            what=f"No label holds the class {name}.",
            where=dataset.root,
            expected=f"voxels of value {value} in at least one case",
            got=f"{len(labelled)} labels without it",
            fix="check the declared label values",
            severity="warning",
        )
        for value, name in dataset.labels.classes.items()
        if value not in present
    ]


def _some(names: Sequence[str]) -> str:
    unique = list(dict.fromkeys(names))
    return ", ".join(unique[:_FEW]) + (f" and {len(unique) - _FEW} more" if len(unique) > _FEW else "")
