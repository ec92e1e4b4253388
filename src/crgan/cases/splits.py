"""Which cases train and which test: split files, and holding out patients by chance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from crgan.cases.case import Dataset
from crgan.cases.schemes import read_yaml
from crgan.errors import CrganError, Problem, fail
from crgan.files import read_json

_SIDES = ("train", "test")
_EXPECTED = '{"train": [ids], "test": [ids]} or {"folds": [[test ids], …]}'
_FEW = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The two sides of a split.

    Parameters
    ----------
    train, test
        Case ids, in the order of the data set. All cases of a patient are on the same side, or on none.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]


def read_split(file: Path | str, dataset: Dataset, *, fold: int | None = None) -> Split:
    """Read a split file and hold it against a data set.

    Parameters
    ----------
    file
        JSON or YAML: ``{"train": [...], "test": [...]}`` with ids of patients or cases, either side optional (a
        missing test side is empty, a missing training side is all the rest), or instead of a list the name of a
        folder of images such as ``"imagesTr"``; or ``{"folds": [[test ids], ...]}``. A file for several data sets
        has one of these under the name of each; the name that equals the last parts of the data set's path counts.
    dataset
        Whose cases are split.
    fold
        Which of the folds is the test side, counted from 0.

    Returns
    -------
    Split
        Case ids.

    Raises
    ------
    CrganError
        If the file has none of these forms or no entry for the data set, if a fold is missing or too much, and,
        all at once, for every id that is not in the data set and every patient on both sides.
    """
    file = Path(file)
    data = read_json(file) if file.suffix == ".json" else read_yaml(file)
    if not isinstance(data, Mapping):
        raise fail("The split file has another form.", where=file, expected=_EXPECTED, got=type(data).__name__, fix="write it like this")
    entry = _entry_for(data, dataset, file)
    if "folds" in entry:
        test, train = _fold(entry["folds"], fold, file), None
    elif fold is not None:
        raise fail(
            f"There is no fold {fold}.", where=file, expected='"folds" in the file', got=", ".join(map(str, entry)), fix="leave --fold out"
        )
    else:
        test, train = entry.get("test"), entry.get("train")
    problems: list[Problem] = []
    test_cases = _cases(test, dataset, file, problems) if test is not None else set()
    train_cases = _cases(train, dataset, file, problems) if train is not None else _rest(dataset, test_cases)
    problems += _on_both_sides(dataset, train_cases, test_cases, file)
    if problems:
        raise CrganError(problems)
    ordered = [case.case_id for case in dataset.cases]
    return Split(train=tuple(name for name in ordered if name in train_cases), test=tuple(name for name in ordered if name in test_cases))


def hold_out(patient_ids: Iterable[str], *, fraction: float, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Hold out a share of the patients, chosen by chance.

    Parameters
    ----------
    patient_ids
        Patients in any order; repeated ones count once.
    fraction
        Share to hold out, between 0 and 1. At least one patient is held out and at least one is left, unless
        ``fraction`` is 0 or there are fewer than two patients: then none is held out.
    seed
        The same patients, fraction and seed give the same choice, whatever the order.

    Returns
    -------
    rest, held
        Both sorted. No patients give two empty tuples.

    Raises
    ------
    CrganError
        If the fraction is not between 0 and 1.
    """
    if not 0 <= fraction < 1:
        raise fail(
            "The share to hold out is no share.", expected="at least 0 and less than 1", got=f"{fraction:g}", fix="give for example 0.2"
        )
    patients = sorted(set(patient_ids))
    count = 0 if fraction == 0 or len(patients) < 2 else min(max(round(fraction * len(patients)), 1), len(patients) - 1)
    chosen = set(np.random.default_rng(seed).permutation(len(patients))[:count].tolist())
    return (
        tuple(patient for number, patient in enumerate(patients) if number not in chosen),
        tuple(patient for number, patient in enumerate(patients) if number in chosen),
    )


def _entry_for(data: Mapping[str, Any], dataset: Dataset, file: Path) -> Mapping[str, Any]:
    """The part of the file that is about this data set."""
    if _is_split(data):
        return data
    entries = {str(key): value for key, value in data.items() if not str(key).startswith("_")}
    parts = dataset.root.resolve().parts
    fitting = [key for key in entries if (names := tuple(key.strip("/").split("/"))) == parts[-len(names) :]]
    if not fitting:
        raise fail(
            "The split file has no entry for this data set.",
            where=file,
            expected=f"{_EXPECTED}, or this under a name that {dataset.root.resolve()} ends with",
            got=", ".join(entries) or "nothing",
            fix="add an entry, or give the data set's own folder",
        )
    name = max(fitting, key=lambda key: key.count("/"))
    entry = entries[name]
    if not isinstance(entry, Mapping) or not _is_split(entry):
        raise fail(
            f"The entry {name} of the split file has another form.", where=file, expected=_EXPECTED, got=str(entry)[:80], fix="correct it"
        )
    return entry


def _is_split(data: Mapping[str, Any]) -> bool:
    return "folds" in data or any(side in data for side in _SIDES)


def _fold(folds: object, fold: int | None, file: Path) -> object:
    """The test ids of the fold that was asked for."""
    if not isinstance(folds, Sequence) or isinstance(folds, str):
        raise fail("The folds are no list.", where=file, expected=_EXPECTED, got=str(folds)[:80], fix="write a list of lists of test ids")
    known = f"0 to {len(folds) - 1}" if folds else "none"
    if fold is None:
        raise fail("The split file holds folds, and none was chosen.", where=file, expected=known, fix="choose one with --fold")
    if not 0 <= fold < len(folds):
        raise fail(f"There is no fold {fold}.", where=file, expected=known, got=str(fold), fix="choose one of these with --fold")
    return folds[fold]


def _cases(ids: object, dataset: Dataset, file: Path, problems: list[Problem]) -> set[str]:
    """Case ids that a side of the split names; what it names in vain is added to ``problems``."""
    if isinstance(ids, str):
        return _cases_in_folder(ids, dataset, file, problems)
    if not isinstance(ids, Sequence):
        problems.append(
            Problem(what="A side of the split is no list.", where=file, expected=_EXPECTED, got=str(ids)[:80], fix="write a list of ids")
        )
        return set()
    by_name: dict[str, set[str]] = {}
    for case in dataset.cases:
        by_name.setdefault(case.patient_id, set()).add(case.case_id)
    for case in dataset.cases:
        by_name.setdefault(case.case_id, {case.case_id})
    problems += [
        Problem(
            what=f"The split names {name!r}, which is not in the data set.",
            where=file,
            expected=f"a patient or case id, such as {', '.join(list(by_name)[:_FEW])}",
            got=str(name),
            fix="correct the id, or check that the data set is complete",
        )
        for name in dict.fromkeys(ids)
        if str(name) not in by_name
    ]
    return set().union(*(by_name.get(str(name), set()) for name in ids))


def _cases_in_folder(name: str, dataset: Dataset, file: Path, problems: list[Problem]) -> set[str]:
    """The cases whose image lies in the named folder; a folder that the layout leaves to tests has none."""
    folder = dataset.root / name
    if not folder.is_dir():
        problems.append(
            Problem(what=f"The split names the folder {name}, which is not there.", where=file, expected=str(folder), fix="check the name")
        )
    return {case.case_id for case in dataset.cases if case.images[0].is_relative_to(folder)}


def _rest(dataset: Dataset, taken: set[str]) -> set[str]:
    """The cases of all patients none of whose cases is taken."""
    patients = {case.patient_id for case in dataset.cases if case.case_id in taken}
    return {case.case_id for case in dataset.cases if case.patient_id not in patients}


def _on_both_sides(dataset: Dataset, train: set[str], test: set[str], file: Path) -> list[Problem]:
    sides = [{case.patient_id for case in dataset.cases if case.case_id in side} for side in (train, test)]
    return [
        Problem(
            what=f"Patient {patient} is on both sides of the split.",
            where=file,
            expected="all cases of a patient on the same side",
            got=", ".join(case.case_id for case in dataset.cases if case.patient_id == patient and case.case_id in train | test),
            fix="move them to one side; a score on a patient who was trained on says nothing",
        )
        for patient in sorted(sides[0] & sides[1])
    ]
