"""Which mask is held against which label, whose they are, and whether they lie on the same grid."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from crgan.cases.files import is_image, read_geometry, split_suffix
from crgan.cases.volume import Geometry
from crgan.errors import CrganError, Problem, fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A predicted mask and the label it is held against."""

    case_id: str
    mask: Path
    label: Path
    label_format: str | None = None


def find_masks(masks: Path) -> dict[str, Path]:
    """Find the masks of a folder by case id: the image files right in it.

    Raises
    ------
    CrganError
        If the folder is missing, or two files are masks of one case.
    """
    if not masks.is_dir():
        raise fail("There is no such folder of masks.", where=masks, fix="give the folder that crgan predict wrote to")
    files: dict[str, Path] = {}
    for path in sorted(masks.iterdir()):
        if path.is_file() and is_image(path):
            case_id, _ = split_suffix(path)
            if case_id in files:
                raise fail(
                    "Two masks are of the same case.", where=masks, got=f"{files[case_id].name}, {path.name}", fix="remove one of them"
                )
            files[case_id] = path
    return files


def pair_up(
    mask_files: Mapping[str, Path],
    label_files: Mapping[str, Path],
    *,
    masks: Path,
    labels: Path,
    cases: Sequence[str] | None,
    formats: Mapping[str, str] = MappingProxyType({}),
) -> list[Pair]:
    """Put the mask and the label of every case to score together.

    Parameters
    ----------
    mask_files, label_files
        By case id.
    masks, labels
        The folders they come from, for messages.
    cases
        Ids of the cases to score; None takes every label.
    formats
        How labels are read that are not one label map in an image file, by case id.

    Raises
    ------
    CrganError
        With every label that lacks its mask, every mask that lacks its label, and every id that is not known; or if
        there is nothing to score.
    """
    wanted = sorted(set(label_files)) if cases is None else list(dict.fromkeys(cases))
    problems = [
        Problem(what=f"Case {case} has no label.", where=labels, got=some(label_files), fix="correct the case id, or the folder of labels")
        for case in wanted
        if case not in label_files
    ]
    problems += [
        Problem(
            what=f"The label of case {case} has no mask.",
            where=label_files[case],
            expected=f"{masks / case}.*",
            fix="predict this case too, or name the cases to score (--cases)",
        )
        for case in wanted
        if case in label_files and case not in mask_files
    ]
    problems += [
        Problem(
            what=f"The mask of case {case} has no label.",
            where=path,
            got=some(label_files),
            fix=f"add its label to {labels}, or remove the mask",
        )
        for case, path in mask_files.items()
        if case not in label_files
    ]
    if not wanted:
        problems.append(Problem(what="There is no case to score.", where=labels, expected="at least one label with its mask"))
    if problems:
        raise CrganError(problems)
    return [Pair(case_id=case, mask=mask_files[case], label=label_files[case], label_format=formats.get(case)) for case in wanted]


def check_grids(pairs: Sequence[Pair]) -> None:
    """Compare the headers of all masks and labels, before any voxel is read; labels without a header wait until they are.

    Raises
    ------
    CrganError
        With every pair that lies on different grids, every map of several channels, every header that cannot be read.
    """
    problems: list[Problem] = []
    for pair in pairs:
        try:
            mask, channels = read_geometry(pair.mask)
            label, label_channels = (mask, 1) if pair.label_format else read_geometry(pair.label)
        except CrganError as error:
            problems += error.problems
            continue
        for path, count in ((pair.mask, channels), (pair.label, label_channels)):
            if count != 1:
                problems.append(Problem(what="A label map has one channel.", where=path, expected="1 channel", got=f"{count} channels"))
        try:
            check_grid(pair, mask, label)
        except CrganError as error:
            problems += error.problems
    if problems:
        raise CrganError(problems)


def check_grid(pair: Pair, mask: Geometry, label: Geometry) -> None:
    """Compare the grids of a mask and its label.

    Raises
    ------
    CrganError
        If they differ.
    """
    if mask.matches(label):
        return
    shapes = mask.shape != label.shape
    raise fail(
        "The mask and the label are of different shape." if shapes else "The mask and the label lie in different places.",
        where=pair.mask,
        expected=f"the grid of {pair.label}: {_describe(label.shape, label.spacing_mm, label.orientation)}",
        got=_describe(mask.shape, mask.spacing_mm, mask.orientation),
        fix="score masks that lie on their image's own grid, as crgan predict writes them",
    )


def find_patients(pairs: Sequence[Pair], labels: Path, group: str | None) -> dict[str, str]:
    """Tell whose each case is, by case id.

    Parameters
    ----------
    pairs
        The cases.
    labels
        The folder of the labels.
    group
        Regular expression, searched in the case id and then in the label's path below ``labels``: its first group, or
        all it matches, is the patient. None: the label's folder, if the labels lie in several; else the case itself.

    Raises
    ------
    CrganError
        If ``group`` is no regular expression or finds no patient in some case.
    """
    if group is None:
        folders = {pair.label.parent for pair in pairs}
        return {pair.case_id: pair.case_id if len(folders) == 1 else str(pair.label.parent) for pair in pairs}
    try:
        expression = re.compile(group)
    except re.error as error:
        what = "--group is not a regular expression."
        raise fail(what, where=group, got=str(error), fix='for example --group "^(patient\\d+)"') from error
    patients: dict[str, str] = {}
    for pair in pairs:
        relative = pair.label.relative_to(labels).as_posix() if pair.label.is_relative_to(labels) else pair.label.name
        match = expression.search(pair.case_id) or expression.search(relative)
        if match is not None:
            patients[pair.case_id] = match[1] if expression.groups else match[0]
    strangers = [pair.case_id for pair in pairs if not patients.get(pair.case_id)]
    if strangers:
        raise fail(
            "--group finds no patient in some cases.",
            where=group,
            expected="a match in every case id",
            got=some(strangers),
            fix='write an expression that fits every case, for example --group "^(patient\\d+)"',
        )
    return patients


def _describe(shape: Sequence[int], spacing_mm: Sequence[float], orientation: str) -> str:
    size, spacing = " × ".join(map(str, shape)), " × ".join(f"{edge:.4g}" for edge in spacing_mm)
    return f"{size} voxels of {spacing} mm, axes to {orientation}"


def some(names: Iterable[object], *, most: int = 8) -> str:
    """List the first few names, and say how many more there are."""
    listed = [str(name) for name in names]
    if not listed:
        return "none"
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
