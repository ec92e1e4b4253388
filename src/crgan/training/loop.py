"""The loop that trains a stage: steps, validation, checkpoints, resuming, stopping early."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning_fabric import Fabric

from crgan.errors import CrganError, fail
from crgan.progress import Progress
from crgan.training.checkpoint import load_state, save_state
from crgan.training.journal import Journal
from crgan.training.stage import Stage

# The first steps pay for first touches of memory and files and are not measured; the next ones are. So many at least, and
# for so large a share of the time: a few steps on a machine that others use too can be far off.
_WARM_UP_STEPS, _MEASURED_STEPS, _MOST_STEPS = 4, 8, 500
_WARM_UP_SHARE, _MEASURED_SHARE = 0.01, 0.02
# A validation that takes a smaller share of the time than this can be measured twice, the second time without first touches.
_SHORT_VALIDATION = 0.02
_CAUTION = 0.97
_SECONDS_BETWEEN_CHECKPOINTS = 60.0


class Stopped(KeyboardInterrupt):
    """Raised after a signal asked to stop, and the last checkpoint was written.

    Parameters
    ----------
    number
        Of the signal: that of Ctrl-C, or SIGTERM where a scheduler takes the machine away.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@dataclass
class _Facts:
    """Where a stage is; stored with every checkpoint."""

    step: int = 0
    total: int | None = None
    best: float = -1.0
    unimproved: int = 0
    seconds: float = 0.0
    figures: dict[str, float] = field(default_factory=dict)

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
        How often to validate, evenly spaced, the last time at the end.
    patience
        Validations without a better Dice before the stage stops; None to go to the end.
    journal
        Takes down the figures.
    progress
        Follows the steps.

    Returns
    -------
    dict
        The best validation's figures.
    """
    last, previous, best = (folder / f"{name}.safetensors" for name in ("last", "previous", "best"))
    source, facts = _resume((last, previous), stage, progress) or (None, _Facts(total=steps))
    intact = source == last
    journal.rewind(stage.name, facts.step)

    def save() -> None:
        nonlocal intact
        if fabric.is_global_zero:
            if intact:  # a damaged one must not take the place of the one that was gone on from
                last.replace(previous)
            save_state(last, stage.modules, stage.optimisers, asdict(facts))
            intact = True

    if facts.total is None:
        # Processes that take steps together must agree on how many, and each has measured for itself.
        facts.total = int(fabric.broadcast(_measure(stage, facts, seconds or 0.0, validations)))
        save()
    total = facts.total
    marks = {math.ceil(total * (number + 1) / validations) for number in range(validations)}
    saved = begun = time.monotonic()
    before = facts.seconds
    with _interruptions() as interrupted, progress.task(stage.name, total) as task:
        task.advance(facts.step, **facts.figures)
        while facts.step < total and not (patience and facts.unimproved >= patience):
            facts.figures |= _step(stage, facts.step, total)
            facts.step += 1
            task.advance(1, **facts.figures)
            if facts.step in marks:
                scores = stage.validate()
                if facts.improved_by(scores) and fabric.is_global_zero:
                    save_state(best, stage.modules, {}, {"step": facts.step, **scores})
                facts.seconds = before + time.monotonic() - begun
                journal.add(stage.name, facts.step, facts.seconds, facts.figures)
                task.advance(0, **facts.figures)
            stop = _anywhere(fabric, flag=interrupted.asked)
            if facts.step in marks or stop or time.monotonic() - saved > _SECONDS_BETWEEN_CHECKPOINTS:
                facts.seconds = before + time.monotonic() - begun
                save()
                saved = time.monotonic()
            if stop:
                raise Stopped(interrupted.number)
    fabric.barrier()  # until the first process has written its best weights
    found: dict[str, Any] = load_state(best, stage.modules, {})
    return {name: float(value) for name, value in found.items()}


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
    figures = stage.step(number, total)
    if not math.isfinite(figures["loss"]):
        raise fail(
            "The training has diverged.",
            where=f"{stage.name} stage, step {number}",
            expected="a finite loss",
            got=str(figures["loss"]),
            fix=f"train anew with a lower learning rate, for example --set {next(iter(stage.modules))}_optimisation.learning_rate=0.0005",
        )
    return figures


def _measure(stage: Stage, facts: _Facts, seconds: float, validations: int) -> int:
    """Take the first steps, measure them and a validation, and find how many steps fit into ``seconds``."""
    begun = time.monotonic()
    _steps_for(stage, facts, _WARM_UP_STEPS, _WARM_UP_SHARE * seconds)
    warm, first = time.monotonic(), facts.step
    _steps_for(stage, facts, _MEASURED_STEPS, _MEASURED_SHARE * seconds)
    measured = time.monotonic()
    stage.validate()
    done, validation = time.monotonic(), time.monotonic() - measured
    if validation < _SHORT_VALIDATION * seconds:
        stage.validate()
        done, validation = time.monotonic(), time.monotonic() - done
    facts.seconds = done - begun
    left = seconds - facts.seconds - validations * validation
    step = max(measured - warm, 1e-6) / (facts.step - first)  # some clocks tick slowly
    more = int(_CAUTION * stage.pace * left / step)
    return facts.step + max(more, validations)


def _steps_for(stage: Stage, facts: _Facts, least: int, seconds: float) -> None:
    """Take so many steps, and more until so much time has passed."""
    first, begun = facts.step, time.monotonic()
    while facts.step < first + least or (facts.step < first + _MOST_STEPS and time.monotonic() - begun < seconds):
        facts.figures = _step(stage, facts.step, None)
        facts.step += 1


@dataclass
class _Interruption:
    """Whether a signal has asked to stop, and which."""

    asked: bool = False
    number: int = signal.SIGINT  # that of another process is not known


@contextmanager
def _interruptions() -> Iterator[_Interruption]:
    """Take note of Ctrl-C and of a polite kill, so that a step is never cut in two; a second one is not waited for."""
    interruption = _Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def ask(number: int, _frame: FrameType | None) -> None:
        if interruption.asked:
            raise Stopped(number)
        interruption.asked, interruption.number = True, number

    try:
        for number in handlers:
            signal.signal(number, ask)
        yield interruption
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
