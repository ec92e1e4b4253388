"""What a run takes over from the one whose weights it starts from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from crgan.cases.case import Dataset
from crgan.cases.labels import LabelScheme
from crgan.cases.schemes import ignoring
from crgan.config import Config
from crgan.errors import fail
from crgan.model import Model


def take_labels(dataset: Dataset, start: Model) -> Dataset:
    """Hold a data set against the model to start from, and give its labels the model's names where they have none of their own.

    Parameters
    ----------
    dataset
        The data set to train on, with labels.
    start
        The model to start from.

    Raises
    ------
    CrganError
        If the model was trained on another number of modalities or on other targets.
    """
    labels = dataset.labels
    if labels is not None and _nameless(labels) and labels.instances == start.labels.instances:
        known = {*labels.declared} <= {*start.labels.declared, labels.ignore}
        labels = ignoring(start.labels, labels.ignore) if known else labels
    targets = () if labels is None else labels.targets
    if targets != start.labels.targets or len(dataset.modalities) != len(start.pipeline.modalities):
        raise fail(
            "The run to start from was trained on other modalities or targets.",
            where=dataset.root,
            expected=f"{', '.join(start.pipeline.modalities)} → {', '.join(start.labels.targets)}",
            got=f"{', '.join(dataset.modalities)} → {', '.join(targets)}",
            fix="leave --init out, or name the classes as in that run",
        )
    return replace(dataset, labels=labels)


def take_settings(config: Config, start: Model, *, where: Path) -> Config:
    """Give a new run the sizes of the networks whose weights it starts from, and what they were trained to see.

    Parameters
    ----------
    config
        The new run's settings.
    start
        The model to start from.
    where
        What to name in an error.

    Raises
    ------
    CrganError
        If only one of the two systems is recurrent: their generators have different weights.
    """
    length = start.config.batch.length
    if config.recurrent != start.config.recurrent and (length or 1) > 1:
        raise fail(
            "The run to start from has another generator.",
            where=where,
            expected=f"a system {'with' if config.recurrent else 'without'} recurrence, as {config.system}",
            got=start.config.system,
            fix=f"choose a system {'with' if start.config.recurrent else 'without'} rnn- in its name",
        )
    names = ["planes", "generator", "patient_wise", "noise_channel"]
    if start.refiner is not None:
        names.append("refiner")
    taken = {name: getattr(start.config, name) for name in names}
    batch = config.batch.model_copy(update={"length": length})
    return config.model_copy(update={**taken, "batch": batch, "preprocessing": start.pipeline.settings})


def _nameless(labels: LabelScheme) -> bool:
    """Whether the names of the classes were made up from their values, because nothing declares them."""
    return not labels.regions and (labels.instances or all(name == f"class {value}" for value, name in labels.classes.items()))
