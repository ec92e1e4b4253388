"""Score a folder of masks against the experts' labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

from crgan.cases.files import read_geometry
from crgan.cases.layouts import open_labels
from crgan.errors import CrganError, Problem, fail
from crgan.evaluation.case import CaseScores, score_case
from crgan.evaluation.evidence import Evaluation
from crgan.evaluation.images import Imaged, find_images, read_foreground
from crgan.evaluation.metrics import CALIBRATION, DEFAULT, Choices, Empty, Metrics
from crgan.evaluation.page import write_page
from crgan.evaluation.pairs import Pair, check_grids, find_masks, find_patients, pair_up
from crgan.evaluation.probabilities import Maps, find_maps, read_maps
from crgan.evaluation.reading import Schemes, find_schemes, read_pair
from crgan.evaluation.review_files import WORKLOAD, read_ranks, write_workload
from crgan.evaluation.scores import Scores, write_lesions
from crgan.executors import open_executor, work_through
from crgan.progress import Progress, Silent

Item = tuple[Pair, Imaged | None, Maps]
"""The files of a case: its mask and label, its image, its probability maps."""
OUTPUTS = ("scores.json", "scores.csv", "lesions.csv", WORKLOAD, "report.html")


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
    command: str | None = None,
    progress: Progress | None = None,
) -> Scores:
    """Score every mask of a folder and write ``scores.json``, ``scores.csv``, ``lesions.csv`` and ``report.html``.

    Where probability maps lie beside the masks, as ``crgan predict --probabilities`` writes them, calibration is measured too;
    where places to look at again do (``--where-to-look``), ``where_to_look.csv`` tells what looking brings.

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
        The images, in any layout. They tell where the body is, for ``fpr_foreground``, which is None without them, and for
        calibration; and the report shows them below the outlines.
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
    command
        The command line that asked for it, which the report quotes.
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
    schemes = find_schemes(masks, truth.scheme)
    pairs = pair_up(mask_files, truth.files, masks=masks, labels=labels, cases=cases, formats=truth.formats)
    check_grids(pairs)
    imaged = {} if images is None else find_images(images, pairs, labels=labels, layout=layout, pattern=pattern)
    patients = find_patients(pairs, labels, group)
    maps = find_maps(masks, pairs, schemes.mask)
    items = {pair.case_id: (pair, imaged.get(pair.case_id), maps.get(pair.case_id, {})) for pair in pairs}
    # Threads, not processes: reading, comparing and distances all run outside Python's lock, and nothing has to be started or sent.
    # Each thread holds one case at a time.
    with ThreadPoolExecutor(workers or os.cpu_count()) if scheduler is None else open_executor(workers, scheduler) as executor:
        found = _score_all(items, schemes, choices=choices, executor=executor, progress=progress or Silent())
    settings = asdict(choices) | ({"calibration_within": "box" if images is None else "foreground"} if maps else {})
    scores = Scores.of(_all_metrics(found, calibrated=bool(maps)), patients=patients, settings=settings)
    if out is not None:
        out = Path(out)
        scores.write_json(out / "scores.json")
        scores.write_csv(out / "scores.csv")
        write_lesions(out / "lesions.csv", found)
        write_workload(out / WORKLOAD, found)
        write_page(
            out / "report.html",
            Evaluation(
                scores=scores,
                found=found,
                pairs=pairs,
                schemes=schemes,
                imaged=imaged,
                choices=choices,
                flat=read_geometry(pairs[0].mask)[0].dimensions == 2,
            ),
            settings={
                "command": command or "called from Python",
                "masks": masks,
                "labels": labels,
                "images": images or "none given",
                "cases": f"{len(pairs)} of the {len(truth.files)} that have a label",
                "patients": f"{len(set(patients.values()))}" + (f", told apart by {group}" if group else ""),
            },
        )
    return scores


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


def _score_all(
    items: Mapping[str, Item],
    schemes: Schemes,
    *,
    choices: Choices,
    executor: Executor,
    progress: Progress,
) -> dict[str, CaseScores]:
    """Score all cases; whatever is wrong with any of them is told together at the end."""
    scored: dict[str, CaseScores] = {}
    problems: list[Problem] = []
    work = partial(_score_pair, schemes=schemes, choices=choices)
    with progress.task("scoring", len(items)) as task:
        for case_id, result in work_through(executor, work, items):
            if isinstance(result, list):
                problems += result
            else:
                scored[case_id] = result
            task.advance()
    if problems:
        raise CrganError(problems)
    return {case_id: scored[case_id] for case_id in items}


def _score_pair(item: Item, *, schemes: Schemes, choices: Choices) -> CaseScores | list[Problem]:
    """Everything that is measured of one case, or what is wrong with its files."""
    pair, imaged, maps = item
    try:
        mask, label = read_pair(pair, schemes)
        foreground = None if imaged is None else read_foreground(imaged, label.geometry)
        probabilities = read_maps(maps, label.geometry)
        ranks = read_ranks(pair, label.geometry)
    except CrganError as error:
        return list(error.problems)
    return score_case(
        mask.array[0],
        label.array[0],
        schemes.mask,
        spacing_mm=label.geometry.spacing_mm,
        choices=choices,
        foreground=foreground,
        truth_scheme=schemes.truth,
        probabilities=probabilities,
        ranks=ranks,
    )


def _all_metrics(found: Mapping[str, CaseScores], *, calibrated: bool) -> dict[str, dict[str, Metrics]]:
    """The figures of all cases; those of probabilities are None in cases without a map, if others have one."""
    absent: Metrics = dict.fromkeys(CALIBRATION) if calibrated else {}
    return {case: {target: metrics | absent | metrics for target, metrics in scored.metrics.items()} for case, scored in found.items()}
