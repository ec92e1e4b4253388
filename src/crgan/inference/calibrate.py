"""From a trained model and patients it has not learned from to a promise on what it misses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from crgan.cases.case import Case, Dataset
from crgan.cases.integrity import check_cases
from crgan.cases.labels import IGNORED
from crgan.cases.layouts import open_dataset
from crgan.cases.reading import read_case
from crgan.conformal import Counted, Promise, Unit, control, count
from crgan.ensemble import add_promise, is_ensemble, load_model
from crgan.errors import CrganError, fail
from crgan.files import read_json, write_json
from crgan.inference.modalities import in_model_order
from crgan.machine import prepare_machine
from crgan.model import Model
from crgan.progress import Progress, Silent


def calibrate(
    run: Path | str,
    data: Path | str,
    *,
    max_fnr: float,
    per: Unit = "voxel",
    cases: Sequence[str] | None = None,
    device: str = "auto",
    threads: int | None = None,
    layout: str | None = None,
    pattern: str | None = None,
    group: str | None = None,
    progress: Progress | None = None,
) -> Promise:
    """Find the sensitivity at which a model misses no more than a limit on average, and store it with the model.

    The promise holds for new patients who are like the calibration patients, who must be used for nothing else
    (conformal risk control, Angelopoulos et al. 2022).

    Parameters
    ----------
    run
        The folder of a run or of a model.
    data
        A folder of labelled patients in any layout.
    max_fnr
        The limit α: the largest mean share missed, above 0 and below 1.
    per
        Share of what: of a patient's voxels, or of a patient's lesions.
    cases
        Ids of the cases wanted; None for all that have a label.
    device, threads
        Where to compute, and with how many threads.
    layout, pattern, group
        How to read the folder where detection needs help.
    progress
        Follows the cases.

    Returns
    -------
    Promise
        What is promised of each target.

    Raises
    ------
    CrganError
        If the model was trained on one of the patients, there are too few of them, the set would say nothing, or anything
        is wrong with the data. The model is then as it was.
    """
    run, progress = Path(run), progress or Silent()
    if not 0 < max_fnr < 1:
        raise fail("The limit is no share.", where=f"--max-fnr {max_fnr:g}", expected="above 0 and below 1", fix="write for example 0.1")
    prepare_machine(threads)
    model = load_model(run, device=device)
    dataset = open_dataset(data, layout=layout, pattern=pattern, group=group, labels=model.labels, need_labels=True)
    wanted = [case for case in dataset.labelled if cases is None or case.case_id in set(cases)]
    dataset = in_model_order(dataset, wanted, model.pipeline.modalities)
    patients = sorted({case.patient_id for case in dataset.cases})
    _refuse_known(run, patients)
    _, problems = check_cases(dataset, need_labels=True, progress=progress)
    if any(problem.severity == "error" for problem in problems):
        raise CrganError([problem for problem in problems if problem.severity == "error"])
    counted: dict[str, dict[str, list[Counted]]] = {target: defaultdict(list) for target in model.labels.targets}
    with progress.task("calibrating", len(dataset.cases)) as task:
        for case in dataset.cases:
            for target, image in zip(model.labels.targets, _count(model, case, dataset, per=per), strict=True):
                counted[target][case.patient_id].append(image)
            task.advance()
    found = {target: control(list(images.values()), max_fnr=max_fnr, target=target) for target, images in counted.items()}
    promise = Promise(max_fnr=max_fnr, per=per, targets=found)
    add_promise(run, promise)
    if (run / "model").is_dir() or is_ensemble(run):  # and not a model alone
        write_json(run / "calibration.json", {"patients": patients, **promise.to_json()})
    return promise


def _refuse_known(run: Path, patients: Sequence[str]) -> None:
    """Refuse patients that the run was trained or validated on: of them it would promise too much."""
    path = run / "data.json"
    if not path.is_file():
        return
    parts = read_json(path)["patients"]
    known = {patient for part in ("train", "validation", "refinement") for patient in parts[part]}
    found = [patient for patient in patients if patient in known]
    if found:
        raise fail(
            "The model has learned from patients that it is to be calibrated on.",
            where=path,
            expected="patients used for nothing else",
            got=f"{len(found)} of {len(patients)}: {', '.join(found[:5])}{' …' if len(found) > 5 else ''}",
            fix="give other patients, or choose those left out of training with --split FILE --part test or with --cases",
        )


def _count(model: Model, case: Case, dataset: Dataset, *, per: Unit) -> list[Counted]:
    """Count a case on its own grid, target by target."""
    read = read_case(case, dataset)
    if read.label is None:
        message = f"case {case.case_id} has no label"
        raise ValueError(message)
    found = model.segment(read.image, spacing_mm=read.spacing_mm, case_id=case.case_id, maps=True)
    if found.probabilities is None:
        message = "no probabilities were kept"
        raise ValueError(message)
    truth, known = model.labels.masks(read.label), read.label != IGNORED
    return [count(values, mask, per=per, within=known) for values, mask in zip(found.probabilities, truth, strict=True)]
