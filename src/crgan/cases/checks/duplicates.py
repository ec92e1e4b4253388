"""The same voxels twice: in two cases, in two modalities, or on both sides of a split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

from crgan.cases.case import Case, Dataset
from crgan.cases.splits import Split
from crgan.cases.summary import Inspection
from crgan.errors import Problem


def duplicates(
    dataset: Dataset, cases: Sequence[Case], inspections: Sequence[Inspection], split: Split | None
) -> tuple[list[Problem], set[int]]:
    """List what occurs more than once, by the decoded voxels: file names, types and compression do not matter.

    Parameters
    ----------
    dataset
        The data set, whose modalities are named.
    cases, inspections
        Which cases were read, and what was found in each.
    split
        Who trains and who tests: the same image on both sides is an error.

    Returns
    -------
    problems
        One for each group of copies.
    numbers
        Of the cases that were copied.
    """
    images = _groups((inspection.evidence.image_hashes, n) for n, inspection in enumerate(inspections) if _whole(inspection))
    problems = [_same_images([cases[n] for n in group], split) for group in images]
    twice = {n for group in images for n in group}
    labels = _groups(
        (inspection.evidence.label_hash, n)
        for n, inspection in enumerate(inspections)
        if inspection.evidence.label_hash is not None and n not in twice
    )
    problems += [_same_labels([cases[n] for n in group]) for group in labels]
    twice |= {n for group in labels for n in group}
    problems += [
        _same_modalities(dataset, case, group)
        for case, inspection in zip(cases, inspections, strict=True)
        for group in _groups((digest, n) for n, digest in enumerate(inspection.evidence.image_hashes) if digest is not None)
    ]
    return problems, twice


def _same_images(cases: Sequence[Case], split: Split | None) -> Problem:
    names = [case.case_id for case in cases]
    where = ", ".join(str(case.images[0]) for case in cases)
    if split is not None and set(names) & set(split.train) and set(names) & set(split.test):
        return Problem(
            kind="split-duplicates",
            what=f"The same image trains and tests: cases {', '.join(names)}.",
            where=where,
            expected="no image on both sides of the split",
            got="equal voxels",
            fix="put them on one side, or leave the copies out; a score on what was trained on says nothing",
        )
    return Problem(
        kind="duplicates",
        what=f"Cases {', '.join(names)} have the same image.",
        where=where,
        expected="an image of its own for every case",
        got="equal voxels",
        fix="leave the copies out, or see to it that they stay on one side of every split",
        severity="warning",
    )


def _same_labels(cases: Sequence[Case]) -> Problem:
    return Problem(
        kind="same-labels",
        what=f"Cases {', '.join(case.case_id for case in cases)} have the same label, but different images.",
        where=", ".join(str(case.label) for case in cases),
        expected="a label of its own for every case",
        got="equal voxels",
        fix="find out which case the label belongs to, and get the others again",
        severity="warning",
    )


def _same_modalities(dataset: Dataset, case: Case, group: Sequence[int]) -> Problem:
    return Problem(
        kind="same-modalities",
        what=f"Modalities {', '.join(dataset.modalities[n] for n in group)} of case {case.case_id} are the same image.",
        where=", ".join(str(case.images[n]) for n in group),
        expected="an image of its own for every modality",
        got="equal voxels",
        fix="get the right file; one was copied over the other",
        severity="warning",
    )


def _whole(inspection: Inspection) -> bool:
    """Whether all files of the case were read, and show something."""
    summary = inspection.summary
    return (
        summary is not None
        and None not in inspection.evidence.image_hashes
        and any(channel.minimum < channel.maximum for channel in summary.channels)
    )


def _groups(items: Iterable[tuple[Hashable, int]]) -> list[list[int]]:
    """The numbers that share a key, of every key that several have."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for key, number in items:
        found[key].append(number)
    return [numbers for numbers in found.values() if len(numbers) > 1]
