"""Fill a real disk at every command, look at what is left, go on: `sudo python benchmarks/full_disk.py [--levels 4]`.

The output folder is a file system in memory (tmpfs) with room for a part of what the command writes. The command must say, in
one error, what could not be written, where, and what to do; end by itself and not by a signal; and leave no half-written file:
every one that is there opens. With more room the same command goes on, and its result is that of one that nothing disturbed.

Prints a row a command; exits with 1 if anything else happened, and with 0 and the reason where file systems cannot be mounted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from safetensors import safe_open

from crgan.arrays import mapped
from crgan.cases.files import read_volume
from crgan.cases.integrity import check_cases
from crgan.cases.layouts import open_dataset
from crgan.cases.layouts.manifest import write_manifest
from crgan.cases.overview import to_json
from crgan.cases.phantom import write_brains
from crgan.config import load_config
from crgan.errors import CrganError
from crgan.evaluation.evaluate import evaluate
from crgan.files import read_json, write_json
from crgan.inference.predict import predict
from crgan.training.run import train

SETTINGS = ("generator.widths=[4,8,16]", "refiner.widths=[4,8,16]", "validations=2")
CHANGING = {"config.yaml", "metrics.csv", "report.html", ".prediction.json"}  # hold paths, seconds or dates
ROOM = 256 << 20


@dataclass(frozen=True)
class Command:
    """A command, what it writes into a folder, and which of that is its result."""

    name: str
    work: Callable[[Path], object]
    result: Callable[[Path], bool]


def commands(patients: Path, run: Path, masks: Path) -> list[Command]:
    """Every command that writes more than a few lines, on small phantoms; `calibrate` has its test in tests/end_to_end."""

    def look(out: Path) -> None:
        dataset = open_dataset(patients)
        summaries, problems = check_cases(dataset, need_labels=True)
        write_json(out / "found.json", to_json(dataset, summaries, problems))
        write_manifest(out / "cases.json", dataset)

    def draw(out: Path) -> None:
        shutil.rmtree(out / "brains", ignore_errors=True)
        write_brains(out / "brains", count=3, shape=(32, 32, 32))

    def learn(out: Path) -> None:
        config = load_config(overrides=SETTINGS, steps=10, threads=1, device="cpu", **{"data.cache": out / "cache"})
        train(patients, out / "run", config=config, resume=True)

    return [
        Command("check", look, lambda _: True),
        Command("phantom", draw, lambda _: True),
        Command("train", learn, lambda path: path.parent.name in {"model", "probabilities"}),
        Command("predict", lambda out: predict(run, patients, out / "masks", errors=True, resume=True, threads=1), lambda _: True),
        Command("evaluate", lambda out: evaluate(masks, patients, out=out / "scores", overwrite=True, workers=1), lambda _: True),
    ]


def result(out: Path, command: Command) -> dict[str, bytes]:
    """Content of the files that make up the result."""
    files = (path for path in sorted(out.rglob("*")) if path.is_file() and path.name not in CHANGING and command.result(path))
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def half_written(out: Path) -> list[str]:
    """Files that bear an unfinished name, or do not open."""
    readers: dict[str, Callable[[Path], Any]] = {
        ".json": read_json,
        ".yaml": lambda path: yaml.safe_load(path.read_text(encoding="utf-8")),
        ".npy": mapped,
        ".gz": read_volume,
        ".safetensors": lambda path: safe_open(path, framework="pt").__enter__(),
        ".html": lambda path: path.read_text(encoding="utf-8").rindex("</html>"),
    }
    bad = []
    for path in (path for path in out.rglob("*") if path.is_file()):
        try:
            if ".part" in path.name or path.stat().st_size == 0:
                bad.append(path.name)
            elif path.suffix in readers:
                readers[path.suffix](path)
        except Exception as error:  # noqa: BLE001 - whatever keeps a file from opening
            bad.append(f"{path.name}: {error}")
    return bad


def in_child(work: Callable[[], object]) -> tuple[int, str]:
    """Do work in a process of its own; gives its exit code (minus a signal, 1 for a CrganError, 2 for another) and what it said."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code, told = 0, ""
        try:
            work()
        except CrganError as error:
            code, told = 1, str(error)
        except BaseException as error:  # noqa: BLE001 - this process ends here
            code, told = 2, f"{type(error).__name__}: {error}"
        os.write(writing, told.encode()[:60_000])
        os._exit(code)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        told = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), told


def mount(folder: Path, size: int, *, again: bool = False) -> None:
    """Mount a file system of so many bytes, or give one more room."""
    options = f"{'remount,' if again else ''}size={max(size, 4096)}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True, capture_output=True)  # noqa: S603, S607


def unmount(folder: Path) -> None:
    """Take it away again."""
    mapped.cache_clear()
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S603, S607


def try_level(command: Command, folder: Path, size: int, expected: dict[str, bytes]) -> tuple[bool, list[str]]:
    """Run a command with so much room, then with enough; gives whether the disk was full, and everything that was not as it should be."""
    mount(folder, size)
    try:
        code, told = in_child(lambda: command.work(folder))
        bad = half_written(folder)
        full = code != 0
        if full and not (code == 1 and "No space left on device" in told and "where:" in told and "fix:" in told):
            bad.append(f"exit code {code}: {told[:500]}")
        if full:
            mount(folder, ROOM, again=True)
            code, told = in_child(lambda: command.work(folder))
            if code:
                bad.append(f"with more room, exit code {code}: {told[:500]}")
        if result(folder, command) != expected:
            bad.append("the result is another one")
        return full, bad
    finally:
        unmount(folder)


def main() -> int:
    """Fill the disk at every command and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--levels", type=int, default=4, help="sizes of the disk, for each command")
    levels = parser.parse_args().levels
    failed = False
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "disk"
        folder.mkdir()
        try:
            mount(folder, ROOM)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"skipped: a file system cannot be mounted here ({error}); root may")
            return 0
        unmount(folder)
        patients, run = Path(place) / "patients", Path(place) / "run"
        write_brains(patients, count=5, shape=(32, 36, 32), seed=1)
        masks = Path(place) / "masks"
        config = load_config(overrides=SETTINGS, steps=10, threads=1, device="cpu", **{"data.cache": Path(place) / "cache"})
        code, told = in_child(lambda: predict(train(patients, run, config=config), patients, masks, threads=1))
        if code:
            print(told)
            return 1
        print(f"{'command':<10} {'writes, kB':>10} {'disks':>6} {'full':>5} {'not as it should be':>20}")
        for command in commands(patients, run, masks):
            mount(folder, ROOM)
            code, told = in_child(lambda command=command: command.work(folder))
            if code:
                print(f"{command.name}: {told}")
            expected = result(folder, command)
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            unmount(folder)
            found = [try_level(command, folder, int(size * (level + 0.5) / levels), expected) for level in range(levels)]
            bad = [text for _, texts in found for text in texts]
            failed |= bool(bad) or bool(code)
            print(f"{command.name:<10} {size / 1000:>10.0f} {levels:>6} {sum(full for full, _ in found):>5} {len(bad):>20}", flush=True)
            for text in bad:
                print(f"  {text}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
