"""A real Dask scheduler and its workers, one of which is killed in the middle of a cohort."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crgan.config import Config
from crgan.evaluation.evaluate import evaluate
from crgan.inference.predict import predict
from crgan.progress import Silent
from crgan.training.patients import Patients

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        yield cluster


def kill_a_worker_after(first: Callable[[], bool], address: str) -> threading.Thread:
    """Kill one of the cluster's processes as soon as the first thing is done."""

    def kill() -> None:
        with distributed.Client(address, set_as_default=False) as client:
            pids = list(client.run(os.getpid).values())
            while not first():
                time.sleep(0.02)
            os.kill(pids[0], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


@pytest.mark.slow
def test_a_cohort_on_a_cluster_that_loses_a_worker(
    cluster: Any, trained: Path, write_patients: Callable[..., Path], small_config: Callable[..., Config], tmp_path: Path
) -> None:
    data, out = write_patients(tmp_path / "data", count=8, classes=(2, 2, 1, 2)), tmp_path / "cluster"
    local = predict(trained, data, tmp_path / "local", threads=1)
    killer = kill_a_worker_after(lambda: any(out.glob("*.nii.gz")), cluster.scheduler_address)
    masks = predict(trained, data, out, threads=1, scheduler=cluster.scheduler_address)
    killer.join()
    assert [path.name for path in masks] == [path.name for path in local]
    assert {path.name for path in out.glob("*.nii.gz")} == {f"p{number}.nii.gz" for number in range(8)}
    assert [path.read_bytes() for path in masks] == [path.read_bytes() for path in local]
    made = {}
    for name, scheduler in (("here", None), ("there", cluster.scheduler_address)):
        config = small_config(**{"data.cache": tmp_path / name})
        Patients(data, config, None, Silent(), scheduler=scheduler)
        made[name] = {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.npy")}
    assert len(made["here"]) == 3 * 8
    assert made["there"] == made["here"]
    scores = evaluate(out, data, out=tmp_path / "scores", scheduler=cluster.scheduler_address)
    assert scores.to_json() == evaluate(tmp_path / "local", data, out=None, workers=1).to_json()
