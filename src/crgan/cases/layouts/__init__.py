"""Layouts: how the files of a data set are laid out in folders, and opening one that is not known beforehand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from crgan.cases.case import Case, Dataset
from crgan.cases.files import read_geometry, read_labels, split_suffix
from crgan.cases.label_formats import read_label
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import nnunet
from crgan.cases.layouts.bids import Bids
from crgan.cases.layouts.brats import Brats
from crgan.cases.layouts.celldetect import CellDetect
from crgan.cases.layouts.ctc import CellTracking
from crgan.cases.layouts.dicom import Dicom
from crgan.cases.layouts.dsb2018 import Dsb2018
from crgan.cases.layouts.found import Found, Layout, entries, image_files, label_files
from crgan.cases.layouts.lits import Lits
from crgan.cases.layouts.manifest import Manifest
from crgan.cases.layouts.msd import Msd, scheme_beside
from crgan.cases.layouts.paired import Paired
from crgan.cases.layouts.patient_folders import PatientFolders
from crgan.cases.layouts.pattern import Pattern
from crgan.cases.layouts.plain import Plain
from crgan.cases.schemes import declared_scheme, discover_scheme, ignoring
from crgan.cases.volume import Volume
from crgan.errors import CrganError, fail

LAYOUTS: tuple[Layout, ...] = (
    *(Manifest(), Brats(), Lits(), nnunet.NnUNet(), Msd(), Dicom(), Bids(), CellTracking(), Dsb2018(), CellDetect()),
    *(Paired(), PatientFolders(), Plain()),
)
"""All layouts; the first that detects itself is taken."""

__all__ = ["LAYOUTS", "Found", "Labels", "Layout", "open_dataset", "open_labels"]


def open_dataset(
    root: Path | str,
    *,
    layout: str | None = None,
    pattern: str | None = None,
    group: str | None = None,
    labels: LabelScheme | None = None,
    ignore: int | None = None,
    need_labels: bool = False,
    ignore_labels: bool = False,
) -> Dataset:
    """Find the cases in a folder.

    Parameters
    ----------
    root
        A folder, or a single image file.
    layout
        Name of the layout, where detection needs help.
    pattern
        File names, as in ``"{patient}/{case}_{modality}.nii.gz"``, instead of a layout.
    group
        Regular expression, searched in the case id and then in the image's path relative to ``root``: its first
        group, or all it matches, is the patient.
    labels
        What the label values mean. Otherwise a ``labels.json`` in the folder or the layout declares it, or else
        the values are found out by reading all label files and called "class 1" and so on.
    ignore
        Label value of voxels that nobody annotated, where the folder itself does not declare one.
    need_labels
        Raise if no case has a label.
    ignore_labels
        Take the images alone, as if there were no label files.

    Returns
    -------
    Dataset
        Cases sorted by id. Nothing has been checked but names: that is :func:`crgan.cases.integrity.check_cases`.

    Raises
    ------
    CrganError
        If the folder is missing, empty, or laid out in no known way; if a case has two label files; if ``group``
        matches nothing in some case.
    """
    root = Path(root)
    chosen = _choose(root, layout=layout, pattern=pattern)
    found = chosen.cases(root)
    if ignore_labels:
        found = _without_labels(found)
    if found.ambiguous:
        raise CrganError(found.ambiguous)
    if not found.cases:
        raise fail("There are no images.", where=root, expected=chosen.expects, fix="check the path")
    cases = found.cases if group is None else _grouped(found.cases, root, group)
    if need_labels and not any(case.label is not None for case in cases):
        raise fail(
            "No case has a label.",
            where=root,
            expected=chosen.expects,
            got=f"{len(cases)} images, no labels",
            fix="add label files beside the images, or tell their names with --pattern",
        )
    # What the user wrote down beside the images is more certain than what a layout usually means.
    scheme = labels or (declared_scheme(root) if root.is_dir() else None) or found.labels or _discover(cases)
    return Dataset(
        root=root,
        layout=chosen.name,
        cases=tuple(sorted(cases, key=lambda case: case.case_id)),
        modalities=found.modalities,
        labels=None if scheme is None else ignoring(scheme, ignore),
        warnings=found.warnings,
    )


class Labels(NamedTuple):
    """The labels of a folder.

    Parameters
    ----------
    files
        Label file by case id, sorted.
    scheme
        What ``labels.json``, ``dataset.json`` or the data set declare; None if nothing does.
    formats
        The :attr:`~crgan.cases.case.Case.label_format` by case id, of those that have one.
    """

    files: dict[str, Path]
    scheme: LabelScheme | None
    formats: Mapping[str, str] = MappingProxyType({})


def open_labels(root: Path | str, *, layout: str | None = None, pattern: str | None = None, group: str | None = None) -> Labels:
    """Find label files by case id, to compare masks with.

    Parameters
    ----------
    root
        A folder of label files (what ``predict`` wrote, ``labelsTs``, ``labels``), of which those right in it count;
        a labelled data set in any layout; or a single file.
    layout, pattern, group
        As in :func:`open_dataset`.

    Raises
    ------
    CrganError
        If there are no label files.
    """
    root = Path(root)
    _require_something(root)
    if root.is_file() and not Manifest().detect(root):
        return Labels({split_suffix(root)[0]: root}, declared_scheme(root.parent))
    if layout is None and pattern is None and image_files(root) and not _is_labelled(root):
        scheme = declared_scheme(root) or scheme_beside(root) or nnunet.scheme_beside(root)
        return Labels(dict(sorted(label_files(root).items())), scheme)
    dataset = open_dataset(root, layout=layout, pattern=pattern, group=group, need_labels=True)
    return Labels(
        files={case.case_id: case.label for case in dataset.cases if case.label is not None},
        scheme=dataset.labels,
        formats={case.case_id: case.label_format for case in dataset.labelled if case.label_format is not None},
    )


def _discover(cases: Sequence[Case]) -> LabelScheme | None:
    """The scheme that the values in the label files of these cases give."""
    by_label = {case.label: case for case in cases if case.label is not None}

    def read(path: Path) -> Volume:
        case = by_label[path]
        if case.label_format is None:
            return read_labels(path)
        return read_label(path, case.label_format, image=read_geometry(case.images[0])[0])

    return discover_scheme(list(by_label), read=read)


def _is_labelled(root: Path) -> bool:
    """Whether the images right in the folder have labels beside them: then it is a data set, not a folder of labels."""
    try:
        found = _choose(root, layout=None, pattern=None).cases(root)
    except CrganError:
        return False
    return any(case.label is not None and any(image.exists() for image in case.images) for case in found.cases)


def _choose(root: Path, *, layout: str | None, pattern: str | None) -> Layout:
    """The layout that was asked for or that fits."""
    _require_something(root)
    if layout is not None and layout not in {known.name for known in LAYOUTS}:
        names = ", ".join(known.name for known in LAYOUTS)
        raise fail("There is no such layout.", where="--layout", expected=names, got=layout, fix="use one of these, or --pattern")
    if pattern is not None:
        candidates: tuple[Layout, ...] = (Pattern(pattern),)
    else:
        candidates = tuple(known for known in LAYOUTS if layout in (None, known.name))
    for candidate in candidates:
        if candidate.detect(root):
            return candidate
    raise fail(
        "The folder is not laid out in a known way.",
        where=root,
        expected="\n".join(f"{'' if number == 0 else ' ' * 12}{known.name}: {known.expects}" for number, known in enumerate(candidates)),
        got=_content(root),
        fix='rearrange the files, or tell their names: --pattern "{patient}/{case}_{modality}.nii.gz"',
    )


def _require_something(root: Path) -> None:
    if not root.exists():
        raise fail(
            "There is no such folder or file.",
            where=root,
            expected="the folder of a data set, or an image file",
            got="nothing",
            fix="check the path",
        )
    if root.is_dir() and not any(not entry.name.startswith(".") for entry in entries(root)):
        raise fail("The folder is empty.", where=root, expected="a data set", fix="check the path, or copy the images there")


def _content(root: Path) -> str:
    if root.is_file():
        return f"a file named {root.name}"
    names = sorted(entry.name + ("/" if entry.is_dir() else "") for entry in entries(root) if not entry.name.startswith("."))
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _without_labels(found: Found) -> Found:
    """The cases that have an image, without their labels."""
    cases = tuple(replace(case, label=None) for case in found.cases if case.label is None or any(image.exists() for image in case.images))
    return replace(found, cases=cases, ambiguous=())


def _grouped(cases: tuple[Case, ...], root: Path, group: str) -> tuple[Case, ...]:
    """The cases with the patient that the regular expression finds."""
    try:
        expression = re.compile(group)
    except re.error as error:
        raise fail(
            "--group is not a regular expression.", where=group, got=str(error), fix='for example --group "^(patient\\d+)"'
        ) from error
    grouped = []
    for case in cases:
        path = case.images[0]
        relative = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        match = expression.search(case.case_id) or expression.search(relative)
        patient = match and (match[1] if expression.groups else match[0])
        if not patient:
            raise fail(
                f"--group finds no patient in case {case.case_id}.",
                where=relative,
                expected=f"a match of {group}",
                got=f"case id {case.case_id}",
                fix='write an expression that fits every case, for example --group "^(patient\\d+)"',
            )
        grouped.append(replace(case, patient_id=patient))
    return tuple(grouped)
