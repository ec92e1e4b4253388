"""Have a Dask cluster segment and score a cohort, and kill one of its workers midway: `python benchmarks/cluster_cohort.py`.

A scheduler and two workers are started on the loopback, as `dask scheduler` and `dask worker` start them. When a third of the
masks is there, one worker is killed with `kill -9` and stays dead. Printed are whether every mask is there, once, and identical to
that of a run in one process, and whether the scores are the same; the times say nothing of a real cluster.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crgan.cases.phantom import write_brains
from crgan.config import load_config
from crgan.evaluation.evaluate import evaluate
from crgan.inference.predict import predict
from crgan.training.run import train


@contextmanager
def cluster(folder: Path, workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and its workers: its address, and the workers' processes."""
    found = folder / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    processes = [subprocess.Popen([*command, "--scheduler-file", str(found)], stderr=subprocess.DEVNULL)]  # noqa: S603
    try:
        while not found.exists():
            time.sleep(0.1)
        command = [sys.executable, "-m", "distributed.cli.dask_worker", "--scheduler-file", str(found), "--nthreads", "1", "--no-nanny"]
        command += ["--no-dashboard", "--local-directory", str(folder / "scratch")]
        processes += [subprocess.Popen(command, stderr=subprocess.DEVNULL) for _ in range(workers)]  # noqa: S603
        yield json.loads(found.read_text(encoding="utf-8"))["address"], processes[1:]
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def kill_midway(worker: subprocess.Popen[bytes], masks: Path, after: int) -> threading.Thread:
    """Kill a worker once so many masks are there."""

    def kill() -> None:
        while len(list(masks.glob("*.nii.gz"))) < after:
            time.sleep(0.05)
        worker.send_signal(signal.SIGKILL)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


def main() -> None:
    """Train a little on phantoms, then segment and score them in both ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, default=30)
    parser.add_argument("--shape", type=int, nargs=3, default=[64, 96, 96], metavar=("Z", "Y", "X"))
    parser.add_argument("--steps", type=int, default=100)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crgan-cluster-") as temporary:
        folder = Path(temporary)
        data, run = folder / "data", folder / "run"
        write_brains(data, count=words.patients, shape=tuple(words.shape), seed=0)
        train(data, run, config=load_config(steps=words.steps, threads=1, **{"data.cache": folder / "cache"}))
        begun = time.perf_counter()
        alone = predict(run, data, folder / "alone", threads=1)
        seconds = {"one process": time.perf_counter() - begun}
        with cluster(folder, workers=2) as (address, workers):
            begun = time.perf_counter()
            killer = kill_midway(workers[0], folder / "masks", words.patients // 3)
            masks = predict(run, data, folder / "masks", threads=1, scheduler=address)
            seconds["cluster"] = time.perf_counter() - begun
            killer.join()
            dead = workers[0].wait()
            scores = evaluate(folder / "masks", data, out=None, scheduler=address).to_json()
        there = {path.name for path in (folder / "masks").glob("*.nii.gz")}
        same = sum(one.read_bytes() == other.read_bytes() for one, other in zip(alone, masks, strict=True))
        print(f"one of two workers ended with {dead} after {words.patients // 3} of {words.patients} masks")
        print(f"masks: {len(there)} of {words.patients}, identical to one process' {same}")
        print(f"scores identical: {scores == evaluate(folder / 'alone', data, out=None, workers=1).to_json()}")
        print(", ".join(f"{name} {value:.0f} s" for name, value in seconds.items()))


if __name__ == "__main__":
    main()
