"""The loop that trains a stage: steps, validation, checkpoints, resuming, stopping early."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from crgan.errors import CrganError, fail
from crgan.files import writing
from crgan.interruption import Stopped, on_request, stop
from crgan.progress import Progress
from crgan.training.checkpoint import load_state, save_state
from crgan.training.journal import Journal
from crgan.training.ranks import agreed
from crgan.training.stage import Stage

# The first steps pay for first touches of memory and are not measured; the next ones are.
_WARM_UP_STEPS, _MEASURED_STEPS = 4, 8
_CAUTION = 0.97
# Of the time, for validation, unless two take more.
_VALIDATING = 0.06
_SECONDS_BETWEEN_CHECKPOINTS = 60.0


@dataclass
class _Facts:
    """Where a stage is; stored with every checkpoint."""

    step: int = 0
    total: int | None = None
    marks: list[int] = field(default_factory=list)
    best: float = -1.0
    unimproved: int = 0
    seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)

    def plan(self, total: int, validations: int) -> None:
        """Fix the number of steps, and after which of them to validate: evenly, the last time at the end."""
        self.total = total
        self.marks = [math.ceil(total * (number + 1) / validations) for number in range(validations)]

    def stretch(self, total: int) -> None:
        """Fix the number of steps anew; the validations that are left keep their places among the steps that are left."""
        before, now = (self.total or total) - self.step, total - self.step
        self.marks = [mark if mark <= self.step else self.step - (self.step - mark) * now // before for mark in self.marks]
        self.total = total

    def improved_by(self, scores: dict[str, float]) -> bool:
        """Take in the scores of a validation, and tell whether they are the best so far."""
        self.figures |= scores
        self.unimproved += 1
        if scores["dice"] <= self.best:
            return False
        self.best, self.unimproved = scores["dice"], 0
        return True


def run_stage(
    fabric: Fabric,
    stage: Stage,
    folder: Path,
    *,
    steps: int | None,
    seconds: float | None,
    validations: int,
    patience: int | None,
    journal: Journal,
    progress: Progress,
    afterwards: float = 0.0,
) -> dict[str, float]:
    """Train a stage to its end, from its last checkpoint if there is one, and leave the best weights in its networks.

    Parameters
    ----------
    fabric
        Devices.
    stage
        What is trained.
    folder
        For ``last.safetensors``, the one before it as ``previous.safetensors``, and ``best.safetensors``.
    steps, seconds
        How many steps, or the wall-clock time from which their number is found by measuring the first ones.
    validations
        How often to validate, evenly spaced, the last time at the end. Within ``seconds`` fewer, but at least two, where so many
        would take more than 6 % of them.
    patience
        Validations without a better Dice before the stage stops; None to go to the end.
    journal
        Takes down the figures.
    progress
        Follows the steps.
    afterwards
        How much of ``seconds`` to leave for what comes after the steps, in times that a validation takes.

    Returns
    -------
    dict
        The best validation's figures.
    """
    loop = _Loop(fabric, stage, folder, validations=validations, afterwards=afterwards, journal=journal, progress=progress)
    loop.begin(steps, seconds)
    loop.go_on(patience)
    fabric.barrier()  # until the first process has written its best weights
    found: dict[str, Any] = load_state(loop.best, stage.modules, {})
    return {name: float(value) for name, value in found.items()}


def best_path(folder: Path) -> Path:
    """Where a stage with checkpoints in ``folder`` keeps its best weights."""
    return folder / "best.safetensors"


def snapshot_path(folder: Path, share: float) -> Path:
    """Where a stage with checkpoints in ``folder`` keeps its weights of after this share of the steps."""
    return folder / f"at{round(100 * share)}.safetensors"


class _Loop:
    """The steps of a stage, where it is, and its files."""

    def __init__(
        self, fabric: Fabric, stage: Stage, folder: Path, *, validations: int, afterwards: float, journal: Journal, progress: Progress
    ) -> None:
        self._fabric, self._stage, self._validations, self._afterwards = fabric, stage, validations, afterwards
        self._journal, self._progress, self._folder = journal, progress, folder
        self._last, self._previous, self.best = folder / "last.safetensors", folder / "previous.safetensors", best_path(folder)
        source, self._facts = _resume((self._last, self._previous), stage, progress) or (None, _Facts())
        self._intact = source == self._last
        self._budget: _Budget | None = None
        self._before, self._begun = self._facts.seconds, time.monotonic()
        journal.rewind(stage.name, self._facts.step)

    def begin(self, steps: int | None, seconds: float | None) -> None:
        """Fix the number of steps, unless a checkpoint has it."""
        facts = self._facts
        if facts.total is None and steps is not None:
            facts.plan(steps, self._validations)
        elif facts.total is None:
            self._budget = _Budget(self._fabric, self._stage, facts, seconds=seconds or 0.0, afterwards=self._afterwards)
            self._budget.measure(self._validations)
            self._save()

    def go_on(self, patience: int | None) -> None:
        """Take all steps that are left, or as many as make the segmentation better."""
        facts, saved = self._facts, time.monotonic()
        with _interruptions() as interrupted, self._progress.task(self._stage.name, facts.total or 0) as task:
            task.advance(facts.step, **facts.figures)
            while facts.step < (facts.total or 0) and not (patience and facts.unimproved >= patience):
                facts.figures |= _step(self._stage, facts.step, facts.total)
                facts.step += 1
                task.advance(1, **facts.figures)
                marked = facts.step in facts.marks
                if marked:
                    self._validate()
                    task.advance(0, **facts.figures)
                    task.resize(facts.total or 0)
                elif self._budget is not None and self._budget.look_again():
                    task.resize(facts.total or 0)
                self._keep()
                asked = _anywhere(self._fabric, flag=interrupted.asked)
                if marked or asked or time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
                    self._save()
                    saved = time.monotonic()
                if asked:
                    raise Stopped(interrupted.number)

    def _validate(self) -> None:
        facts, reached = self._facts, time.monotonic()
        scores = agreed(self._fabric, self._stage.validate())
        if facts.improved_by(scores) and self._fabric.is_global_zero:
            save_state(self.best, self._stage.modules, {}, {"step": facts.step, **scores})
        self._journal.add(self._stage.name, facts.step, self._seconds(), facts.figures)
        if self._budget is not None:
            self._budget.measure_again(reached)

    def _keep(self) -> None:
        """Keep the weights as they are now, where the stage asks for it; a new plan of fewer steps may already be past that."""
        facts = self._facts
        for share in self._stage.keep_at if self._fabric.is_global_zero else ():
            path = snapshot_path(self._folder, share)
            if facts.step >= share * (facts.total or 0) and not path.exists():
                save_state(path, self._stage.modules, {}, {"step": facts.step})

    def _save(self) -> None:
        self._facts.seconds = self._seconds()
        if self._fabric.is_global_zero:
            if self._intact:  # a damaged one must not take the place of the one that was gone on from
                with writing(self._previous):
                    self._last.replace(self._previous)
            save_state(self._last, self._stage.modules, self._stage.optimisers, asdict(self._facts))
            self._intact = True

    def _seconds(self) -> float:
        return self._before + time.monotonic() - self._begun


def _anywhere(fabric: Fabric, *, flag: bool) -> bool:
    """Whether the flag is up in any of the processes that take steps together: they must stop at the same one."""
    if fabric.world_size == 1:
        return flag
    return bool(fabric.all_reduce(torch.tensor(float(flag), device=fabric.device), reduce_op="sum"))


def _resume(paths: Iterable[Path], stage: Stage, progress: Progress) -> tuple[Path, _Facts] | None:
    """Load the first checkpoint that is there and whole; None if there is none at all."""
    damage: CrganError | None = None
    for path in paths:
        if path.exists():
            try:
                return path, _load(path, stage)
            except CrganError as error:
                damage = damage or error
                progress.note(str(error))
    if damage is not None:
        raise damage
    return None


def _load(path: Path, stage: Stage) -> _Facts:
    found = load_state(path, stage.modules, stage.optimisers)
    if {*found} != {entry.name for entry in fields(_Facts)}:
        raise fail(
            "The checkpoint was written by another version.",
            where=path,
            got=", ".join(found),
            fix="go on with the version of crgan that wrote it, or train anew with --overwrite",
        )
    return _Facts(**found)


def _step(stage: Stage, number: int, total: int | None) -> dict[str, float]:
    network = next(iter(stage.modules))
    try:
        figures = stage.step(number, total)
    except torch.OutOfMemoryError as error:
        raise fail(
            "The memory of the GPU ran out.",
            where=f"{stage.name} stage, step {number}",
            got=" ".join(str(error).split())[:200],
            fix=f"train anew with fewer {network}.groups and more batch.accumulate, with batch.find=true, or with precision=bf16-mixed",
        ) from error
    if not math.isfinite(figures["loss"]):
        raise fail(
            "The training has diverged.",
            where=f"{stage.name} stage, step {number}",
            expected="a finite loss",
            got=str(figures["loss"]),
            fix=f"train anew with a lower learning rate, for example --set {network}_optimisation.learning_rate=0.0005",
        )
    return figures


class _Budget:
    """Time, and how many steps fit into it: found from the first steps, and anew at every validation and halfway to it, and so on.

    The first steps may be slow (files are read, memory is touched for the first time), and others may come to work on the
    machine, or leave it.
    """

    def __init__(self, fabric: Fabric, stage: Stage, facts: _Facts, *, seconds: float, afterwards: float) -> None:
        self._fabric, self._stage, self._facts, self._afterwards = fabric, stage, facts, afterwards
        self._ends = time.monotonic() + seconds
        self._planned = 0, 0.0  # step and time of the last plan
        self._validation = 0.0  # how long the last one took
        self._next = 0  # step at which to plan again

    def measure(self, validations: int) -> None:
        """Take the first steps, measure them and a validation, and plan the others."""
        self._take(_WARM_UP_STEPS)
        warm = time.monotonic()
        self._take(_MEASURED_STEPS)
        measured = time.monotonic()
        self._stage.validate()
        self._planned = self._facts.step, time.monotonic()
        self._validation = self._planned[1] - measured
        # Agreed, too: processes that validate at different steps would wait for each other for ever.
        affordable = {"validations": _VALIDATING * (self._ends - measured) / max(self._validation, 1e-6)}
        validations = min(validations, max(2, int(agreed(self._fabric, affordable)["validations"])))
        self._facts.plan(self._total((measured - warm) / _MEASURED_STEPS, validations), validations)
        self._halfway()

    def measure_again(self, reached: float) -> None:
        """Plan the steps after a validation, which began when the time was ``reached``."""
        self._validation = time.monotonic() - reached
        self._plan(reached)

    def look_again(self) -> bool:
        """Plan the steps that are left, if it is time for it; tells whether it was."""
        due = self._facts.step == self._next
        if due:
            self._plan(time.monotonic())
        return due

    def _plan(self, reached: float) -> None:
        first, begun = self._planned
        more = sum(mark > self._facts.step for mark in self._facts.marks)
        self._planned = self._facts.step, time.monotonic()
        if more:
            self._facts.stretch(self._total((reached - begun) / (self._facts.step - first), more))
            self._halfway()

    def _halfway(self) -> None:
        """Plan again halfway to the next validation, unless that is near."""
        left = min(mark for mark in self._facts.marks if mark > self._facts.step) - self._facts.step
        self._next = self._facts.step + left // 2 if left >= 2 * _MEASURED_STEPS else 0

    def _take(self, steps: int) -> None:
        for _ in range(steps):
            self._facts.figures = _step(self._stage, self._facts.step, None)
            self._facts.step += 1

    def _total(self, step: float, validations: int) -> int:
        """How many steps there are in all, if a step takes so long and so many validations are left."""
        left = self._ends - time.monotonic() - (validations + self._afterwards) * self._validation
        more = int(_CAUTION * self._stage.pace * left / max(step, 1e-6))  # some clocks tick slowly
        # Processes that take steps together must agree on how many, and each has measured for itself.
        return int(agreed(self._fabric, {"total": self._facts.step + max(more, validations)})["total"])


@dataclass
class _Interruption:
    """Whether a signal has asked to stop, and which."""

    asked: bool = False
    number: int = signal.SIGINT  # that of another process is not known


@contextmanager
def _interruptions() -> Iterator[_Interruption]:
    """Take note of a request to stop, so that a step is never cut in two; who presses Ctrl-C once more is not kept waiting.

    Any other signal may well come twice: from a scheduler, and from a process of ours that the scheduler told, too.
    """
    interruption = _Interruption()

    def ask(number: int) -> None:
        if interruption.asked and number == signal.SIGINT:
            stop(number)
        interruption.asked, interruption.number = True, number

    with on_request(ask):
        yield interruption
