"""Score a folder of masks against the experts' labels."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crgan.cases.files import is_image, read_geometry, read_labels, split_suffix
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import open_labels
from crgan.cases.schemes import declared_scheme
from crgan.errors import CrganError, Problem, fail
from crgan.evaluation.metrics import Empty, Metrics, measure
from crgan.evaluation.page import write_page
from crgan.evaluation.scores import Scores
from crgan.progress import Progress, Silent

OUTPUTS = ("scores.json", "scores.csv", "report.html")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A predicted mask and the label it is held against."""

    case_id: str
    mask: Path
    label: Path


def evaluate(
    masks: Path,
    labels: Path,
    *,
    out: Path | None,
    cases: Sequence[str] | None = None,
    empty: Empty = "null",
    workers: int | None = None,
    overwrite: bool = False,
    layout: str | None = None,
    pattern: str | None = None,
    group: str | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Score every mask of a folder and write ``scores.json``, ``scores.csv`` and ``report.html``.

    Parameters
    ----------
    masks
        Folder of predicted masks, ``CASE_ID.nii.gz`` or another image format, with ``labels.json`` beside them.
    labels
        The experts' labels, in any layout.
    out
        Folder to write to; None writes nothing.
    cases
        Score these cases alone. Without it every label must have its mask.
    empty
        What an empty truth gives; see :func:`crgan.evaluation.metrics.measure`.
    workers
        Cases to work on at a time; None takes one per processor.
    overwrite
        Replace scores that ``out`` holds already.
    layout, pattern
        How the labels are laid out, where detection needs help.
    group
        Regular expression, searched in the case id and then in the label's path: its first group, or all it matches,
        is the patient. Intervals are over patients; without it the labels' own folders tell whose a case is.
    progress
        Who is told how far it is.

    Returns
    -------
    Scores
        Everything that was written.

    Raises
    ------
    CrganError
        With all problems found: labels without masks, masks without labels, different grids, values that
        ``labels.json`` does not declare, files that cannot be read, an output folder that holds scores.
    """
    masks, labels = Path(masks), Path(labels)
    if out is not None:
        _refuse_old_scores(Path(out), overwrite=overwrite)
    mask_files = _mask_files(masks)
    label_files, label_scheme = open_labels(labels, layout=layout, pattern=pattern)
    scheme = _scheme(masks, label_scheme)
    pairs = _pair(mask_files, label_files, masks=masks, labels=labels, cases=cases)
    _check_grids(pairs)
    patients = _patients(pairs, labels, group)
    scores = Scores.of(_score_all(pairs, scheme, empty=empty, workers=workers, progress=progress or Silent()), patients=patients)
    if out is not None:
        scores.write_json(Path(out) / "scores.json")
        scores.write_csv(Path(out) / "scores.csv")
        write_page(Path(out) / "report.html", scores, masks=masks, labels=labels, empty=empty, patients=len(set(patients.values())))
    return scores


def score_case(
    prediction: NDArray[np.generic],
    truth: NDArray[np.generic],
    scheme: LabelScheme,
    *,
    spacing_mm: Sequence[float],
    empty: Empty = "null",
) -> dict[str, Metrics]:
    """Score one label map against another, target by target.

    Parameters
    ----------
    prediction, truth
        Maps of label values, of one shape.
    scheme
        What the values mean.
    spacing_mm
        Distance of neighbouring voxels along each axis.
    empty
        What an empty truth gives; see :func:`crgan.evaluation.metrics.measure`.
    """
    table = scheme.table()
    predicted, true = scheme.encode(prediction), scheme.encode(truth)
    return {
        target: measure(members[predicted], members[true], spacing_mm=spacing_mm, empty=empty)
        for target, members in zip(scheme.targets, table, strict=True)
    }


def _refuse_old_scores(out: Path, *, overwrite: bool) -> None:
    old = [name for name in OUTPUTS if (out / name).exists()]
    if old and not overwrite:
        raise fail(
            "The output folder holds scores already.",
            where=out,
            got=", ".join(old),
            fix="choose another folder, or allow them to be replaced (--overwrite)",
        )


def _scheme(masks: Path, label_scheme: LabelScheme | None) -> LabelScheme:
    """Take the label scheme beside the masks, else the one that the labels come with."""
    scheme = declared_scheme(masks) or label_scheme
    if scheme is None:
        raise fail(
            "Nothing says what the label values mean.",
            where=masks,
            expected="labels.json beside the masks, as crgan predict writes it",
            fix='write it, for example {"classes": {"1": "lesion"}}',
        )
    return scheme


def _mask_files(masks: Path) -> dict[str, Path]:
    """Mask by case id: the image files right in the folder."""
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


def _pair(
    mask_files: Mapping[str, Path], label_files: Mapping[str, Path], *, masks: Path, labels: Path, cases: Sequence[str] | None
) -> list[Pair]:
    """Find the mask and the label of every case to score."""
    wanted = sorted(set(label_files)) if cases is None else list(dict.fromkeys(cases))
    problems = [
        Problem(what=f"Case {case} has no label.", where=labels, got=_some(label_files), fix="correct the case id, or the folder of labels")
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
            got=_some(label_files),
            fix=f"add its label to {labels}, or remove the mask",
        )
        for case, path in mask_files.items()
        if case not in label_files
    ]
    if not wanted:
        problems.append(Problem(what="There is no case to score.", where=labels, expected="at least one label with its mask"))
    if problems:
        raise CrganError(problems)
    return [Pair(case_id=case, mask=mask_files[case], label=label_files[case]) for case in wanted]


def _check_grids(pairs: Sequence[Pair]) -> None:
    """Compare the headers of all masks and labels before any voxel is read."""
    problems: list[Problem] = []
    for pair in pairs:
        try:
            mask, channels = read_geometry(pair.mask)
            label, label_channels = read_geometry(pair.label)
        except CrganError as error:
            problems += error.problems
            continue
        for path, count in ((pair.mask, channels), (pair.label, label_channels)):
            if count != 1:
                problems.append(Problem(what="A label map has one channel.", where=path, expected="1 channel", got=f"{count} channels"))
        if not mask.matches(label):
            what = (
                "The mask and the label are of different shape."
                if mask.shape != label.shape
                else "The mask and the label lie in different places."
            )
            problems.append(
                Problem(
                    what=what,
                    where=pair.mask,
                    expected=f"the grid of {pair.label}: {_describe(label.shape, label.spacing_mm, label.orientation)}",
                    got=_describe(mask.shape, mask.spacing_mm, mask.orientation),
                    fix="score masks that lie on their image's own grid, as crgan predict writes them",
                )
            )
    if problems:
        raise CrganError(problems)


def _patients(pairs: Sequence[Pair], labels: Path, group: str | None) -> dict[str, str]:
    """Tell whose each case is: what ``group`` finds; else the label's folder, if labels lie in several; else the case itself."""
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
            got=_some(strangers),
            fix='write an expression that fits every case, for example --group "^(patient\\d+)"',
        )
    return patients


def _score_all(
    pairs: Sequence[Pair], scheme: LabelScheme, *, empty: Empty, workers: int | None, progress: Progress
) -> dict[str, dict[str, Metrics]]:
    """Score all cases; whatever is wrong with any of them is told together at the end."""
    scored: dict[str, dict[str, Metrics]] = {}
    problems: list[Problem] = []
    # Threads, not processes: reading, comparing and distances all run outside Python's lock, and nothing has to be started or sent.
    with progress.task("scoring", len(pairs)) as task, ThreadPoolExecutor(workers or os.cpu_count()) as executor:
        futures = {executor.submit(_score_pair, pair, scheme, empty): pair for pair in pairs}
        try:
            for future in as_completed(futures):
                result = future.result()
                if isinstance(result, list):
                    problems += result
                else:
                    scored[futures[future].case_id] = result
                task.advance()
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise
    if problems:
        raise CrganError(problems)
    return {pair.case_id: scored[pair.case_id] for pair in pairs}


def _score_pair(pair: Pair, scheme: LabelScheme, empty: Empty) -> dict[str, Metrics] | list[Problem]:
    """Figures of one case, or what is wrong with its files."""
    try:
        mask, label = read_labels(pair.mask), read_labels(pair.label)
    except CrganError as error:
        return list(error.problems)
    problems = [
        problem
        for path, array in ((pair.mask, mask.array), (pair.label, label.array))
        if (problem := _undeclared(path, array, scheme)) is not None
    ]
    if problems:
        return problems
    return score_case(mask.array[0], label.array[0], scheme, spacing_mm=label.geometry.spacing_mm, empty=empty)


def _undeclared(path: Path, array: NDArray[np.generic], scheme: LabelScheme) -> Problem | None:
    """Tell of label values that the scheme does not know; instance ids may be anything."""
    if scheme.instances:
        return None
    strange = [value for value in np.unique(array).tolist() if value not in scheme.values]
    if not strange:
        return None
    return Problem(
        what="The file holds label values that nobody declared.",
        where=path,
        expected=_some(scheme.values),
        got=_some(strange),
        fix="declare them in labels.json beside the masks, or correct the file",
    )


def _describe(shape: Sequence[int], spacing_mm: Sequence[float], orientation: str) -> str:
    size, spacing = " × ".join(map(str, shape)), " × ".join(f"{edge:.4g}" for edge in spacing_mm)
    return f"{size} voxels of {spacing} mm, axes to {orientation}"


def _some(names: Iterable[object], *, most: int = 8) -> str:
    """The first few names, and how many more there are."""
    listed = [str(name) for name in names]
    if not listed:
        return "none"
    return ", ".join(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
