"""A whole run: from a folder of labelled patients to a trained model. The order of the stages, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.loggers.logger import Logger
from numpy.typing import NDArray
from torch import nn

from crgan.cases.integrity import check_cases
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import open_dataset
from crgan.config import Config, NetworkSettings, read_config, write_config
from crgan.errors import CrganError, fail
from crgan.files import atomic_write, read_json, write_json
from crgan.machine import choose_device, prepare_machine
from crgan.model import Dial, Model
from crgan.networks.build import make_discriminator, make_generator, make_refiner
from crgan.planning import derive_settings
from crgan.preprocessing.fingerprint import take_fingerprint
from crgan.preprocessing.pipeline import Pipeline
from crgan.preprocessing.store import prepare
from crgan.preprocessing.stored import StoredCase
from crgan.progress import Progress, Silent
from crgan.sequences.sampler import Sampler, TrainingCase
from crgan.training.adversarial import AdversarialStage
from crgan.training.dial import choose_dial
from crgan.training.journal import Journal
from crgan.training.loop import run_stage
from crgan.training.partition import Partition, divide
from crgan.training.refinement import RefinementStage, with_errors
from crgan.training.start import take_labels, take_settings

# Part of the remaining time kept for the dial and for writing the model.
_RESERVE = 0.03

_SETTINGS, _DATA = "config.yaml", "data.json"

_Network = TypeVar("_Network", bound=nn.Module)


def train(
    data: Path,
    out: Path,
    *,
    config: Config,
    resume: bool = False,
    overwrite: bool = False,
    init: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train a system on a folder of labelled patients.

    Parameters
    ----------
    data
        The folder, in any layout.
    out
        The run folder to make: ``config.yaml``, ``data.json``, ``metrics.csv``, ``checkpoints/``, ``model/``.
    config
        The settings; what is None in them is derived from the data. A resumed run keeps the settings it began with.
    resume
        Go on with the run in ``out``, from its last checkpoint.
    overwrite
        Throw away the run in ``out``.
    init
        A run or model to start from: its preprocessing, network sizes and weights.
    progress
        Follows the work.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    CrganError
        If anything is wrong with the data, the settings or the folder; found before training begins.
    KeyboardInterrupt
        On Ctrl-C, after the last checkpoint was written.
    """
    progress = progress or Silent()
    stored_config = _open_folder(out, resume=resume, overwrite=overwrite)
    if stored_config is not None:
        config = stored_config.model_copy(update={"device": config.device, "threads": config.threads})
    elif config.minutes is None and config.steps is None:
        raise fail("It is not said how long to train.", expected="minutes or steps", fix="add --minutes 30, or --steps 2000")
    prepare_machine(config.threads)
    fabric = _make_fabric(config, out)
    start = None if init is None else Model.load(init, device="cpu")

    cases = _Cases(data, config, start, progress)
    if stored_config is None:
        config = derive_settings(config if start is None else take_settings(config, start, where=data), cases.fingerprint)
        if fabric.is_global_zero:
            if overwrite:  # only now: if anything had been wrong with the data, the earlier run would still be there
                _remove(out)
            write_json(out / _DATA, cases.describe())
            write_config(out / _SETTINGS, config)  # last, since it is what makes the folder a run that can go on
    elif read_json(out / _DATA) != cases.describe():
        raise fail(
            "The data are not those that the run began with.",
            where=out / _DATA,
            fix="give the same folder, split and --init, or train anew with --overwrite",
        )
    fabric.barrier()
    begun = time.monotonic()
    journal = Journal(out / "metrics.csv", fabric)
    checkpoints = out / "checkpoints"
    budget = None if config.minutes is None else config.minutes * 60
    generator_share = config.generator_share if config.has_refiner else 1.0
    generator_steps = None if config.steps is None else max(1, round(config.steps * generator_share))

    sizes = {"modalities": len(cases.pipeline.modalities), "targets": len(cases.labels.targets)}
    generator = _seeded(
        lambda: make_generator(config, **sizes, exclusive=cases.labels.exclusive), config, 0, None if start is None else start.generator
    )
    discriminator = _seeded(lambda: make_discriminator(config, **sizes), config, 1) if config.has_discriminator else None
    adversarial = AdversarialStage(
        fabric,
        config,
        cases.labels,
        generator=generator,
        discriminator=discriminator,
        sampler=cases.sampler(config, config.generator, [TrainingCase(stored=case) for case in cases.train], (0, fabric.global_rank)),
        validation=cases.validation,
    )
    run_stage(
        fabric,
        adversarial,
        checkpoints / adversarial.name,
        steps=generator_steps,
        seconds=None if budget is None else budget * generator_share * (1 - _RESERVE),
        validations=config.validations,
        patience=config.patience,
        journal=journal,
        progress=progress,
    )
    refiner, dial = None, Dial()
    if config.has_refiner:
        said = _what_the_generator_says(adversarial, [*cases.train, *cases.validation], checkpoints / "probabilities", progress)
        refiner = _seeded(lambda: make_refiner(config, **sizes), config, 2, None if start is None else start.refiner)
        told = [with_errors(case, said[case.case_id], config, cases.labels) for case in cases.train]
        refinement = RefinementStage(
            fabric,
            config,
            cases.labels,
            refiner=refiner,
            sampler=cases.sampler(config, config.refiner, told, (1, fabric.global_rank)),
            validation=[(case, said[case.case_id]) for case in cases.validation],
        )
        run_stage(
            fabric,
            refinement,
            checkpoints / refinement.name,
            steps=None if config.steps is None or generator_steps is None else max(1, config.steps - generator_steps),
            seconds=None if budget is None else (budget - (time.monotonic() - begun)) * (1 - _RESERVE),
            validations=config.validations,
            patience=config.patience,
            journal=journal,
            progress=progress,
        )
        dial = choose_dial(refinement)
    model = Model(
        generator=generator,
        refiner=refiner,
        config=config,
        labels=cases.labels,
        pipeline=cases.pipeline,
        fingerprint=cases.fingerprint,
        dial=dial,
    )
    if fabric.is_global_zero:
        model.save(out / "model")
    fabric.barrier()
    return out


class _Cases:
    """The prepared patients of a run, and what is known of them."""

    def __init__(self, data: Path, config: Config, start: Model | None, progress: Progress) -> None:
        settings = config.data
        dataset = open_dataset(
            data,
            layout=settings.layout,
            pattern=settings.pattern,
            group=settings.group,
            labels=settings.label_scheme(),
            need_labels=True,
        )
        if start is not None:
            dataset = take_labels(dataset, start)
        self.partition: Partition = divide(dataset, settings, seed=config.seed)
        wanted = [case for case in dataset.labelled if case.patient_id in self.partition.trained_on]
        _, problems = check_cases(dataset, cases=wanted, need_labels=True, progress=progress)
        if any(problem.severity == "error" for problem in problems):
            raise CrganError([problem for problem in problems if problem.severity == "error"])
        for problem in problems:
            progress.note(str(problem))
        if dataset.labels is None:
            raise fail("There are no labels to learn from.", where=data, fix="train on a folder with label files")
        self.labels: LabelScheme = dataset.labels
        fitted = [case for case in wanted if case.patient_id in self.partition.train]
        self.pipeline = Pipeline.fit(fitted, dataset, settings=config.preprocessing) if start is None else start.pipeline
        workers = config.threads or os.cpu_count() or 1
        stored = prepare(wanted, dataset, self.pipeline, cache=settings.cache or _cache(), workers=workers, progress=progress)
        self.train = [case for case in stored if case.patient_id in self.partition.train]
        self.validation = _spread([case for case in stored if case.patient_id in self.partition.validation], settings.validation_cases)
        self.fingerprint = take_fingerprint(self.train)

    def describe(self) -> object:
        """What ``data.json`` holds, as it reads back; the keys of the prepared cases change with any file and with preprocessing."""
        keys = {case.case_id: case.folder.name for case in (*self.train, *self.validation)}
        return json.loads(json.dumps({"fingerprint": self.fingerprint.to_json(), "patients": self.partition.to_json(), "prepared": keys}))

    def sampler(self, config: Config, network: NetworkSettings, cases: Sequence[TrainingCase], stream: tuple[int, int]) -> Sampler:
        """Mini-batches of a stage; ``stream`` keeps the randomness of stages and ranks apart."""
        if config.planes is None or config.batch.length is None or network.crops is None or network.groups is None:
            message = "the settings have not been derived from the data"
            raise ValueError(message)
        return Sampler(
            cases=cases,
            table=self.labels.table(),
            planes=config.planes,
            crops=network.crops,
            coarseness=network.coarseness or 1,
            groups=network.groups,
            sequences=config.batch.sequences,
            length=config.batch.length,
            augmentation=config.augmentation,
            seed=(config.seed, *stream),
        )


def _open_folder(out: Path, *, resume: bool, overwrite: bool) -> Config | None:
    """Make sure of the run folder; gives the settings of the run to go on with, if there is one."""
    settings = out / _SETTINGS
    if resume and settings.exists():
        return read_config(settings)
    child = int(os.environ.get("LOCAL_RANK", "0")) > 0  # a process that the first one started, after this was settled
    harmless = {_DATA} if resume else set()  # what a run that was stopped before it had begun may have left
    if child or (out.is_dir() and all(path.name in harmless or path.name.startswith(".") for path in out.iterdir())):
        return None
    if out.exists() and not settings.exists() and (resume or overwrite):
        raise fail(
            f"The folder to {'go on with' if resume else 'overwrite'} is not a run.",
            where=out,
            expected=f"{_SETTINGS} in it",
            fix="choose another --out, or remove it yourself if nothing in it is needed",
        )
    if out.exists() and not overwrite:
        fix = "choose another --out, go on with --resume, or add --overwrite"
        raise fail("The run folder already holds something.", where=out, fix=fix)
    return None


def _remove(out: Path) -> None:
    """Throw an earlier run away; one that is stopped in this can be thrown away again."""
    try:
        for path in list(out.iterdir()) if out.exists() else ():
            if path.name != _SETTINGS:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (out / _SETTINGS).unlink(missing_ok=True)
    except OSError as error:
        raise fail("The earlier run could not be removed.", where=error.filename or out, got=error.strerror or str(error)) from error


def _make_fabric(config: Config, out: Path) -> Fabric:
    device = choose_device(config.device)
    fabric = Fabric(
        accelerator=device.type,
        devices=config.devices if device.index is None else [device.index],
        num_nodes=config.nodes,
        precision=config.precision,
        loggers=[_tensorboard(out)] if config.logger == "tensorboard" else [],
    )
    fabric.launch()
    return fabric


def _tensorboard(out: Path) -> Logger:
    try:
        from lightning_fabric.loggers.tensorboard import TensorBoardLogger

        return TensorBoardLogger(out, name="tensorboard", version="")
    except ModuleNotFoundError as error:
        raise fail("TensorBoard is not installed.", where="logger: tensorboard", fix="pip install 'crgan[tracking]'") from error


def _seeded(make: Callable[[], _Network], config: Config, number: int, start: nn.Module | None = None) -> _Network:
    """Make a network whose first weights depend on the seed alone, or are those of ``start``."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed * 3 + number)
        network = make()
    if start is not None:
        network.load_state_dict(start.state_dict())
    return network


def _what_the_generator_says(
    stage: AdversarialStage, cases: Sequence[StoredCase], folder: Path, progress: Progress
) -> dict[str, NDArray[np.float16]]:
    """Give the finished generator's probabilities of every case, mapped from the disk: for many patients they outgrow memory."""
    said = {}
    with progress.task("generating", len(cases)) as task:
        for case in cases:
            path = folder / f"{case.case_id}.npy"
            if not path.exists():
                with atomic_write(path, suffix=".npy") as temporary:
                    np.save(temporary, stage.generate(case))
            said[case.case_id] = np.load(path, mmap_mode="r")
            task.advance()
    return said


def _spread(cases: Sequence[StoredCase], most: int) -> list[StoredCase]:
    """At most ``most`` of the cases, evenly spaced."""
    if len(cases) <= most:
        return list(cases)
    return [cases[round(i)] for i in np.linspace(0, len(cases) - 1, most)]


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "crgan"
