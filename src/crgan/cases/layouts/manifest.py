"""A list of cases in a CSV or JSON file: for whatever lies in no other layout, and to write down what one of them found."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from crgan.cases.case import Case, Dataset
from crgan.cases.label_formats import LABEL_FORMATS
from crgan.cases.layouts.found import Found
from crgan.cases.schemes import read_scheme
from crgan.errors import CrganError, Problem, fail
from crgan.files import atomic_write, read_json, write_json

SUFFIXES = (".csv", ".json")
_CASE, _PATIENT, _LABEL, _FORMAT, _IMAGES = "case", "patient", "label", "label_format", "images"
_TOP = {"modalities", "classes", "labels", "regions", "instances", "ignore", "cases"}
_COLUMNS = {_CASE, _PATIENT, _LABEL, _FORMAT}
_ROW = {*_COLUMNS, _IMAGES}
_CSV_EXAMPLE = "columns case, patient, one for each modality, and label"
_JSON_EXAMPLE = (
    '{"modalities": ["t1", "t2"], "cases": [{"case": "p1", "patient": "p1", "images": ["p1_t1.nii", "p1_t2.nii"], "label": "p1_seg.nii"}]}'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """A case as it is written: its place for messages, and the texts."""

    place: str
    case: str
    patient: str
    images: tuple[str, ...]
    label: str
    label_format: str


class Manifest:
    """A CSV file with a row for each case, or a JSON file that also says what the labels mean."""

    name = "manifest"
    expects = "a .csv or .json file that lists cases; docs/layouts/manifest.md shows one"

    def detect(self, root: Path) -> bool:
        """Whether it is a file of such a name."""
        return root.is_file() and root.suffix.lower() in SUFFIXES

    def cases(self, root: Path) -> Found:
        """Read the list. Whether the files are there is left to the integrity check.

        Raises
        ------
        CrganError
            With everything that is wrong in the list.
        """
        modalities, rows = _read_csv(root) if root.suffix.lower() == ".csv" else _read_json(root)
        problems = [problem for row in rows for problem in _problems(root, row, modalities)]
        if problems:
            raise CrganError(problems)
        cases = tuple(
            Case(
                case_id=row.case,
                patient_id=row.patient or row.case,
                images=tuple(_absolute(root, name) for name in row.images),
                label=_absolute(root, row.label) if row.label else None,
                label_format=row.label_format or None,
            )
            for row in rows
        )
        declared = root.suffix.lower() == ".json" and bool({"classes", "labels"} & {*read_json(root)})
        return Found(cases=cases, modalities=modalities, labels=read_scheme(root) if declared else None)


def write_manifest(path: Path, dataset: Dataset) -> None:
    """Write down the cases of a data set, with paths relative to the file.

    Reading a JSON file back gives the same cases, modalities and labels; a CSV file has no place for what labels mean.

    Raises
    ------
    CrganError
        If the name ends in neither ``.csv`` nor ``.json``, or the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise fail("The manifest's name has another ending.", where=path, expected=" or ".join(SUFFIXES), got=path.suffix, fix="rename it")
    if suffix == ".csv":
        _write_csv(path, dataset)
        return
    scheme = {} if dataset.labels is None else dataset.labels.to_json()
    cases = [
        {
            _CASE: case.case_id,
            _PATIENT: case.patient_id,
            _IMAGES: [_relative(path, image) for image in case.images],
            _LABEL: None if case.label is None else _relative(path, case.label),
            **({} if case.label_format is None else {_FORMAT: case.label_format}),
        }
        for case in dataset.cases
    ]
    write_json(path, {"modalities": list(dataset.modalities), **scheme, "cases": cases})


def _read_csv(path: Path) -> tuple[tuple[str, ...], list[_Row]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise fail("The manifest could not be read.", where=path, got=str(error), fix="write it as UTF-8 text") from error
    delimiter = max(",;\t", key=text.split("\n", 1)[0].count)  # spreadsheets write what their language is used to
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter)
    try:
        table = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise fail("The manifest is no table.", where=path, expected=_CSV_EXAMPLE, got=str(error), fix="write it as CSV") from error
    columns = table[0][1] if table else []
    modalities = tuple(name for name in columns if name not in _COLUMNS)
    if _CASE not in columns or not modalities or len(set(columns)) < len(columns):
        raise fail(
            "The manifest has other columns.", where=path, expected=_CSV_EXAMPLE, got=", ".join(columns) or "nothing", fix="name them so"
        )
    rows = []
    for number, cells in table[1:]:
        if not any(cells):
            continue
        if len(cells) > len(columns):
            got = f"{len(cells)} fields under {len(columns)} columns"
            raise fail("A line of the manifest is too long.", where=f"{path}, line {number}", got=got, fix='write paths with commas in "…"')
        values = dict(zip(columns, [*cells, *[""] * (len(columns) - len(cells))], strict=True))
        images = tuple(values[name] for name in modalities)
        # A file that holds all modalities stands in every column.
        images = images[:1] if len(images) > 1 and len(set(images)) == 1 and images[0] else images
        rows.append(_row(f"line {number}", values, images))
    return modalities, rows


def _read_json(path: Path) -> tuple[tuple[str, ...], list[_Row]]:
    data = read_json(path)
    try:
        _no_others(data, _TOP)
        rows = []
        for number, entry in enumerate(data["cases"], start=1):
            _no_others(entry, _ROW)
            images = tuple(str(name) for name in _listed(entry[_IMAGES]))
            rows.append(_row(f"case {number}", entry, images))
        return tuple(str(name) for name in _listed(data["modalities"])), rows
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        got = f"{type(error).__name__}: {error}"
        raise fail("The file is no manifest.", where=path, expected=_JSON_EXAMPLE, got=got, fix="write it like the example") from error


def _row(place: str, values: Mapping[str, Any], images: tuple[str, ...]) -> _Row:
    case, patient, label, label_format = ("" if values.get(key) is None else str(values[key]) for key in (_CASE, _PATIENT, _LABEL, _FORMAT))
    return _Row(place=place, case=case, patient=patient, images=images, label=label, label_format=label_format)


def _no_others(data: Mapping[str, Any], known: set[str]) -> None:
    others = sorted(set(data.keys()) - known)
    if others:
        message = f"unknown {', '.join(others)}"
        raise ValueError(message)


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, list):
        message = f"{value!r} where a list was meant"
        raise TypeError(message)
    return value


def _problems(path: Path, row: _Row, modalities: Sequence[str]) -> Iterator[Problem]:
    where = f"{path}, {row.place}"
    if not row.case:
        yield Problem(what="A case of the manifest has no name.", where=where, expected="text under case", fix="give it one")
    if len(row.images) not in (1, len(modalities)):
        count = f"{len(modalities)} files ({', '.join(modalities)}), or one that holds all"
        got = f"{len(row.images)}"
        yield Problem(
            what="A case of the manifest has another number of images.", where=where, expected=count, got=got, fix="list them all"
        )
    if row.label_format and row.label_format not in LABEL_FORMATS:
        known = ", ".join(sorted(LABEL_FORMATS))
        got = row.label_format
        yield Problem(what="A label of the manifest has a format that is not known.", where=where, expected=known, got=got, fix="use one")
    for name, modality in zip(row.images, modalities, strict=False):
        if not name:
            yield Problem(
                what=f"A case of the manifest has no {modality}.",
                where=where,
                expected="the path of a file",
                fix="give it, or leave out the case or the modality",
            )


def _write_csv(path: Path, dataset: Dataset) -> None:
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        formats = any(case.label_format is not None for case in dataset.cases)
        writer.writerow([_CASE, _PATIENT, *dataset.modalities, _LABEL, *([_FORMAT] if formats else [])])
        for case in dataset.cases:
            images = [_relative(path, image) for image in case.images]
            images = images * len(dataset.modalities) if len(images) == 1 else images
            label = "" if case.label is None else _relative(path, case.label)
            writer.writerow([case.case_id, case.patient_id, *images, label, *([case.label_format or ""] if formats else [])])


def _relative(manifest: Path, file: Path) -> str:
    """A path as the manifest names it, with forward slashes; absolute where there is no way from one to the other."""
    try:
        return Path(os.path.relpath(file, manifest.parent)).as_posix()
    except ValueError:  # another drive
        return file.resolve().as_posix()


def _absolute(manifest: Path, name: str) -> Path:
    return Path(os.path.normpath(manifest.parent / name))
