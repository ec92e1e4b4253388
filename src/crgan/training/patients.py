"""The prepared patients of a run, and what is known of them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crgan.cases.integrity import check_cases
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import open_dataset
from crgan.config import Config, NetworkSettings
from crgan.errors import CrganError, fail
from crgan.model import Model
from crgan.preprocessing.fingerprint import take_fingerprint
from crgan.preprocessing.pipeline import Pipeline
from crgan.preprocessing.store import prepare
from crgan.preprocessing.stored import StoredCase
from crgan.progress import Progress
from crgan.sequences.sampler import Sampler, TrainingCase
from crgan.training.partition import Partition, divide
from crgan.training.start import take_labels


class Patients:
    """Opens, checks, divides and prepares the patients of a run.

    Parameters
    ----------
    data
        The folder.
    config
        How to read and divide it, and how to preprocess.
    start
        The model to start from, whose preprocessing and labels are taken; None to begin anew.
    pipeline
        Preprocessing to take, in place of the start's or of one that is fitted.
    progress
        Follows the cases.
    scheduler
        Address of a Dask scheduler, on whose workers cases are prepared; None for this process.

    Raises
    ------
    CrganError
        If anything is wrong with the data.
    """

    def __init__(
        self,
        data: Path,
        config: Config,
        start: Model | None,
        progress: Progress,
        *,
        pipeline: Pipeline | None = None,
        scheduler: str | None = None,
    ) -> None:
        settings = config.data
        dataset = open_dataset(
            data if scheduler is None else data.absolute(),
            layout=settings.layout,
            pattern=settings.pattern,
            group=settings.group,
            labels=settings.label_scheme(),
            ignore=settings.ignore,
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
        self.warnings = [problem.what for problem in problems]
        if dataset.labels is None:
            raise fail("There are no labels to learn from.", where=data, fix="train on a folder with label files")
        self.labels: LabelScheme = dataset.labels
        fitted = [case for case in wanted if case.patient_id in self.partition.train]
        if pipeline is None and start is not None:
            pipeline = start.pipeline
        self.pipeline = pipeline or Pipeline.fit(fitted, dataset, settings=config.preprocessing, progress=progress)
        stored = prepare(
            wanted,
            dataset,
            self.pipeline,
            cache=(settings.cache or _cache()).absolute(),
            workers=config.threads or os.cpu_count() if scheduler is None else None,
            scheduler=scheduler,
            progress=progress,
        )
        self.train = [case for case in stored if case.patient_id in self.partition.train]
        self.validation = spread([case for case in stored if case.patient_id in self.partition.validation], settings.validation_cases)
        self.fingerprint = take_fingerprint(self.train, instances=self.labels.instances)

    def describe(self) -> object:
        """What ``data.json`` holds, as it reads back; the keys of the prepared cases change with any file and with preprocessing."""
        keys = {case.case_id: case.folder.name for case in (*self.train, *self.validation)}
        described = {"fingerprint": self.fingerprint.to_json(), "patients": self.partition.to_json(), "prepared": keys}
        return json.loads(json.dumps({**described, "warnings": self.warnings}))

    def sampler(
        self, config: Config, network: NetworkSettings, cases: Sequence[TrainingCase], stream: int, process: tuple[int, int] = (0, 1)
    ) -> Sampler:
        """Mini-batches of a stage, by this of several processes; ``stream`` keeps the randomness of stages apart."""
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
            seed=(config.seed, stream, 0),
            accumulate=config.batch.accumulate,
            process=process,
        )

    def target_shares(self) -> list[float]:
        """The share of the training cases' voxels that belongs to each target."""
        codes = np.array([0.0, *(code.share for code in self.fingerprint.codes)])
        return [float(codes[members].sum()) for members in self.labels.table()]


def spread(cases: Sequence[StoredCase], most: int) -> list[StoredCase]:
    """At most ``most`` of the cases, evenly spaced."""
    if len(cases) <= most:
        return list(cases)
    return [cases[round(i)] for i in np.linspace(0, len(cases) - 1, most)]


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "crgan"
