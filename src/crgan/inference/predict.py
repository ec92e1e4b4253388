"""From a folder of images to a folder of masks, each on its image's own grid."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crgan.cases.canonical import from_canonical, to_canonical
from crgan.cases.case import Case, Dataset
from crgan.cases.files import split_suffix, write_labels, write_map
from crgan.cases.integrity import check_cases
from crgan.cases.layouts import open_dataset
from crgan.cases.reading import read_image
from crgan.errors import CrganError, fail
from crgan.files import write_json
from crgan.machine import prepare_machine
from crgan.model import Model, Segmentation
from crgan.progress import Progress, Silent


def predict(
    run: Path,
    images: Path,
    out: Path,
    *,
    fn_threshold: float | None = None,
    fp_threshold: float | None = None,
    generator_only: bool = False,
    probabilities: bool = False,
    errors: bool = False,
    overwrite: bool = False,
    cases: Sequence[str] | None = None,
    device: str = "auto",
    threads: int | None = None,
    layout: str | None = None,
    pattern: str | None = None,
    group: str | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Segment every case of a folder, or one file.

    Parameters
    ----------
    run
        The folder of a run or of a model.
    images
        A folder in any layout, or one image file. Label files beside the images are ignored.
    out
        Gets ``CASE_ID.nii.gz`` (2-D images keep their format), ``labels.json``, and maps under ``maps/``.
    fn_threshold, fp_threshold
        p and q of the dial; the model's own if None.
    generator_only
        Leave the refiner out.
    probabilities, errors
        Also write the probability, or the false-negative and false-positive mask, of each target.
    overwrite
        Write into a folder that already holds something.
    cases
        Ids of the cases wanted; None for all.
    device, threads
        Where to compute, and with how many threads; None leaves the number to PyTorch.
    layout, pattern, group
        How to read the folder where detection needs help.
    progress
        Follows the cases.

    Returns
    -------
    list of Path
        The masks, in the order of the cases.

    Raises
    ------
    CrganError
        If anything is wrong with the model, the images or the output folder; found before any mask is written.
    """
    progress = progress or Silent()
    prepare_machine(threads)
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not overwrite:
        raise fail("The output folder already holds something.", where=out, fix="choose another --out, or add --overwrite")
    model = Model.load(run, device=device)
    dataset = open_dataset(images, layout=layout, pattern=pattern, group=group)
    wanted = _choose(dataset, cases)
    _check(dataset, wanted, model, progress)
    write_json(out / "labels.json", model.labels.to_json())
    written = []
    with progress.task("segmenting", len(wanted)) as task:
        for case in wanted:
            volume = read_image(case, model.pipeline.modalities)
            array, spacing_mm = to_canonical(volume)
            found = model.segment(
                array,
                spacing_mm=spacing_mm,
                case_id=case.case_id,
                fn_threshold=fn_threshold,
                fp_threshold=fp_threshold,
                generator_only=generator_only,
                maps=probabilities or errors,
            )
            suffix = split_suffix(case.images[0])[1] if volume.geometry.dimensions == 2 else ".nii.gz"
            path = out / f"{case.case_id}{suffix}"
            write_labels(path, from_canonical(found.labels[None], volume.geometry)[0], volume.geometry)
            for name, array in _maps(found, model.labels.targets, probabilities=probabilities, errors=errors).items():
                write_map(out / "maps" / f"{case.case_id}_{name}.nii.gz", from_canonical(array[None], volume.geometry)[0], volume.geometry)
            written.append(path)
            task.advance()
    return written


def _choose(dataset: Dataset, cases: Sequence[str] | None) -> list[Case]:
    if cases is None:
        return list(dataset.cases)
    by_id = {case.case_id: case for case in dataset.cases}
    unknown = [case_id for case_id in cases if case_id not in by_id]
    if unknown:
        raise fail(
            "There are no such cases.",
            where=dataset.root,
            expected=f"ids among {', '.join(list(by_id)[:8])} …",
            got=", ".join(unknown[:8]),
            fix="`crgan check` lists the cases of a folder",
        )
    return [by_id[case_id] for case_id in cases]


def _check(dataset: Dataset, wanted: Sequence[Case], model: Model, progress: Progress) -> None:
    """Find all that is wrong with the images before any is segmented."""
    modalities = model.pipeline.modalities
    if len(dataset.modalities) != len(modalities):
        raise fail(
            "The images do not have the modalities that the model was trained on.",
            where=dataset.root,
            expected=f"{len(modalities)}: {', '.join(modalities)}",
            got=f"{len(dataset.modalities)}: {', '.join(dataset.modalities)}",
            fix="give every case all of the model's modalities, named as in training",
        )
    unlabelled = [Case(case_id=case.case_id, patient_id=case.patient_id, images=case.images) for case in wanted]
    _, problems = check_cases(dataset, cases=unlabelled, need_labels=False, progress=progress)
    problems = [problem for problem in problems if problem.severity == "error"]
    if problems:
        raise CrganError(problems)


def _maps(found: Segmentation, targets: Sequence[str], *, probabilities: bool, errors: bool) -> dict[str, NDArray[np.float32]]:
    """The maps asked for, by file name ending."""
    maps: dict[str, NDArray[np.float32]] = {}
    kinds = [("probability", found.probabilities, probabilities), ("fn", found.missed, errors), ("fp", found.added, errors)]
    for kind, values, asked in kinds:
        if asked and values is not None:
            for target, value in zip(targets, values, strict=True):
                maps[f"{target.replace(' ', '-')}_{kind}"] = value
    return maps
