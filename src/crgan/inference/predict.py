"""From a folder of images to a folder of masks, each on its image's own grid."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from crgan.cases.case import Case, Dataset
from crgan.cases.files import read_geometry, split_suffix
from crgan.cases.formats.dicom_seg import require_highdicom
from crgan.cases.integrity import check_cases
from crgan.cases.layouts import open_dataset
from crgan.conformal import Promise, Unit
from crgan.dial import Thresholds
from crgan.ensemble import digest, load_model
from crgan.errors import CrganError, fail
from crgan.executors import open_executor, work_through
from crgan.files import write_json
from crgan.inference.jobs import CaseJob, Request, Worker, segment_case
from crgan.inference.modalities import in_model_order, on_model_grid
from crgan.inference.naming import choose_naming, mask_paths
from crgan.inference.record import Record
from crgan.machine import Precision, choose_device, choose_precision, prepare_machine
from crgan.model import Model
from crgan.progress import Progress, Silent


def predict(
    run: Path | str | Sequence[Path | str],
    images: Path | str,
    out: Path | str,
    *,
    aim: str | None = None,
    fn_threshold: Thresholds | None = None,
    fp_threshold: Thresholds | None = None,
    generator_only: bool = False,
    probabilities: bool = False,
    errors: bool = False,
    where_to_look: bool = False,
    max_fnr: float | None = None,
    per: Unit = "voxel",
    naming: str | None = None,
    tta: int = 0,
    dicom_seg: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    cases: Sequence[str] | None = None,
    device: str = "auto",
    threads: int | None = None,
    precision: Literal["auto"] | Precision = "32-true",
    compiled: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    layout: str | None = None,
    pattern: str | None = None,
    group: str | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Segment every case of a folder, or one file.

    Parameters
    ----------
    run
        The folder of a run or of a model; of an ensemble; or several of them, whose probabilities are averaged.
    images
        A folder in any layout, or one image file. Label files beside the images are ignored.
    out
        Gets ``CASE_ID.nii.gz`` (2-D images keep their format), ``labels.json``, and maps under ``maps/``.
    naming
        Name masks as a challenge's evaluation wants them, ``"brats"``, ``"ctc"``, ``"lits"``, ``"msd"`` or ``"nnunet"``, and write
        its label values; ``labels.json`` is then left out.
    aim
        Turn the dial to where it served an aim best on validation patients: ``"dice"``, ``"max-fnr=0.1"`` or
        ``"max-false-lesions=2"``; None for the best Dice.
    fn_threshold, fp_threshold
        p and q of the dial, for all targets or for each by name; the model's own if None.
    generator_only
        Leave the refiner out. The dial is then a threshold t of the generator's probabilities, p = t and q = 1 − t.
    probabilities, errors
        Also write the probability, or the false-negative and false-positive mask, of each target.
    where_to_look
        Also list the places of each case that were left out of the mask and may belong to it, the likeliest volume first, in
        ``where_to_look/``: ``CASE_ID.json``, a map of their ranks ``CASE_ID_look.nii.gz`` and points for 3D Slicer ``CASE_ID.mrk.json``.
    max_fnr, per
        Also write the set of voxels that keeps to this promise of :func:`crgan.calibrate`, of each target.
    tta
        Test-time augmentation: average over each image and so many turned and resized ones, drawn by its case id.
    dicom_seg
        Also write each mask as a DICOM-SEG object of its series, ``dicom-seg/CASE_ID.dcm``, which holds what the series says
        about its patient; all images must be DICOM series. Needs highdicom.
    overwrite
        Write into a folder that already holds something.
    resume
        Go on with a prediction that was stopped: masks that it has made of the same images are kept.
    cases
        Ids of the cases wanted; None for all.
    device, threads
        Where to compute, and with how many threads; None leaves the number to PyTorch.
    precision
        Number format of the networks: ``"32-true"``; ``"bf16-mixed"`` or ``"16-mixed"``, which some devices compute faster, and which
        change a mask here and there at its edge; or ``"auto"``: bf16-mixed where the device has it. A promise needs 32 bits.
    compiled
        Have PyTorch compile the networks; see :meth:`crgan.Model.compile`.
    workers
        Cases to segment at a time, each in a process of its own that reads the model once; the processors are shared out
        among them unless ``threads`` says otherwise. None segments one after the other, in this process.
    scheduler
        Address of a Dask scheduler, to segment on its workers instead.
    layout, pattern, group
        How to read the folder where detection needs help.
    progress
        Follows the cases.

    Returns
    -------
    list of Path
        The masks, in the order of the cases; with ``naming="ctc"`` one for each frame of a movie.

    Raises
    ------
    CrganError
        If anything is wrong with the model, the images or the output folder; found before any mask is written.
    """
    out, progress = Path(out), progress or Silent()
    prepare_machine(threads)
    if resume and overwrite:
        raise fail("Both --resume and --overwrite were given.", fix="give one: --resume keeps masks, --overwrite does not")
    if out.exists() and (not out.is_dir() or any(out.iterdir())) and not (overwrite or resume):
        raise fail("The output folder already holds something.", where=out, fix="choose another --out, or add --resume or --overwrite")
    names = choose_naming(naming)
    numbers = choose_precision(precision, choose_device(device))
    if max_fnr is not None:
        _as_calibrated(generator_only=generator_only, tta=tta, precision=numbers)
    runs = (Path(run),) if isinstance(run, Path | str) else tuple(Path(each) for each in run)
    model = load_model(runs, device=device)
    if compiled:
        model.compile()
    dial = model.turned(aim=aim, fn_threshold=fn_threshold, fp_threshold=fp_threshold, generator_only=generator_only)
    promise = None if max_fnr is None else _promise(model, max_fnr, per, where=runs[0])
    # The model says what labels mean, so that none of the folder's is read.
    dataset = open_dataset(images, layout=layout, pattern=pattern, group=group, labels=model.labels)
    ordered = on_model_grid(in_model_order(dataset, _choose(dataset, cases), model.pipeline.modalities), model.pipeline.reference)
    _check(ordered, progress)
    if dicom_seg:
        _require_series(ordered)
    masks = mask_paths(names, ordered.cases, out)
    schemes = {case.case_id: names.scheme(case, model.labels) for case in ordered.cases}
    _spare_inputs([path for paths in masks.values() for path in paths], dataset)
    request = Request(
        dial=dial,
        generator_only=generator_only,
        probabilities=probabilities,
        errors=errors,
        where_to_look=where_to_look,
        promise=promise,
        naming=naming,
        tta=tta,
        dicom_seg=dicom_seg,
        precision=numbers,
    )
    jobs = [CaseJob(case=case, masks=masks[case.case_id], scheme=schemes[case.case_id], out=out, request=request) for case in ordered.cases]
    record = Record(out, model=digest(runs), request=request)
    if resume:
        left = record.left(jobs)
        if len(left) < len(jobs):
            progress.note(f"{len(jobs) - len(left)} of {len(jobs)} masks are there already")
    else:
        left = jobs
        record.begin()
    if naming is None:
        write_json(out / "labels.json", model.labels.to_json())
    with progress.task("segmenting", len(left)) as task:
        for _ in _segment(left, model, runs=runs, device=device, threads=threads, compiled=compiled, workers=workers, scheduler=scheduler):
            task.advance()
    return [path for paths in masks.values() for path in paths]


def _segment(
    jobs: Sequence[CaseJob],
    model: Model,
    *,
    runs: Sequence[Path],
    device: str,
    threads: int | None,
    compiled: bool,
    workers: int | None,
    scheduler: str | None,
) -> Iterator[str]:
    """Segment the cases and give the id of each when it is done: in this process one after the other, else in many."""
    if scheduler is None and (workers or 1) == 1:
        for job in jobs:
            segment_case(model, job)
            yield job.case.case_id
        return
    if scheduler is None and workers is not None and threads is None:
        threads = max(1, (os.cpu_count() or 1) // workers)
    worker = Worker(models=tuple(each.absolute() for each in runs), digest=digest(runs), device=device, threads=threads, compiled=compiled)
    with open_executor(workers, scheduler) as executor:
        for case_id, _ in work_through(executor, worker, {job.case.case_id: job.absolute() for job in jobs}):
            yield case_id


def _require_series(dataset: Dataset) -> None:
    """Refuse what cannot have a DICOM segmentation, before any work."""
    require_highdicom()
    others = [case for case in dataset.cases if split_suffix(case.images[0])[1] or read_geometry(case.images[0])[0].dimensions == 2]
    if others or dataset.labels is None or dataset.labels.instances:
        raise fail(
            "A DICOM segmentation can be made of DICOM series only, and of classes, not of instances.",
            where=others[0].images[0] if others else dataset.root,
            expected="the folder of a DICOM series for every case",
            got=f"{len(others)} of {len(dataset.cases)} cases that are something else" if others else "instances",
            fix="leave --dicom-seg out",
        )


def _choose(dataset: Dataset, wanted: Sequence[str] | None) -> list[Case]:
    """The cases wanted, without their labels; a label without an image makes no case here."""
    cases = [replace(case, label=None) for case in dataset.cases if case.label is None or any(path.exists() for path in case.images)]
    if wanted is None:
        return cases
    by_id = {case.case_id: case for case in cases}
    unknown = [case_id for case_id in wanted if case_id not in by_id]
    if unknown:
        raise fail(
            "There are no such cases.",
            where=dataset.root,
            expected=f"ids among {', '.join(list(by_id)[:8])} …",
            got=", ".join(unknown[:8]),
            fix="`crgan check` lists the cases of a folder",
        )
    return [by_id[case_id] for case_id in dict.fromkeys(wanted)]


def _check(dataset: Dataset, progress: Progress) -> None:
    """Find all that is wrong with the images before any is segmented."""
    _, problems = check_cases(dataset, need_labels=False, progress=progress)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise CrganError(errors)
    for problem in problems:
        progress.note(str(problem))


def _spare_inputs(masks: Iterable[Path], dataset: Dataset) -> None:
    """Refuse to write a mask in the place of an image or of an expert's label, whatever --overwrite says."""
    inputs = {path.resolve() for case in dataset.cases for path in (*case.images, case.label) if path is not None}
    taken = [mask for mask in masks if mask.resolve() in inputs]
    if taken:
        raise fail(
            "A mask would take the place of an image or a label.",
            where=taken[0],
            got=f"{len(taken)} masks that would",
            fix="choose another --out than a folder of the data set",
        )


def _as_calibrated(*, generator_only: bool, tta: int, precision: Precision) -> None:
    """Refuse a promise where patients are segmented in another way than those it was calibrated on."""
    for option, other in {
        "--generator-only": generator_only,
        f"--tta {tta}": tta > 0,
        f"--precision {precision}": precision != "32-true",
    }.items():
        if other:
            raise fail(
                "A promise is made for the whole system, which looks at each image once and computes in 32 bits.",
                got=f"{option} together with --max-fnr",
                fix="leave one of them out",
            )


def _promise(model: Model, max_fnr: float, per: Unit, *, where: Path | str) -> Promise:
    """The promise asked for, which must have been made for this model."""
    for promise in model.promises:
        if (promise.max_fnr, promise.per) == (max_fnr, per):
            return promise
    made = ", ".join(f"{promise.max_fnr:g} per {promise.per}" for promise in model.promises)
    raise fail(
        "The model has made no such promise.",
        where=where,
        expected=f"a promise of {max_fnr:g} per {per}",
        got=made or "none",
        fix=f"crgan calibrate RUN DATA --max-fnr {max_fnr:g} --per {per}, with patients that training has not read",
    )
