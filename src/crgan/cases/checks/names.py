"""What is missing from a data set, or there twice, by the names of its files and the kinds of what they hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from crgan.cases.case import Case, Dataset
from crgan.cases.summary import CaseSummary
from crgan.errors import Problem

_FEW = 5


def repeated_ids(cases: Sequence[Case]) -> list[Problem]:
    """List the case ids that several cases have."""
    counts = Counter(case.case_id for case in cases)
    return [
        Problem(
            kind="repeated-ids",
            what=f"The case id {case_id} occurs {count} times.",
            where=", ".join(str(case.images[0]) for case in cases if case.case_id == case_id),
            expected="a name of its own for every case",
            got=case_id,
            fix="rename the files, or tell with --pattern which part of the path is the case",
        )
        for case_id, count in sorted(counts.items())
        if count > 1
    ]


def missing_modalities(cases: Sequence[Case], dataset: Dataset) -> list[Problem]:
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
                    kind="missing-image",
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
                kind="missing-modality",
                what=f"Case {case.case_id} lacks the modality {dataset.modalities[number]}.",
                where=case.images[number],
                expected=f"all of {', '.join(dataset.modalities)}",
                got=f"{some(owners[number])} of {len({c.patient_id for c in cases})} patients have it",
                fix="add the file, or leave out the patient or the modality",
            )
            for number in missing
        ]
    return problems


def missing_labels(cases: Sequence[Case], dataset: Dataset, *, need_labels: bool) -> list[Problem]:
    """Tell that no case has a label, or which ones have none; nothing where labels are not needed."""
    without = [case.case_id for case in cases if case.label is None or not case.label.exists()]
    if not need_labels or not without:
        return []
    alone = len(without) == len(cases)
    return [
        Problem(
            kind="missing-labels",
            what="No case has a label." if alone else f"{len(without)} of {len(cases)} cases have no label.",
            where=dataset.root,
            expected="a label file for every case",
            got=None if alone else f"none for {some(without)}",
            fix="add label files, or tell their names with --pattern" if alone else "add them; these cases are left out of training",
            severity="error" if alone else "warning",
        )
    ]


def mixed_dimensions(summaries: Sequence[CaseSummary], dataset: Dataset) -> list[Problem]:
    """Tell that pictures lie among volumes."""
    pictures = [summary.case_id for summary in summaries if summary.dimensions == 2]
    if len(pictures) in (0, len(summaries)):
        return []
    return [
        Problem(
            kind="mixed-dimensions",
            what="Some images have two dimensions, others three.",
            where=dataset.root,
            expected="all of the same kind",
            got=f"{len(pictures)} of {len(summaries)} are pictures: {some(pictures)}",
            fix="keep pictures and volumes in data sets of their own",
        )
    ]


def absent_classes(summaries: Sequence[CaseSummary], dataset: Dataset) -> list[Problem]:
    """Declared classes that no label holds."""
    labelled = [summary for summary in summaries if summary.label_voxels is not None]
    if not labelled or dataset.labels is None or dataset.labels.instances:
        return []
    present = set().union(*(summary.label_voxels or {} for summary in labelled))
    return [
        Problem(
            kind="absent-class",
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


def some(names: Sequence[str]) -> str:
    """The first few of the names, each once, and how many more there are."""
    unique = list(dict.fromkeys(names))
    return ", ".join(unique[:_FEW]) + (f" and {len(unique) - _FEW} more" if len(unique) > _FEW else "")
