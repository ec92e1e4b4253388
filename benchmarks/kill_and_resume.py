"""Kill a training without warning, go on, compare: `python benchmarks/kill_and_resume.py [--kills 30] [--seed 0]`.

Every training is of the whole system on phantom brains, in a process of its own. It is killed (SIGKILL: nothing can be
cleaned up) in one part of its work after the other, at a moment of that part drawn by chance, and gone on with; now and then
that is killed, too. Where it really died is what it told last. In the end the weights, everything else of the model and the
figures of all validations must be those of a training that nobody disturbed, to the bit.

Prints a row a part; exits with 1 if a training ended differently. Needs a system that can fork.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crgan.cases.phantom import write_brains
from crgan.config import Config, load_config
from crgan.model import Model
from crgan.progress import Task
from crgan.training import loop
from crgan.training import run as training

STEPS = 12
SETTINGS = ("generator.widths=[4,8,16]", "refiner.widths=[4,8,16]", "validations=2", "adversarial.begin=0.5", "noise_channel=true")
TASKS = {"Preparing cases": "preparing", "adversarial": "adversarial", "generating": "generating", "refinement": "refinement"}
PARTS = ("preparing", "adversarial", "generating", "refinement", "dial", "model", "report", "checkpoint")


class Teller:
    """Tells another process, through a pipe, in which part of the work this one is."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._parts = ["start"]

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Be in a part, and afterwards in the one before."""
        self._parts.append(name)
        os.write(self._pipe, f"{name}\n".encode())
        yield
        self._parts.pop()
        os.write(self._pipe, f"{self._parts[-1]}\n".encode())

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Make a function a part."""

        def told(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return function(*args, **kwargs)

        return told

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Task]:
        """As a Progress: a task is a part."""
        del total
        with self.part(TASKS.get(name, "reading")):
            yield self

    def advance(self, n: int = 1, **figures: float) -> None:
        """As a Task."""

    def resize(self, total: int) -> None:
        """As a Task."""

    def note(self, text: str) -> None:
        """As a Progress."""


class Training:
    """A training in a process of its own, and where it is."""

    def __init__(self, data: Path, out: Path, config: Config) -> None:
        self._told, pipe = os.pipe()
        self._process = os.fork()
        if self._process == 0:
            os._exit(_train(data, out, config, pipe))
        os.close(pipe)
        self.begun = time.monotonic()

    def parts(self) -> Iterator[tuple[str, float]]:
        """Every part when it begins, with the seconds since the start; ends when the process does."""
        with os.fdopen(self._told) as lines:
            for line in lines:
                yield line.strip(), time.monotonic() - self.begun

    def kill(self) -> None:
        """End it without warning."""
        os.kill(self._process, signal.SIGKILL)

    def ended(self) -> int:
        """Wait for its end; gives the exit code, or minus the signal that killed it."""
        return os.waitstatus_to_exitcode(os.waitpid(self._process, 0)[1])


def _train(data: Path, out: Path, config: Config, pipe: int) -> int:
    """Train in the process that this is called in, and tell the parts."""
    teller = Teller(pipe)
    loop.save_state = teller.around("checkpoint", loop.save_state)
    training.choose = teller.around("dial", training.choose)
    training.write_page = teller.around("report", training.write_page)
    Model.save = teller.around("model", Model.save)  # type: ignore[method-assign]
    loop._SECONDS_BETWEEN_CHECKPOINTS = 0.0  # noqa: SLF001 - a checkpoint after every step
    try:
        training.train(data, out, config=config, resume=True, progress=teller)
    except BaseException as error:  # noqa: BLE001 - this process ends here
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def result(run: Path) -> dict[str, bytes]:
    """What a training ends with; the figures without their seconds."""
    found = {path.name: path.read_bytes() for path in (run / "model").iterdir()}
    rows = [line.split(",") for line in (run / "metrics.csv").read_text(encoding="utf-8").splitlines()]
    return found | {"metrics.csv": "\n".join(",".join([*row[:2], *row[3:]]) for row in rows).encode()}


def visits(data: Path, out: Path, config: Config) -> dict[str, list[float]]:
    """Train undisturbed; gives how long every stay in every part took."""
    stays: dict[str, list[float]] = {part: [] for part in PARTS}
    whole = Training(data, out, config)
    last, since = "start", 0.0
    for part, seconds in whole.parts():
        stays.setdefault(last, []).append(seconds - since)
        last, since = part, seconds
    if whole.ended() != 0:
        raise SystemExit(1)
    return stays


def kill_in(part: str, stays: list[float], draw: random.Random, data: Path, out: Path, config: Config) -> str | None:
    """Train, and kill it in a part, at one of its stays there; gives where it died, None if it was over before."""
    wanted = draw.randrange(len(stays))
    wait = draw.random() * stays[wanted]
    process = Training(data, out, config)
    last, seen = "start", 0
    for told, _ in process.parts():
        last = told
        seen += told == part
        if told == part and seen == wanted + 1:
            time.sleep(wait)
            process.kill()
    return last if process.ended() == -signal.SIGKILL else None


def main() -> int:
    """Kill as often as was asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="trainings that are killed and gone on with")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    draw = random.Random(arguments.seed)
    died, torn, kills, different = Counter[str](), Counter[str](), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "patients"
        write_brains(data, count=5, shape=(32, 36, 32), seed=arguments.seed)

        def config(cache: str) -> Config:
            return load_config(overrides=SETTINGS, steps=STEPS, threads=1, device="cpu", **{"data.cache": Path(folder) / cache})

        stays = visits(data, Path(folder) / "whole", config("cache"))
        expected = result(Path(folder) / "whole")
        print(f"undisturbed: {sum(map(sum, stays.values())):.1f} s, {len(stays['checkpoint'])} checkpoints", flush=True)
        for number in range(arguments.kills):
            part, run = PARTS[number % len(PARTS)], Path(folder) / f"run{number}"
            chosen = config(f"cache{number}" if part == "preparing" else "cache")
            again: str | None = part
            while again is not None:  # a third of the resumed ones are killed, too, anywhere
                where = kill_in(again, stays[again], draw, data, run, chosen)
                if where is not None:
                    died[where] += 1
                    kills += 1
                    torn[where] += any(".part" in path.name for place in (run, chosen.data.cache) if place for path in place.rglob("*"))
                again = draw.choice(PARTS) if draw.random() < 1 / 3 else None
            ending = Training(data, run, chosen)
            for _ in ending.parts():
                pass
            same = ending.ended() == 0 and result(run) == expected
            different += not same
            if not same:
                print(f"training {number}, killed while {part}: ended differently", flush=True)
    print(f"{'killed while':<14} {'times':>5} {'of these with a half-written file':>34}")
    for part in sorted(died, key=lambda name: (*PARTS, name).index(name)):
        print(f"{part:<14} {died[part]:>5} {torn[part]:>34}")
    print(f"{kills} kills of {arguments.kills} trainings; {arguments.kills - different} ended bit-identical to the undisturbed one")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
