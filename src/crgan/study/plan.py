"""What a study is made of: data sets, systems, seeds and folds, and the jobs that follow from them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from crgan.config import SYSTEMS, Config, Settings, load_config
from crgan.errors import CrganError, Problem, fail
from crgan.training.reuse import generator_settings

REFINED = "+refinement"
_Seeds = Annotated[tuple[int, ...], Field(min_length=1)]
_SeedsOfSystems = Annotated[
    Annotated[_Seeds, Tag("of all")] | Annotated[dict[str, _Seeds], Tag("by system")],
    Discriminator(lambda seeds: "by system" if isinstance(seeds, dict) else "of all"),  # or a mistake is told of both
]


class Row(Settings):
    """A system of the study, a row of its tables."""

    system: str
    name: str = ""  # in tables and folders; the system's name if empty
    set: tuple[str, ...] = ()  # settings that differ, as in `crgan train --set`
    seeds: _Seeds | None = None  # None: those of the study
    ablation_of: str | None = None  # name of the system that this one lacks a part of

    @field_validator("system")
    @classmethod
    def _check_system(cls, system: str) -> str:
        if system not in SYSTEMS:
            raise ValueError(f"one of {', '.join(SYSTEMS)}")
        return system

    @property
    def label(self) -> str:
        """What tables call it."""
        return self.name or self.system


class DataSet(Settings):
    """Patients to train on, and others to test on: those of the split's test side, or those in folders of their own."""

    data: Path
    split: Path | None = None
    folds: tuple[int, ...] | None = Field(None, min_length=1)
    images: Path | None = None
    labels: Path | None = None
    minutes: float | None = Field(None, gt=0)  # None: those of the study
    steps: int | None = Field(None, gt=0)
    set: tuple[str, ...] = ()
    systems: tuple[str, ...] | None = Field(None, min_length=1)  # names of the study's systems; None: all of them
    seeds: _SeedsOfSystems | None = None  # in place of those of the study and its systems, of all or of some by name
    training_patients: tuple[int, ...] = ()  # also train on so many of the patients, to see what more of them bring
    tables: Literal["brain", "liver", "cells"] | None = None  # which of the paper's tables it fills
    targets: Mapping[str, str] = Field(default_factory=dict)  # what the paper's targets are called here, where they have other names
    layout: str | None = None
    pattern: str | None = None
    group: str | None = None

    @model_validator(mode="after")
    def _check(self) -> DataSet:
        if (self.split is None) == (self.images is None) or (self.images is None) != (self.labels is None):
            raise ValueError("either split, or images and labels of the patients to test on")
        if self.folds is not None and self.split is None:
            raise ValueError("folds only with split")
        if self.targets and self.tables is None:
            raise ValueError("targets only with tables")
        return self


class Study(Settings):
    """A study as its YAML file has it."""

    sets: dict[str, DataSet] = Field(min_length=1)
    systems: tuple[Row, ...] = Field(min_length=1)
    recipe: str = "default"
    minutes: float | None = Field(None, gt=0)
    steps: int | None = Field(None, gt=0)
    seeds: _Seeds = (0,)
    set: tuple[str, ...] = ()
    threads: int | None = Field(None, ge=1)
    reference: str | None = None  # the system whose false positive rate the others are held to; None: unet, else the first
    share_generators: bool = False  # score a system without refiner by the generator of the one with it

    @field_validator("systems", mode="before")
    @classmethod
    def _names_alone(cls, systems: Any) -> Any:
        return [{"system": row} if isinstance(row, str) else row for row in systems] if isinstance(systems, list) else systems

    @model_validator(mode="after")
    def _check(self) -> Study:
        labels = [row.label for row in self.systems]
        if len({folder_name(label) for label in labels}) < len(labels):
            raise ValueError("systems with a name each where they differ in nothing else")
        named = [(f"sets.{name}.systems", label) for name, data in self.sets.items() for label in data.systems or ()]
        named += [(f"sets.{name}.seeds", label) for name, data in self.sets.items() if isinstance(data.seeds, dict) for label in data.seeds]
        named += [(f"ablation_of of {row.label}", row.ablation_of) for row in self.systems if row.ablation_of is not None]
        named += [] if self.reference is None else [("reference", self.reference)]
        if unknown := [f"{label} in {where}" for where, label in named if label not in labels]:
            raise ValueError(f"names of systems that are listed, {', '.join(labels)}; not {', '.join(unknown)}")
        for name, data in self.sets.items():
            if (data.minutes or data.steps) is None and (self.minutes is None) == (self.steps is None):
                raise ValueError(f"minutes or steps, for all sets or for {name}")
        return self

    def jobs(self) -> Iterator[Job]:
        """Every training of the study; those of one data set after another."""
        for name, data in self.sets.items():
            for row in self.rows(name):
                if self.refined(name, row) is None:
                    for patients in (None, *data.training_patients):
                        yield from self.jobs_of(name, row, patients)

    def jobs_of(self, set_name: str, row: Row, patients: int | None = None) -> Iterator[Job]:
        """The trainings of one system on one data set: every seed and fold."""
        data = self.sets[set_name]
        own = data.seeds.get(row.label) if isinstance(data.seeds, dict) else data.seeds
        for seed in own or row.seeds or self.seeds:
            for fold in data.folds or (None,):
                yield Job(study=self, set_name=set_name, row=row, seed=seed, fold=fold, patients=patients)

    def rows(self, set_name: str) -> list[Row]:
        """The systems that are trained on a data set."""
        wanted = self.sets[set_name].systems
        return [row for row in self.systems if wanted is None or row.label in wanted]

    def refined(self, set_name: str, row: Row) -> Row | None:
        """The row whose generator is also this row's, where generators are shared."""
        if not self.share_generators or row.system.endswith(REFINED):
            return None
        others = (other for other in self.rows(set_name) if other.system == row.system + REFINED)
        return next((other for other in others if (other.set, other.seeds) == (row.set, row.seeds)), None)

    def reference_of(self, set_name: str) -> str:
        """The system whose false positive rate the others are held to on a data set."""
        labels = [row.label for row in self.rows(set_name)]
        return next((label for label in (self.reference, "unet") if label in labels), labels[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training, with the predictions and scores that follow.

    Parameters
    ----------
    study
        What it is part of.
    set_name
        Of the data set.
    row
        The system.
    seed, fold
        Of the run; no fold where the test patients are in folders of their own or the split has none.
    patients
        Train on so many; None for all.
    """

    study: Study
    set_name: str
    row: Row
    seed: int
    fold: int | None
    patients: int | None = None

    @property
    def data(self) -> DataSet:
        """The data set."""
        return self.study.sets[self.set_name]

    @property
    def folder(self) -> Path:
        """Where its files lie, below the study's folder."""
        parts = [f"seed{self.seed}", *(f"{name}{n}" for name, n in (("fold", self.fold), ("patients", self.patients)) if n is not None)]
        return Path(folder_name(self.set_name)) / folder_name(self.row.label) / "-".join(parts)

    @property
    def config(self) -> Config:
        """The settings of its training."""
        study, data = self.study, self.data
        own = data.minutes is not None or data.steps is not None
        return load_config(
            recipe=study.recipe,
            overrides=[*study.set, *data.set, *self.row.set],
            system=self.row.system,
            seed=self.seed,
            minutes=data.minutes if own else study.minutes,
            steps=data.steps if own else study.steps,
            threads=study.threads,
            **{
                "data.split": data.split,
                "data.fold": self.fold,
                "data.training_patients": self.patients,
                "data.layout": data.layout,
                "data.pattern": data.pattern,
                "data.group": data.group,
            },
        )


def generator_sources(jobs: Iterable[Job]) -> dict[Path, Job]:
    """Find the jobs that need no generator of their own: those of a system that differs from an earlier one's in the refiner alone.

    Returns
    -------
    dict
        By the folder of such a job, the job whose generator it takes over.
    """
    first: dict[tuple[str, str], Job] = {}
    sources: dict[Path, Job] = {}
    for job in jobs:
        if job.row.system.endswith(REFINED):
            key = (job.set_name, generator_settings(job.config))
            if key in first:
                sources[job.folder] = first[key]
            else:
                first[key] = job
    return sources


def read_study(path: Path | str) -> Study:
    """Read a study's YAML file; paths in it are relative to the file.

    Raises
    ------
    CrganError
        With everything that is wrong with it, settings of the trainings included.
    """
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise fail("The study could not be read.", where=path, got=error.strerror or str(error), fix="check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise fail("The study is not valid YAML.", where=path, got=str(error)) from error
    if not isinstance(values, dict):
        raise fail("The study is not a mapping.", where=path, expected="sets, systems, and minutes or steps", got=type(values).__name__)
    try:
        study = Study.model_validate(values)
    except ValidationError as error:
        problems = [
            Problem(
                what="The study is not as it should be.",
                where=f"{path}, {'.'.join(map(str, item['loc'])) or 'study'}",
                expected=item["msg"].removeprefix("Value error, "),
                got=None if isinstance(item["input"], dict) else repr(item["input"])[:120],
                fix="docs/study.md shows a study and lists its settings",
            )
            for item in error.errors()
        ]
        raise CrganError(problems) from error
    study = study.model_copy(update={"sets": {name: _from_here(data, path.parent) for name, data in study.sets.items()}})
    for job in study.jobs():
        job.config  # noqa: B018 - raises where a setting does not fit, before anything is trained
    return study


def _from_here(data: DataSet, folder: Path) -> DataSet:
    places = {name: getattr(data, name) for name in ("data", "split", "images", "labels")}
    return data.model_copy(update={name: (folder / place).resolve() for name, place in places.items() if place is not None})


def folder_name(text: str) -> str:
    """A name as that of a folder or a file: what may not stand in one becomes a hyphen."""
    return re.sub(r"[^\w.+=-]+", "-", text).strip("-")
