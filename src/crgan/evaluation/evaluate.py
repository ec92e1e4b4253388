"""Score a folder of masks against the experts' labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crgan.cases.files import read_labels
from crgan.cases.label_formats import read_label
from crgan.cases.labels import IGNORED, LabelScheme
from crgan.cases.layouts import open_labels
from crgan.cases.schemes import declared_scheme, ignoring
from crgan.errors import CrganError, Problem, fail
from crgan.evaluation.images import Imaged, find_images, read_foreground
from crgan.evaluation.metrics import DEFAULT, Choices, Empty, Metrics, measure, measure_instances
from crgan.evaluation.overlap import Mask
from crgan.evaluation.page import write_page
from crgan.evaluation.pairs import Pair, check_grid, check_grids, find_masks, find_patients, pair_up, some
from crgan.evaluation.scores import Scores
from crgan.executors import open_executor, work_through
from crgan.progress import Progress, Silent

OUTPUTS = ("scores.json", "scores.csv", "report.html")


def evaluate(
    masks: Path,
    labels: Path,
    *,
    out: Path | None,
    cases: Sequence[str] | None = None,
    images: Path | None = None,
    empty: Empty = "null",
    tolerance_mm: float = DEFAULT.tolerance_mm,
    lesion_splits_mm: Sequence[float] = DEFAULT.lesion_splits_mm,
    without: Sequence[str] = (),
    workers: int | None = None,
    scheduler: str | None = None,
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
    images
        The images, in any layout; they tell where the body is, for ``fpr_foreground``. Without them it is None.
    empty, tolerance_mm, lesion_splits_mm, without
        What an empty truth gives, how close two surfaces count as one, which diameters divide lesions into size
        classes, and which groups of figures to leave out; see :class:`crgan.evaluation.metrics.Choices`.
    workers
        Cases to work on at a time; None takes one per processor.
    scheduler
        Address of a Dask scheduler, to work on its workers instead.
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
    masks, labels, images = Path(masks), Path(labels), None if images is None else Path(images)
    if scheduler is not None:  # its workers are elsewhere
        masks, labels, images = masks.absolute(), labels.absolute(), None if images is None else images.absolute()
    choices = _choices(empty=empty, tolerance_mm=tolerance_mm, lesion_splits_mm=lesion_splits_mm, without=without)
    if out is not None:
        _refuse_old_scores(Path(out), overwrite=overwrite)
    mask_files = find_masks(masks)
    truth = open_labels(labels, layout=layout, pattern=pattern)
    scheme = _scheme(masks, truth.scheme)
    pairs = pair_up(mask_files, truth.files, masks=masks, labels=labels, cases=cases, formats=truth.formats)
    check_grids(pairs)
    imaged = {} if images is None else find_images(images, pairs, labels=labels, layout=layout, pattern=pattern)
    patients = find_patients(pairs, labels, group)
    schemes = (scheme, _truth_scheme(scheme, truth.scheme))
    # Threads, not processes: reading, comparing and distances all run outside Python's lock, and nothing has to be started or sent.
    # Each thread holds one case at a time.
    with ThreadPoolExecutor(workers or os.cpu_count()) if scheduler is None else open_executor(workers, scheduler) as executor:
        cases_scored = _score_all(pairs, schemes, imaged, choices=choices, executor=executor, progress=progress or Silent())
    scores = Scores.of(cases_scored, patients=patients, settings=asdict(choices))
    if out is not None:
        scores.write_json(Path(out) / "scores.json")
        scores.write_csv(Path(out) / "scores.csv")
        write_page(Path(out) / "report.html", scores, masks=masks, labels=labels, choices=choices)
    return scores


def score_case(
    prediction: NDArray[np.generic],
    truth: NDArray[np.generic],
    scheme: LabelScheme,
    *,
    spacing_mm: Sequence[float],
    choices: Choices = DEFAULT,
    foreground: Mask | None = None,
    truth_scheme: LabelScheme | None = None,
) -> dict[str, Metrics]:
    """Score one label map against another, target by target; instances as one mask and as objects.

    Parameters
    ----------
    prediction, truth
        Maps of label values, of one shape.
    scheme
        What the values of the prediction mean.
    spacing_mm
        Distance of neighbouring voxels along each axis.
    choices, foreground
        What to measure, and where the body is; see :func:`crgan.evaluation.metrics.measure`. If the maps hold
        instances, these are compared and not lesions.
    truth_scheme
        What the values of the truth mean, if they are others for the same targets.
    """
    instances, truth_scheme = scheme.instances, truth_scheme or scheme
    predicted = scheme.as_one().encode(scheme.merge(prediction))
    true = truth_scheme.as_one().encode(truth_scheme.merge(truth))
    scheme, truth_scheme = scheme.as_one(), truth_scheme.as_one()
    if instances:
        choices = replace(choices, without=(*choices.without, "lesions"))
    known = true != IGNORED if truth_scheme.ignore is not None else None
    scored = {
        target: measure(
            scheme.mask(target, predicted),
            truth_scheme.mask(target, true),
            spacing_mm=spacing_mm,
            choices=choices,
            foreground=foreground,
            within=known,
        )
        for target in scheme.targets
    }
    if instances:
        objects = measure_instances(prediction, truth, within=known)
        scored = {target: metrics | objects for target, metrics in scored.items()}
    return scored


def _choices(*, empty: Empty, tolerance_mm: float, lesion_splits_mm: Sequence[float], without: Sequence[str]) -> Choices:
    try:
        return Choices(empty=empty, tolerance_mm=tolerance_mm, lesion_splits_mm=tuple(lesion_splits_mm), without=tuple(without))
    except ValueError as error:
        raise fail(
            "The settings of the evaluation do not fit.", got=str(error), fix="correct --tolerance, --lesion-split or --without"
        ) from error


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


def _truth_scheme(scheme: LabelScheme, label_scheme: LabelScheme | None) -> LabelScheme:
    """What the experts' values mean: where the same targets have other values (BraTS moved ET from 4 to 3), the labels say."""
    if label_scheme is None:
        return scheme
    if label_scheme.targets != scheme.targets:
        return ignoring(scheme, label_scheme.ignore)
    return label_scheme if label_scheme.ignore is not None else ignoring(label_scheme, scheme.ignore)


def _score_all(
    pairs: Sequence[Pair],
    schemes: tuple[LabelScheme, LabelScheme],
    imaged: Mapping[str, Imaged],
    *,
    choices: Choices,
    executor: Executor,
    progress: Progress,
) -> dict[str, dict[str, Metrics]]:
    """Score all cases; whatever is wrong with any of them is told together at the end."""
    scored: dict[str, dict[str, Metrics]] = {}
    problems: list[Problem] = []
    work = partial(_score_pair, schemes=schemes, choices=choices)
    with progress.task("scoring", len(pairs)) as task:
        for case_id, result in work_through(executor, work, {pair.case_id: (pair, imaged.get(pair.case_id)) for pair in pairs}):
            if isinstance(result, list):
                problems += result
            else:
                scored[case_id] = result
            task.advance()
    if problems:
        raise CrganError(problems)
    return {pair.case_id: scored[pair.case_id] for pair in pairs}


def _score_pair(
    case: tuple[Pair, Imaged | None], *, schemes: tuple[LabelScheme, LabelScheme], choices: Choices
) -> dict[str, Metrics] | list[Problem]:
    """Figures of one case, or what is wrong with its files."""
    pair, imaged = case
    try:
        mask = read_labels(pair.mask)
        label = read_label(pair.label, pair.label_format, image=mask.geometry)
        check_grid(pair, mask.geometry, label.geometry)
        foreground = None if imaged is None else read_foreground(imaged, label.geometry)
    except CrganError as error:
        return list(error.problems)
    problems = [
        problem
        for path, array, scheme in zip((pair.mask, pair.label), (mask.array, label.array), schemes, strict=True)
        if (problem := _undeclared(path, array, scheme)) is not None
    ]
    if problems:
        return problems
    spacing_mm = label.geometry.spacing_mm
    scheme, truth_scheme = schemes
    return score_case(
        mask.array[0],
        label.array[0],
        scheme,
        spacing_mm=spacing_mm,
        choices=choices,
        foreground=foreground,
        truth_scheme=truth_scheme,
    )


def _undeclared(path: Path, array: NDArray[np.generic], scheme: LabelScheme) -> Problem | None:
    """Tell of label values that the scheme does not know; instance ids may be anything from 0 up."""
    if scheme.instances:
        negative = [value for value in np.unique(array).tolist() if value < 0 and value != scheme.ignore]
        if not negative:
            return None
        return Problem(
            what="The file holds negative instance ids.", where=path, expected="0 for background, ids from 1 up", got=some(negative)
        )
    strange = [value for value in np.unique(array).tolist() if value not in scheme.declared]
    if not strange:
        return None
    return Problem(
        what="The file holds label values that nobody declared.",
        where=path,
        expected=some(scheme.declared),
        got=some(strange),
        fix="declare them in labels.json beside the masks, or correct the file",
    )
