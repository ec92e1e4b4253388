"""Where the cases of a cohort are worked on: processes of this machine, or the workers of a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from multiprocessing.process import BaseProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

from crgan.errors import CrganError, fail
from crgan.interruption import SIGNALLED, Stopped, on_request, stop

if TYPE_CHECKING:
    from distributed import Client

CONNECTION_SECONDS = 20.0
"""How long a scheduler may take to answer."""

WORKER_SECONDS = 120.0
"""How long a cluster may take to have a worker do the first thing that it is asked."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@contextmanager
def open_executor(workers: int | None, scheduler: str | None) -> Iterator[Executor]:
    """Open an executor for work on many cases, and close it when the block ends.

    Parameters
    ----------
    workers
        Processes of this machine, started anew ("spawn") so that none inherits threads or locks; None takes one per
        processor. A script that calls this needs its ``if __name__ == "__main__":``.
    scheduler
        Address of a Dask scheduler, such as ``"tcp://node1:8786"``, whose workers are used instead. They must see the
        same files under the same paths, and have this version of crgan. Needs the extra ``cluster``.

    Yields
    ------
    Executor
        What is not begun when the block is left by an error is not begun any more. Where this process is asked to stop, its
        processes are, too: a training saves its checkpoint, other work is broken off.

    Raises
    ------
    CrganError
        If both are given, distributed is not installed, no scheduler answers within 20 seconds, or no worker within 120.
    """
    if scheduler is not None:
        if workers is not None:
            raise fail("Both --workers and --scheduler were given.", fix="leave --workers out: a cluster has the workers it has")
        with _on_cluster(scheduler) as executor:
            yield executor
        return
    # With the default action, Ctrl-C ends an idle worker without a traceback; work is broken off by an action of its own.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"), initializer=_end_on_interrupt)
    others = multiprocessing.active_children()
    try:
        yield pool
    except KeyboardInterrupt:
        for process in multiprocessing.active_children():
            if process not in others:
                process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def work_through(executor: Executor, work: Callable[[_Item], _Result], items: Mapping[str, _Item]) -> Iterator[tuple[str, _Result]]:
    """Do the same work on every item, and give each result with its item's name as soon as it is there.

    A cluster may do some item's work twice, where a worker dies: its effect must be the same as of once.

    Parameters
    ----------
    executor
        From :func:`open_executor`, or any other.
    work
        A function at a module's top level; the item it is called with must be cheap to send.
    items
        By name, for messages.

    Raises
    ------
    CrganError
        If a worker process died, naming what it was working on; or if ``work`` raised it. What is not begun is then not
        begun any more.
    """
    with TemporaryDirectory(prefix="crgan-", ignore_cleanup_errors=True) as folder:
        notes = Path(folder) if isinstance(executor, ProcessPoolExecutor) else None
        futures: dict[Future[_Result], str] = {executor.submit(_noted, notes, name, work, item): name for name, item in items.items()}
        if notes is not None:
            # The pool watches the processes that it had when it last woke up, and it wakes up just before it starts one for what
            # is submitted: without this, the death of the last one is noticed only when another one ends its work.
            executor.submit(int)
        processes = multiprocessing.active_children()
        try:
            for future in as_completed(futures):
                try:
                    yield futures[future], future.result()
                except BrokenProcessPool as error:
                    executor.shutdown()  # until all its processes have ended
                    raise _worker_died(_last_words(processes, Path(folder))) from error
                except CancelledError as error:
                    raise fail(
                        "The connection to the Dask scheduler was lost.",
                        where=futures[future],
                        fix="start the scheduler again, then run the command again: what is complete is kept",
                    ) from error
                except Exception as error:
                    if type(error).__name__ == "KilledWorker":  # by its name, because distributed may not be installed
                        raise _worker_died([f"{futures[future]}, on several workers"]) from error
                    raise
        finally:
            for future in futures:
                future.cancel()


def _noted(notes: Path | None, name: str, work: Callable[[_Item], _Result], item: _Item) -> _Result:
    """Do the work; in a process of a pool having written down what it works on: its last words, if it is killed."""
    if notes is None:
        return work(item)
    (notes / str(os.getpid())).write_text(name, encoding="utf-8")
    try:
        with on_request(stop):
            return work(item)
    except Stopped as stopped:
        os._exit(SIGNALLED + stopped.number)  # now that all is in order: the pool would have the process wait for more work


def _last_words(processes: Sequence[BaseProcess], notes: Path) -> list[str]:
    """What the process that died was working on; the others were ended by the executor, politely."""
    polite = {None, 0, -signal.SIGTERM, SIGNALLED + signal.SIGTERM}
    said = {int(note.name): note.read_text(encoding="utf-8") for note in notes.iterdir()}
    killed = [said[process.pid] for process in processes if process.pid in said and process.exitcode not in polite]
    return sorted(killed or said.values())


def _worker_died(names: Sequence[str]) -> CrganError:
    return fail(
        "A worker process died: most often because memory ran out.",
        where=f"at work on {', '.join(names)}" if names else None,
        fix="use fewer workers, or free memory, then run the command again: what is complete is kept",
    )


def _end_on_interrupt() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def _on_cluster(address: str) -> Iterator[Executor]:
    try:
        from distributed import Client
    except ImportError as error:
        raise fail("Dask is not installed.", where=f"--scheduler {address}", fix="pip install 'crgan[cluster]'") from error
    try:
        client = Client(address, timeout=CONNECTION_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise fail(
            "No Dask scheduler answers.",
            where=f"--scheduler {address}",
            expected="the address that `dask scheduler` prints, such as tcp://node1:8786",
            got=f"{str(error) or type(error).__name__} (after {CONNECTION_SECONDS:.0f} s at most)",
            fix="start one, or correct the address",
        ) from error
    with client:
        _ask_for_work(client, address)
        executor: Executor = client.get_executor(pure=False)
        try:
            yield executor
        except BaseException:
            executor.shutdown(wait=False)  # cancels what is not begun
            raise


def _ask_for_work(client: Client, address: str) -> None:
    """Make sure that there is a worker, and that it has this crgan: masks must not depend on who makes them."""
    try:
        found = client.submit(version, "crgan", pure=False).result(timeout=WORKER_SECONDS)
    except TimeoutError as error:
        raise fail(
            "The Dask cluster has no worker that is free.",
            where=f"--scheduler {address}",
            expected=f"one that begins within {WORKER_SECONDS:.0f} s",
            fix=f"start some: dask worker {address} --nthreads 1",
        ) from error
    except PackageNotFoundError:
        found = "none"
    if found != version("crgan"):
        raise fail(
            "The workers of the Dask cluster have another crgan.",
            where=f"--scheduler {address}",
            expected=version("crgan"),
            got=found,
            fix="install the same version on all of them, then start them again",
        )
