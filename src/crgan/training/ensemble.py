"""Several members, trained one after the other, that differ in their seed: other first weights, other batches, other validation patients.

What each says of its own validation patients, who are new to it, is put together to choose the dial and the temperatures of all.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from crgan.config import Config, read_config
from crgan.ensemble import DESCRIPTION, MEMBERS, Ensemble, is_ensemble, join, members_of, save_ensemble
from crgan.errors import fail
from crgan.files import read_json, write_json
from crgan.model import Model
from crgan.preprocessing.pipeline import Pipeline
from crgan.progress import Progress, Silent
from crgan.training.choosing import with_choices
from crgan.training.ensemble_page import write_ensemble_page
from crgan.training.folder import DATA, SETTINGS, open_folder, remove_run
from crgan.training.judged import Judged, judge
from crgan.training.patients import Patients
from crgan.training.run import train


def train_ensemble(
    data: Path | str,
    out: Path | str,
    *,
    config: Config,
    members: int,
    resume: bool = False,
    overwrite: bool = False,
    init: Path | str | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train an ensemble on a folder of labelled patients.

    Parameters
    ----------
    data, init, scheduler, progress
        As for :func:`crgan.train`.
    out
        The folder to make: ``members/0`` and so on, each a run, ``ensemble.json`` and ``report.html``.
    config
        The settings. Minutes and steps are those of all members together. The seeds of the members are the given one and those
        after it; the first one's preprocessing serves all, so that they see the same voxels.
    members
        How many, at least two.
    resume, overwrite
        Go on with the ensemble in ``out``, or throw away what is there.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    CrganError
        As :func:`crgan.train`, or if the members would be fewer than two, or trained by several processes.
    """
    data, out, progress = Path(data), Path(out), progress or Silent()
    if members < 2:
        raise fail("An ensemble has several members.", where=f"--ensemble {members}", expected="2 or more", fix="leave --ensemble out")
    if config.devices * config.nodes > 1:
        raise fail(
            "An ensemble is trained by one process.",
            where="--ensemble",
            got=f"{config.devices * config.nodes} processes",
            fix="train runs with different seeds, each on its own, and name them all: crgan predict RUN RUN IMAGES --out MASKS",
        )
    if config.minutes is None and config.steps is None:
        raise fail("It is not said how long to train.", expected="minutes or steps", fix="add --minutes 30, or --steps 2000")
    if overwrite and out.exists():  # if anything is wrong with the data, the earlier one is to be there still
        Patients(data, config, None if init is None else Model.load(init, device="cpu"), Silent())
    _open(out, members, resume=resume, overwrite=overwrite)
    runs = members_of(out)
    for number, run in enumerate(runs):
        if not (run / "model" / "model.json").is_file():
            progress.note(f"member {number + 1} of {members}")
            settings = _of_member(config, number, members)
            shared = None if number == 0 or init is not None else runs[0]
            train(data, run, config=settings, resume=run.exists(), init=init, preprocessing=shared, scheduler=scheduler, progress=progress)
    models = [Model.load(run, device=config.device) for run in runs]
    ensemble = _chosen(join(models), _judge(data, runs, models, init, progress))
    write_json(out / DATA, {"patients": _all_patients(runs)})
    write_ensemble_page(out / "report.html", ensemble, seeds=[read_config(run / SETTINGS).seed for run in runs])
    save_ensemble(out, ensemble)  # last: it is what makes the folder an ensemble that can be used
    return out


def _open(out: Path, members: int, *, resume: bool, overwrite: bool) -> None:
    """Make sure of the folder, and write down how many members it is to have."""
    if is_ensemble(out):
        if resume:
            found = len(members_of(out))
            if found != members:
                expected = f"--ensemble {found}"
                raise fail("The ensemble was begun with another number of members.", where=out, expected=expected, got=str(members))
            return
        if not overwrite:
            fix = "choose another --out, go on with --resume, or add --overwrite"
            raise fail("The folder already holds an ensemble.", where=out, fix=fix)
        (out / DESCRIPTION).unlink()
        shutil.rmtree(out / MEMBERS, ignore_errors=True)
        for name in (DATA, "report.html", "calibration.json"):
            (out / name).unlink(missing_ok=True)
    elif open_folder(out, resume=False, overwrite=overwrite) is None and overwrite:
        remove_run(out)
    write_json(out / DESCRIPTION, {"members": members})


def _of_member(config: Config, number: int, members: int) -> Config:
    """The settings of one member: its share of the time, and a seed of its own."""
    return config.model_copy(
        update={
            "seed": config.seed + number,
            "minutes": None if config.minutes is None else config.minutes / members,
            "steps": None if config.steps is None else max(1, config.steps // members),
        }
    )


def _judge(
    data: Path, runs: Sequence[Path], models: Sequence[Model], init: Path | str | None, progress: Progress
) -> list[tuple[Judged, Judged | None]]:
    """What each member says of the patients it was validated on; a patient of several members counts with each."""
    start, judged = None if init is None else Model.load(init, device="cpu"), []
    for run, model in zip(runs, models, strict=True):
        pipeline: Pipeline = model.pipeline
        cases = Patients(data, read_config(run / SETTINGS), start, Silent(), pipeline=pipeline).validation
        with progress.task("choosing the dial", len(cases)) as task:
            for case in cases:
                judged.append(judge(model, case))
                task.advance()
    return judged


def _all_patients(runs: Sequence[Path]) -> dict[str, list[str]]:
    """By purpose, of all members; a patient whom any member learned from counts as that."""
    parts = [read_json(run / DATA)["patients"] for run in runs]
    trained = dict.fromkeys(patient for part in parts for patient in (*part["train"], *part["validation"]))
    return {**parts[0], "train": sorted(trained), "refinement": sorted(trained), "validation": []}


def _chosen(ensemble: Ensemble, judged: Sequence[tuple[Judged, Judged | None]]) -> Ensemble:
    found = with_choices(ensemble, judged)
    return replace(ensemble, dial=found.dial, generator_dial=found.generator_dial, temperatures=found.temperatures)
