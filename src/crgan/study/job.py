"""One job of a study: train, segment the validation and test patients with and without the refiner, score, take down."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from crgan.cases.case import Dataset
from crgan.cases.layouts import open_dataset
from crgan.cases.splits import read_split
from crgan.evaluation.evaluate import evaluate
from crgan.evaluation.predicted import Predicted, find_predicted
from crgan.evaluation.scores import Scores
from crgan.files import read_json
from crgan.inference.predict import predict
from crgan.progress import Progress, Silent
from crgan.study.dial_sweep import DialSweep, mean_dial, sweep_dial
from crgan.study.pictures import write_pictures
from crgan.study.plan import REFINED, DataSet, Job
from crgan.study.record import GENERATOR, RECORD, SYSTEM, Measured, Record, settings_digest
from crgan.study.sweeping import Counts, Sweep, choose_thresholds, count, tally_case
from crgan.training.folder import DATA, SETTINGS
from crgan.training.reuse import reuse_generator
from crgan.training.run import train

PICTURES = "overlays.png"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """How a side of a data set is read: where images and labels are, which cases, and how the folders are laid out."""

    images: Path
    labels: Path
    cases: tuple[str, ...] | None
    layout: str | None = None
    pattern: str | None = None
    group: str | None = None


def run_job(job: Job, out: Path, source: Job | None = None, progress: Progress | None = None) -> None:
    """Do what is left of a job; one that is over, because its record is there, is left as it is.

    Parameters
    ----------
    job
        What to do.
    out
        The study's folder.
    source
        A job that is over and whose generator is this one's too.
    progress
        Follows the work.

    Raises
    ------
    CrganError
        If anything is wrong with the data or settings.
    """
    progress = progress or Silent()
    folder = out / job.folder
    if (folder / RECORD).exists():
        return
    run = folder / "run"
    if not _finished(run):
        if source is not None and not (run / SETTINGS).exists() and _finished(out / source.folder / "run"):
            reuse_generator(out / source.folder / "run", run, job.config)
        train(job.data.data, run, config=job.config, resume=True, progress=progress)
    _Work(job, folder, run, progress).take_down()


def _finished(run: Path) -> bool:
    return (run / "model" / "model.json").exists()


class _Work:
    """All that follows training."""

    def __init__(self, job: Job, folder: Path, run: Path, progress: Progress) -> None:
        self._job, self._folder, self._run, self._progress = job, folder, run, progress
        self._test, self._validation = _test_side(job), _validation_side(job, run)

    def take_down(self) -> None:
        """Segment, score and sweep; the record comes last, since it is what makes the job be over."""
        kinds = (SYSTEM, GENERATOR) if self._job.row.system.endswith(REFINED) else (SYSTEM,)
        rows = {kind: self._measure(kind) for kind in kinds}
        model = read_json(self._run / "model" / "model.json")
        journal = _journal(self._run)
        record = Record(
            settings=settings_digest(self._job.config),
            trained_on=len(read_json(self._run / DATA)["patients"]["train"]),
            minutes=_minutes(journal),
            journal=journal,
            rows=rows,
            dial={target: (found["p"], found["q"]) for target, found in model["dial"].items()},
            dial_sweep=self._sweep_dial() if GENERATOR in rows else None,
            versions={name: version(name) for name in ("crgan", "torch")},
        )
        predicted = {kind: {case.pair.case_id: case for case in self._found(kind, "test")} for kind in rows}
        write_pictures(self._folder / PICTURES, predicted[SYSTEM], predicted.get(GENERATOR))
        for kind in rows:  # large, and all that is in them has been counted
            shutil.rmtree(self._place(kind, "validation"))
            shutil.rmtree(self._place(kind, "test") / "maps")
        record.write(self._folder / RECORD)

    def _measure(self, kind: str) -> Measured:
        for side, reading in (("test", self._test), ("validation", self._validation)):
            predict(
                self._run,
                reading.images,
                self._place(kind, side),
                generator_only=kind == GENERATOR,
                probabilities=True,
                errors=kind == SYSTEM and self._job.row.system.endswith(REFINED) and side == "test",
                cases=reading.cases,
                overwrite=True,
                device=self._job.config.device,
                threads=self._job.config.threads,
                layout=reading.layout,
                pattern=reading.pattern,
                group=reading.group,
                progress=self._progress,
            )
        scores = evaluate(
            self._place(kind, "test"),
            self._test.labels,
            out=self._folder / ("scores" if kind == SYSTEM else f"scores-{kind}"),
            cases=self._test.cases,
            images=self._test.images,
            overwrite=True,
            workers=self._job.config.threads,
            layout=self._test.layout,
            pattern=self._test.pattern,
            group=self._test.group,
            progress=self._progress,
        )
        validation, test = self._sweep(kind)
        return Measured(scores=replace(scores, patients=_short(scores, self._test.labels)), validation=validation, test=test)

    def _sweep(self, kind: str) -> tuple[Sweep, Sweep]:
        """What thresholds that were found on the validation patients give on these, and on the test patients."""
        seen = {case.pair.case_id: (case.patient, tally_case(case)) for case in self._found(kind, "validation")}
        targets = next(iter(tallies for _, tallies in seen.values()))
        thresholds = {target: choose_thresholds([tallies[target] for _, tallies in seen.values()]) for target in targets}
        # The same name in a folder of its own is not the same patient.
        elsewhere = "" if self._job.data.images is None else "training: "
        validation = Sweep(
            thresholds=thresholds,
            patients={case: elsewhere + _shortened(patient, self._validation.labels) for case, (patient, _) in seen.items()},
            counts={
                target: {case: count(tallies[target], thresholds[target]) for case, (_, tallies) in seen.items()} for target in targets
            },
        )
        patients: dict[str, str] = {}
        counts: dict[str, dict[str, Counts]] = {target: {} for target in targets}
        for case in self._found(kind, "test"):
            patients[case.pair.case_id] = _shortened(case.patient, self._test.labels)
            for target, tallied in tally_case(case).items():
                counts[target][case.pair.case_id] = count(tallied, thresholds[target])
        return validation, Sweep(thresholds=thresholds, patients=patients, counts=counts)

    def _sweep_dial(self) -> DialSweep:
        both = zip(self._found(GENERATOR, "test"), self._found(SYSTEM, "test"), strict=True)
        return mean_dial([sweep_dial(generator, system) for generator, system in both])

    def _found(self, kind: str, side: str) -> list[Predicted]:
        reading = self._test if side == "test" else self._validation
        return list(
            find_predicted(
                self._place(kind, side),
                reading.labels,
                reading.images,
                cases=reading.cases,
                layout=reading.layout,
                pattern=reading.pattern,
                group=reading.group,
            )
        )

    def _place(self, kind: str, side: str) -> Path:
        name = "masks" if side == "test" else "validation"
        return self._folder / (name if kind == SYSTEM else f"{name}-{kind}")


def _test_side(job: Job) -> _Reading:
    """The cases of the split's test side, or all of the test folder."""
    data = job.data
    if data.images is not None and data.labels is not None:
        return _Reading(images=data.images, labels=data.labels, cases=None)  # they need not be laid out as the training data are
    dataset = _dataset(data)
    cases = None if data.split is None else tuple(read_split(data.split, dataset, fold=job.fold).test)
    return _Reading(images=data.data, labels=data.data, cases=cases, layout=data.layout, pattern=data.pattern, group=data.group)


def _validation_side(job: Job, run: Path) -> _Reading:
    """The cases of the run's own validation patients."""
    data = job.data
    held = set(read_json(run / DATA)["patients"]["validation"])
    cases = tuple(case.case_id for case in _dataset(data).labelled if case.patient_id in held)
    return _Reading(images=data.data, labels=data.data, cases=cases, layout=data.layout, pattern=data.pattern, group=data.group)


def _dataset(data: DataSet) -> Dataset:
    return open_dataset(data.data, layout=data.layout, pattern=data.pattern, group=data.group)


def _journal(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _minutes(journal: list[dict[str, str]]) -> float:
    """Minutes of all stages together; the last row of a stage tells how long it took."""
    return sum({row["stage"]: float(row["seconds"]) for row in journal}.values()) / 60


def _short(scores: Scores, labels: Path) -> dict[str, str]:
    return {case: _shortened(patient, labels) for case, patient in scores.patients.items()}


def _shortened(patient: str, labels: Path) -> str:
    """A patient's folder, below that of the labels: where the data lay is nobody else's business."""
    return Path(patient).relative_to(labels).as_posix() if Path(patient).is_relative_to(labels) else patient
