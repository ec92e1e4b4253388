from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, ThreadPoolExecutor
from pathlib import Path

import pytest

from crgan import executors
from crgan.errors import CrganError, fail
from crgan.executors import open_executor, work_through
from crgan.interruption import Stopped, on_request, stop


def own_process(_: object) -> int:
    return os.getpid()


def double(number: int) -> int:
    if number < 0:
        raise fail("A number is negative.", got=str(number))
    return 2 * number


def kill_the_worker(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.2)
    return number


def write_down(item: tuple[Path, int]) -> int:
    path, number = item
    path.write_text(str(number), encoding="utf-8")
    time.sleep(0.05)
    return number


def work_until_asked(folder: Path) -> None:
    """Work for a minute, and put things in order when asked to stop, as a training does."""
    asked: list[int] = []
    with on_request(asked.append):
        (folder / f"begun{os.getpid()}").touch()
        for _ in range(6000):
            time.sleep(0.01)
            if asked:
                time.sleep(0.1)
                (folder / f"saved{os.getpid()}").touch()
                raise Stopped(asked[0])


def be_killed_once_another_works(folder: Path) -> None:
    wait_for(folder, "begun*", 1)
    os.kill(os.getpid(), signal.SIGKILL)


def work_or_be_killed(item: tuple[str, Path]) -> None:
    kind, folder = item
    (be_killed_once_another_works if kind == "killed" else work_until_asked)(folder)


def wait_for(folder: Path, pattern: str, count: int) -> None:
    deadline = time.monotonic() + 60
    while len(list(folder.glob(pattern))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with open_executor(2, None) as executor:
        yield executor


class TestProcesses:
    def test_work_is_done_in_processes_of_their_own(self, executor: Executor) -> None:
        found = dict(work_through(executor, own_process, {str(number): number for number in range(4)}))
        assert len(found) == 4
        assert os.getpid() not in found.values()

    def test_every_result_comes_with_its_name(self, executor: Executor) -> None:
        assert dict(work_through(executor, double, {"a": 1, "b": 2, "c": 3})) == {"a": 2, "b": 4, "c": 6}
        assert list(work_through(executor, double, {})) == []

    def test_a_users_mistake_comes_through_whole(self, executor: Executor) -> None:
        with pytest.raises(CrganError) as caught:
            list(work_through(executor, double, {"a": 1, "b": -3}))
        assert caught.value.problems[0].got == "-3"


def test_a_worker_that_dies_is_told_once_with_what_it_was_at() -> None:
    with open_executor(2, None) as executor, pytest.raises(CrganError) as caught:
        list(work_through(executor, kill_the_worker, {"good": 0, "heavy": 1, "other": 2}))
    (problem,) = caught.value.problems
    assert "worker process died" in problem.what
    assert problem.where == "at work on heavy"
    assert problem.fix is not None
    assert "fewer workers" in problem.fix


def test_where_a_worker_dies_the_others_put_things_in_order_and_end(tmp_path: Path) -> None:
    with open_executor(2, None) as executor, pytest.raises(CrganError) as caught:
        list(work_through(executor, work_or_be_killed, {"training": ("works", tmp_path), "heavy": ("killed", tmp_path)}))
    assert caught.value.problems[0].where == "at work on heavy"
    assert len(list(tmp_path.glob("saved*"))) == 1


def test_who_is_asked_to_stop_asks_the_workers(tmp_path: Path) -> None:
    def ask() -> None:
        wait_for(tmp_path, "begun*", 2)
        os.kill(os.getpid(), signal.SIGTERM)

    def work() -> None:
        with on_request(stop), open_executor(2, None) as executor:
            list(work_through(executor, work_until_asked, dict.fromkeys("abcd", tmp_path)))

    asking, others = threading.Thread(target=ask), multiprocessing.active_children()
    begun = time.monotonic()
    asking.start()
    with pytest.raises(Stopped):
        work()
    asking.join()
    assert len(list(tmp_path.glob("begun*"))) == len(list(tmp_path.glob("saved*"))) == 2
    assert time.monotonic() - begun < 50
    assert {*multiprocessing.active_children()} == {*others}


def test_after_a_mistake_nothing_more_is_begun(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        results = work_through(executor, write_down, {str(number): (tmp_path / str(number), number) for number in range(50)})
        next(results)
        results.close()
    assert len(list(tmp_path.iterdir())) < 10


class KilledWorker(Exception):  # noqa: N818 - distributed's name for it
    """A stand-in: a real cluster takes a minute to give a case up."""


@pytest.mark.parametrize(
    ("error", "message"),
    [(KilledWorker(), r"at work on heavy, on several workers"), (CancelledError(), r"connection to the Dask scheduler was lost")],
)
def test_what_a_cluster_gives_up_is_told(error: Exception, message: str) -> None:
    def work(_: object) -> None:
        raise error

    with ThreadPoolExecutor(1) as executor, pytest.raises(CrganError, match=message):
        list(work_through(executor, work, {"heavy": None}))


def test_workers_or_a_cluster_not_both() -> None:
    with pytest.raises(CrganError, match=r"Both --workers and --scheduler"), open_executor(2, "tcp://127.0.0.1:1"):
        pass


def test_a_missing_dask_is_answered_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(CrganError, match=r"crgan\[cluster\]"), open_executor(None, "tcp://127.0.0.1:1"):
        pass


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:{port}", "nonsense://here", "127.0.0.1:no"])
def test_a_scheduler_that_is_not_there_is_told_in_time(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(executors, "CONNECTION_SECONDS", 1.0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        begun = time.monotonic()
        address = address.format(port=taken.getsockname()[1])
        with pytest.raises(CrganError, match=r"No Dask scheduler answers"), open_executor(None, address):
            pass
        assert time.monotonic() - begun < 10
