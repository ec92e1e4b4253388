"""A whole run: from a folder of labelled patients to a trained model. The order of the stages, and nothing else."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.loggers.logger import Logger
from torch import nn

from crgan.arrays import forget_mapped, mapped, write_array
from crgan.config import Config, NetworkSettings, write_config
from crgan.dial import Dial
from crgan.errors import fail
from crgan.files import read_json, write_json
from crgan.machine import choose_device, choose_precision, prepare_machine, require_compiler
from crgan.model import Model
from crgan.networks.build import expect_rarity, make_discriminator, make_generator, make_refiner, start_from_generator
from crgan.networks.unet import RecurrentUNet
from crgan.preprocessing.stored import StoredCase
from crgan.progress import Progress, Silent
from crgan.sequences.sampler import TrainingCase
from crgan.training.adversarial import AdversarialStage
from crgan.training.choosing import choose
from crgan.training.folder import DATA, SETTINGS, open_folder, remove_run
from crgan.training.journal import Journal
from crgan.training.loop import run_stage
from crgan.training.page import write_page
from crgan.training.patients import Patients, spread
from crgan.training.processes import Turns, is_first, launched
from crgan.training.refinement import RefinementStage, fit_candidates, with_errors
from crgan.training.room import fill_memory, require_gpu
from crgan.training.settling import settle
from crgan.training.stage import Stage
from crgan.training.start import take_settings
from crgan.training.unseen import KEPT_AT, as_on_new_patients, folds

# Generators that are trained so that each leaves some training patients out.
_FOLDS = 2
# Part of a stage's time kept for writing the model and what else there is.
_RESERVE = 0.03
# What choosing the dial takes, in times that the last stage's validation takes: the generator says of the validation cases once
# more what it says, and so does the refiner.
_CHOOSING = 2.5

_Network = TypeVar("_Network", bound=nn.Module)


def train(
    data: Path | str,
    out: Path | str,
    *,
    config: Config,
    resume: bool = False,
    overwrite: bool = False,
    init: Path | str | None = None,
    preprocessing: Path | str | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Path:
    """Train a system on a folder of labelled patients.

    Parameters
    ----------
    data
        The folder, in any layout.
    out
        The run folder to make: ``config.yaml``, ``data.json``, ``metrics.csv``, ``checkpoints/``, ``model/``,
        ``report.html``.
    config
        The settings; what is None in them is derived from the data. A resumed run keeps the settings it began with.
    resume
        Go on with the run in ``out``, from its last checkpoint.
    overwrite
        Throw away the run in ``out``.
    init
        A run or model to start from: its preprocessing, network sizes and weights.
    preprocessing
        A run or model whose preprocessing is taken and nothing else, so that both see the same voxels.
    scheduler
        Address of a Dask scheduler, on whose workers the patients are prepared; None for this process.
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
        On Ctrl-C or SIGTERM, after the last checkpoint was written.
    """
    data, out, progress = Path(data), Path(out), progress or Silent()
    several = config.devices * config.nodes > 1
    stored_config = open_folder(out, resume=resume, overwrite=overwrite, first=not several or is_first())
    if stored_config is not None:
        config = stored_config.model_copy(update={name: getattr(config, name) for name in ("device", "devices", "nodes", "threads")})
    elif config.minutes is None and config.steps is None:
        raise fail("It is not said how long to train.", expected="minutes or steps", fix="add --minutes 30, or --steps 2000")
    prepare_machine(config.threads)
    fabric = _make_fabric(config, out)
    if config.compile:
        require_compiler(fabric.device)
    if config.batch.find and stored_config is None:
        require_gpu(fabric)
    with launched(fabric):
        _train(
            fabric,
            data,
            out,
            config=config,
            stored=stored_config,
            overwrite=overwrite,
            init=init,
            like=preprocessing,
            scheduler=scheduler,
            progress=progress,
        )
    return out


def _train(
    fabric: Fabric,
    data: Path,
    out: Path,
    *,
    config: Config,
    stored: Config | None,
    overwrite: bool,
    init: Path | str | None,
    like: Path | str | None,
    scheduler: str | None,
    progress: Progress,
) -> None:
    """Train, in one of the processes that train together; ``stored`` are the settings of the run that is gone on with."""
    turns = Turns(fabric)
    turns.wait()
    if not fabric.is_global_zero:
        progress = Silent()  # of several processes that do the same the first one tells
    start = None if init is None else Model.load(init, device="cpu")
    pipeline = None if like is None else Model.load(like, device="cpu").pipeline
    patients = Patients(data, config, start, progress, pipeline=pipeline, scheduler=scheduler)
    if stored is None:
        config = settle(config if start is None else take_settings(config, start, where=data), patients.fingerprint)
        if config.batch.find:
            config = fill_memory(_make_fabric(config, out), config, patients)
        if fabric.is_global_zero:
            if overwrite:  # only now: if anything had been wrong with the data, the earlier run would still be there
                remove_run(out)
            write_json(out / DATA, patients.describe())
            write_config(out / SETTINGS, config)  # last, since it is what makes the folder a run that can go on
    elif read_json(out / DATA) != patients.describe():
        raise fail(
            "The data are not those that the run began with.",
            where=out / DATA,
            fix="give the same folder, split and --init, or train anew with --overwrite",
        )
    _require_groups(config, fabric)
    turns.pass_on()
    journal = Journal(out / "metrics.csv", fabric)
    model = _Run(fabric, config, patients, start, out, journal, progress).train()
    if fabric.is_global_zero:
        model.save(out / "model")
        counts = {"training": len(patients.partition.train), "validation": len(patients.partition.validation)}
        write_page(out / "report.html", model, rows=journal.rows, validation=patients.validation, patients=counts)
    fabric.barrier()


class _Run:
    """The stages of a run, one after the other."""

    def __init__(
        self,
        fabric: Fabric,
        config: Config,
        patients: Patients,
        start: Model | None,
        out: Path,
        journal: Journal,
        progress: Progress,
    ) -> None:
        self._fabric = fabric
        self._process = fabric.global_rank, fabric.world_size
        self._config = config
        self._patients = patients
        self._start = start
        self._checkpoints = out / "checkpoints"
        self._journal = journal
        self._progress = progress
        self._begun = time.monotonic()
        self._earlier = 0.0  # seconds that stages took in earlier sittings
        self._reached: dict[str, dict[str, float]] = {}
        self._modalities = len(patients.pipeline.modalities)
        self._targets = len(patients.labels.targets)

    def train(self) -> Model:
        """Train all networks of the system."""
        stage, generator = self._train_generator()
        refiner = self._train_refiner(stage, generator) if self._config.has_refiner else None
        neutral = Dial.neutral(self._patients.labels.targets)
        model = Model(
            generator=generator.eval(),
            refiner=None if refiner is None else refiner.eval(),
            discriminator=stage.modules["discriminator"] if self._config.refinement.discriminator_map else None,
            config=self._config,
            labels=self._patients.labels,
            pipeline=self._patients.pipeline,
            fingerprint=self._patients.fingerprint,
            dial=neutral,
            generator_dial=neutral,
        )
        return choose(model, self._patients.validation, self._progress)

    def _train_generator(self) -> tuple[AdversarialStage, RecurrentUNet]:
        stage, generator = self._generator_stage(
            "adversarial", self._patients.train, 0, keep_at=KEPT_AT if self._config.refinement.errors == "snapshots" else ()
        )
        self._run_generator(stage, self._generator_share(), validations=self._config.validations)
        return stage, generator

    def _generator_stage(
        self, name: str, train: Sequence[StoredCase], stream: int, *, keep_at: Sequence[float] = ()
    ) -> tuple[AdversarialStage, RecurrentUNet]:
        config, labels = self._config, self._patients.labels
        sizes = {"modalities": self._modalities, "targets": self._targets}
        generator = self._make(0, lambda: make_generator(config, **sizes, exclusive=labels.exclusive))
        if self._start is not None:
            generator.load_state_dict(self._start.generator.state_dict())
        else:
            expect_rarity(generator, self._patients.target_shares(), exclusive=labels.exclusive)
        cases = [TrainingCase(stored=case) for case in train]
        stage = AdversarialStage(
            self._fabric,
            config,
            labels,
            generator=generator,
            discriminator=self._make(1, lambda: make_discriminator(config, **sizes)) if config.has_discriminator else None,
            sampler=self._patients.sampler(config, config.generator, cases, stream, self._process),
            validation=self._patients.validation,
            name=name,
            keep_at=keep_at,
        )
        return stage, generator

    def _generator_share(self) -> float:
        """The final generator's share of the minutes or steps."""
        return self._generators_share() / (2 if self._config.has_refiner and self._config.refinement.errors == "out-of-fold" else 1)

    def _generators_share(self) -> float:
        """The share of all generators together."""
        if not self._config.has_refiner:
            return 1.0
        if self._config.generator_share is None:
            message = "the generator's share has not been derived from the data"
            raise ValueError(message)
        return self._config.generator_share

    def _run_generator(self, stage: AdversarialStage, share: float, *, validations: int) -> None:
        config = self._config
        self._reached[stage.name] = self._run(
            stage,
            steps=None if config.steps is None else max(1, round(config.steps * share)),
            seconds=None if config.minutes is None else config.minutes * 60 * share,
            validations=validations,
            last=not config.has_refiner,
        )

    def _say_of_training(self, stage: AdversarialStage) -> dict[str, Path]:
        """What the refiner is to learn from: what a generator says of the training patients, as near to new ones as the settings ask."""
        errors, train = self._config.refinement.errors, self._patients.train
        if errors == "in-sample":
            return self._what_the_generator_says(stage, train)
        if errors == "snapshots":
            measured = spread(train, self._config.data.validation_cases)
            with as_on_new_patients(stage, self._checkpoints / stage.name, measured, dice=self._reached[stage.name]["dice"]):
                return self._what_the_generator_says(stage, train)
        said: dict[str, Path] = {}
        for number, fold in enumerate(folds(train, _FOLDS)):
            left_out = {case.case_id for case in fold}
            other, _ = self._generator_stage(f"fold{number}", [case for case in train if case.case_id not in left_out], 2 + number)
            self._run_generator(other, self._generator_share() / _FOLDS, validations=1)
            said |= self._what_the_generator_says(other, fold)
        return said

    def _train_refiner(self, generator_stage: AdversarialStage, generator: RecurrentUNet) -> RecurrentUNet:
        patients, labels = self._patients, self._patients.labels
        said = self._what_the_generator_says(generator_stage, patients.validation) | self._say_of_training(generator_stage)
        validated = [(case, mapped(said[case.case_id])) for case in patients.validation]
        if self._config.refinement.attend and self._config.refinement.candidate is None:
            fitted = self._config.refinement.model_copy(update={"candidate": fit_candidates(validated, labels)})
            self._config = self._config.model_copy(update={"refinement": fitted})
        config = self._config
        refiner = self._make(2, lambda: make_refiner(config, modalities=self._modalities, targets=self._targets))
        if self._start is not None and self._start.refiner is not None:
            refiner.load_state_dict(self._start.refiner.state_dict())
        elif config.refinement.warm_start and _of_one_size(config.refiner, config.generator):
            start_from_generator(
                refiner, generator, modalities=self._modalities, exclusive=labels.exclusive, silent=config.refinement.on_doubts
            )
        cases = self._to_refine(patients.train, said)
        stage = RefinementStage(
            self._fabric,
            config,
            labels,
            refiner=refiner,
            sampler=patients.sampler(config, config.refiner, cases, 1, self._process),
            validation=validated,
        )
        left = None if config.minutes is None else config.minutes * 60 - self._earlier - (time.monotonic() - self._begun)
        steps = None if config.steps is None else max(1, config.steps - max(1, round(config.steps * self._generators_share())))
        self._run(stage, steps=steps, seconds=left, validations=config.validations, last=True)
        return refiner

    def _to_refine(self, cases: Sequence[StoredCase], said: Mapping[str, Path]) -> list[TrainingCase]:
        """The refiner's training cases, with what the generator says of them and where to look; on disk, as that is."""
        number, processes = self._process
        folder, to_refine = self._checkpoints / "places", []
        for index, case in enumerate(cases):
            errors = folder / f"{case.case_id}_errors.npy"
            candidates = folder / f"{case.case_id}_candidates.npy" if self._config.refinement.attend else None
            if index % processes == number and not all(path.exists() for path in (errors, candidates) if path is not None):
                found = with_errors(case, mapped(said[case.case_id]), self._config, self._patients.labels)
                for path, places in ((errors, found.errors), (candidates, found.candidates)):
                    if path is not None and isinstance(places, np.ndarray):
                        write_array(path, places)
                forget_mapped()
            to_refine.append(TrainingCase(stored=case, probabilities=said[case.case_id], candidates=candidates, errors=errors))
        self._fabric.barrier()
        return to_refine

    def _run(self, stage: Stage, *, steps: int | None, seconds: float | None, validations: int, last: bool = False) -> dict[str, float]:
        begun = time.monotonic()
        reached = run_stage(
            self._fabric,
            stage,
            self._checkpoints / stage.name,
            steps=steps,
            seconds=None if seconds is None else seconds * (1 - _RESERVE),
            validations=validations,
            patience=self._config.patience,
            journal=self._journal,
            progress=self._progress,
            afterwards=_CHOOSING if last else 0.0,
        )
        in_all = max((float(row["seconds"]) for row in self._journal.rows if row["stage"] == stage.name), default=0.0)
        self._earlier += max(0.0, in_all - (time.monotonic() - begun))
        return reached

    def _make(self, number: int, make: Callable[[], _Network]) -> _Network:
        """Make a network whose first weights depend on the seed alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._config.seed * 3 + number)
            return make()

    def _what_the_generator_says(self, stage: AdversarialStage, cases: Sequence[StoredCase]) -> dict[str, Path]:
        """Write the finished generator's probabilities of every case to a file each: for many patients they outgrow memory.

        The discriminator's map is written after them, if the refiner is to see it.
        """
        said = {case.case_id: self._checkpoints / "probabilities" / f"{case.case_id}.npy" for case in cases}
        number, processes = self._process
        here = cases[number::processes]
        with self._progress.task("generating", len(here)) as task:
            for case in here:
                path = said[case.case_id]
                if not path.exists():
                    found = stage.generate(case)
                    if self._config.refinement.discriminator_map:
                        found = np.concatenate([found, stage.judge(case, found)])
                    write_array(path, found)
                    forget_mapped()
                task.advance()
        self._fabric.barrier()
        return said


def _of_one_size(one: NetworkSettings, other: NetworkSettings) -> bool:
    return (one.widths, one.recurrent_width) == (other.widths, other.recurrent_width)


def _make_fabric(config: Config, out: Path) -> Fabric:
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # or it says on stderr which precision it takes
    device = choose_device(config.device)
    return Fabric(
        accelerator=device.type,
        devices=[device.index] if ":" in config.device else config.devices,
        num_nodes=config.nodes,
        precision=choose_precision(config.precision, device),
        loggers=[_tensorboard(out)] if config.logger == "tensorboard" else [],
    )


def _require_groups(config: Config, fabric: Fabric) -> None:
    """Every process must have a part in every batch, whose size does not depend on their number."""
    for network in ("generator", "refiner")[: 1 + config.has_refiner]:
        groups = getattr(config, network).groups
        if groups < fabric.world_size:
            raise fail(
                "There are more training processes than groups in a batch.",
                where=f"{network}.groups",
                expected=f"{fabric.world_size} at least, for as many devices",
                got=str(groups),
                fix=f"--set {network}.groups={fabric.world_size}, or use fewer devices",
            )


def _tensorboard(out: Path) -> Logger:
    try:
        from lightning_fabric.loggers.tensorboard import TensorBoardLogger

        return TensorBoardLogger(out, name="tensorboard", version="")
    except ModuleNotFoundError as error:
        raise fail("TensorBoard is not installed.", where="logger: tensorboard", fix="pip install 'crgan[tracking]'") from error
