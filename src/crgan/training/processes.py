"""The processes that train together: started where nobody else does it, watched, and ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from lightning_fabric.strategies.parallel import ParallelStrategy
from torch import distributed

from crgan.errors import CrganError, fail

# How often to look whether the others are alive, and how long a process may take to notice by itself that they are not:
# gloo tells at once, while a kernel of NCCL's may wait for ever.
_SECONDS_BETWEEN_LOOKS, _GRACE_SECONDS = 0.5, 20.0
# Preparing a large cohort takes the first process hours, for which the others wait.
_LONGEST_WAIT = timedelta(days=7)


def is_first() -> bool:
    """Whether this process is the first of those that train together, or alone; known before they have met."""
    return not any(int(os.environ.get(name, "0")) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))


@contextmanager
def launched(fabric: Fabric) -> Iterator[None]:
    """Have all processes of a training run, and end them together when the block ends.

    On one machine they are started here, by the command that this process was started with. ``torchrun`` and SLURM start
    them all themselves, and end the others when one has died.

    Raises
    ------
    CrganError
        If another process has died. Processes that were started here end quietly, and leave the message to the first.
    """
    before = dict(os.environ)
    others = _start_others(fabric)
    watch = _Watch(others)
    try:
        fabric.launch()
        yield
        if distributed.is_initialized():
            distributed.destroy_process_group()
        for process in others:
            process.wait(timeout=_GRACE_SECONDS)
    except RuntimeError as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        raise watch.explanation(str(error)) from error
    finally:
        watch.end()
        for process in others:
            process.kill()
        for name in _MEETING_POINT:
            os.environ.pop(name, None)
            if name in before:
                os.environ[name] = before[name]


class Turns:
    """The first process goes ahead, and the others follow: they find the cohort prepared, and nothing to complain of."""

    def __init__(self, fabric: Fabric) -> None:
        self._first = fabric.is_global_zero
        self._group = distributed.new_group(backend="gloo", timeout=_LONGEST_WAIT) if fabric.world_size > 1 else None

    def wait(self) -> None:
        """Wait for the first process, in the others."""
        if not self._first:
            self._meet()

    def pass_on(self) -> None:
        """Let the others follow, in the first process, and wait for all."""
        if self._first:
            self._meet()
        self._meet()

    def _meet(self) -> None:
        if self._group is not None:
            distributed.barrier(self._group)


# How processes find each other, in the names that Fabric and PyTorch know; and who started one, for itself.
_PARENT = "CRGAN_STARTED_BY"
_MEETING_POINT = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "WORLD_SIZE", "LOCAL_RANK", _PARENT)


def _start_others(fabric: Fabric) -> list[subprocess.Popen[bytes]]:
    """Start the other processes of this machine, unless something else does.

    Fabric could, but when one of them dies it kills this one too, before it could tell.
    """
    strategy = fabric.strategy
    if not isinstance(strategy, ParallelStrategy):
        return []
    environment = strategy.cluster_environment
    if not isinstance(environment, LightningEnvironment) or environment.creates_processes_externally:
        return []
    count = len(strategy.parallel_devices or ())
    os.environ |= {
        "MASTER_ADDR": environment.main_address,
        "MASTER_PORT": str(environment.main_port),
        "NODE_RANK": str(environment.node_rank()),
        "WORLD_SIZE": str(fabric.world_size),
        "LOCAL_RANK": "0",
        _PARENT: str(os.getpid()),
    }
    main = sys.modules["__main__"].__spec__
    script = [str(Path(sys.argv[0]).absolute())] if main is None else ["-m", main.name]
    command = [sys.executable, *script, *sys.argv[1:]]
    return [
        subprocess.Popen(command, env={**os.environ, "LOCAL_RANK": str(rank)}, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command
        for rank in range(1, count)
    ]


class _Watch:
    """Watches the processes that this one started, or the one that started it."""

    def __init__(self, others: Sequence[subprocess.Popen[bytes]]) -> None:
        self._others = others
        started_by = int(os.environ.get(_PARENT, "0"))
        self._parent = None if others or started_by == os.getpid() else started_by or None
        self._ended = threading.Event()
        if self._others or self._parent:
            threading.Thread(target=self._look, daemon=True, name="watch over training processes").start()

    def end(self) -> None:
        """Watch no longer."""
        self._ended.set()

    def explanation(self, got: str) -> CrganError | SystemExit:
        """What to end with, after the others could not be reached."""
        if self._parent and self._dead(patience=1.0) is None:
            return SystemExit(1)  # the first process tells
        return self._error(self._dead(patience=2.0), got)

    def _look(self) -> None:
        while not self._ended.wait(_SECONDS_BETWEEN_LOOKS):
            found = self._dead(patience=0)
            if found is not None and not self._ended.wait(_GRACE_SECONDS):
                print(self._error(found, ""), file=sys.stderr, flush=True)  # noqa: T201 - the last words of a process that hangs
                for process in self._others:
                    process.kill()
                os._exit(1)

    def _dead(self, *, patience: float) -> tuple[str, str] | None:
        """Which process has died, and how; if none has yet, look again for so many seconds."""
        for _ in range(1 + int(patience / _SECONDS_BETWEEN_LOOKS)):
            if self._parent and os.getppid() != self._parent:
                return "the first process", "it is gone"
            for rank, process in enumerate(self._others, start=1):
                code = process.poll()
                if code:
                    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
                    return f"process {rank} of 0 to {len(self._others)}", how
            if patience:
                threading.Event().wait(_SECONDS_BETWEEN_LOOKS)
        return None

    @staticmethod
    def _error(found: tuple[str, str] | None, got: str) -> CrganError:
        where, how = found or ("one on another machine, or started by torchrun or SLURM", " ".join(got.split())[:200])
        return fail(
            "Another training process died.",
            where=where,
            got=how,
            fix="look above for what it said last; if memory ran out, use fewer groups or devices; then go on with --resume",
        )
