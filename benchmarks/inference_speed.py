"""Time and memory of a prediction, file to file, beside nnU-Net's: `python benchmarks/inference_speed.py WORK brain|ct|long`.

Every run is a process of its own, its start included, on two threads; time is wall-clock, memory the process's peak. What exists in
WORK already (phantoms, models, timings) is kept, so that the command goes on where it was stopped; delete `timings.json` to measure
anew. At the end, and after every run, the table is printed.

nnU-Net is measured too where its Python is named (benchmarks/nnunet.py says how it is installed):
    python benchmarks/inference_speed.py WORK brain --nnunet NNUNET/bin/python
Its plans are those it makes by default for the same training phantoms; its weights are random, which changes neither the time nor
the memory that a prediction takes. crgan is trained for --steps, because where its refiner looks depends on what its generator
has learnt; --lesions also scores that model on --patients phantoms of its own, by the size of lesions.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch

import nnunet
from crgan.machine import choose_precision

CRGAN = [Path(sys.executable).with_name("crgan")]
TRAINING_PATIENTS = 6
TEST_SEED, TRAINING_SEED = 1000, 0
CONFIGURATIONS = ("2d", "3d_fullres")
THREADS = 2
# Of 32 bits, as it is done unless asked otherwise, and what this machine computes fastest.
PRECISIONS = tuple(dict.fromkeys(("32-true", choose_precision("auto", torch.device("cpu")))))


@dataclass(frozen=True)
class Model:
    """One of our models, and which of its predictions are measured: names with what to change in its description."""

    name: str
    settings: tuple[str, ...]
    variants: dict[str, dict[str, object]] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """A phantom to segment and what segments it."""

    kind: str
    shape: tuple[int, int, int]
    training_shape: tuple[int, int, int]
    models: tuple[Model, ...]


ONE_PLANE = {"planes": ["axial"]}
NATIVE = Model("full", ("planes=[axial]", "preprocessing.spacing_mm=native"), {"one plane, full resolution": {}})
COARSE = Model("coarse", ("planes=[axial]", "preprocessing.spacing_mm=[1.5,1.5,1.5]"), {"one plane, 1.5 mm": {}})
TASKS = {
    "brain": Task("brain", (155, 240, 240), (155, 240, 240), (Model("brain", (), {"three planes": {}, "one plane": ONE_PLANE}),)),
    "ct": Task("liver", (280, 512, 512), (280, 512, 512), (COARSE, NATIVE)),
    "long": Task("liver", (800, 512, 512), (280, 512, 512), (NATIVE,)),
}

# Makes nnU-Net's model folder with weights that were never trained; run by nnU-Net's Python.
_UNTRAINED = """
dataset, configuration = sys.argv[1:]
plans, description = read_plans(dataset)
plan = plans["configurations"][configuration]
folder = join(nnUNet_preprocessed, dataset, plan["data_identifier"])
maybe_mkdir_p(folder)
open(join(folder, "none.b2nd"), "w").close()  # by whose name alone a trainer learns how cases would be stored
trainer = make_trainer(plans, description, configuration, 0)
trainer.inference_allowed_mirroring_axes = tuple(range(len(plan["patch_size"])))  # a training would say so, and none is mirrored else
maybe_mkdir_p(trainer.output_folder)
save_json(plans, join(trainer.output_folder_base, "plans.json"), sort_keys=False)
save_json(description, join(trainer.output_folder_base, "dataset.json"), sort_keys=False)
trainer.save_checkpoint(join(trainer.output_folder, "checkpoint_final.pth"))
"""


class Bench:
    """The folder of one task, and the steps that fill it.

    Parameters
    ----------
    work
        The folder.
    task
        What is measured.
    steps
        Training steps of each of our models.
    scale
        Divides every side of the phantoms: for trying the command.
    """

    def __init__(self, work: Path, task: Task, *, steps: int, scale: int) -> None:
        self.work, self.task, self.steps, self.scale = work, task, steps, scale
        self.environment = nnunet.environment(work / "nnunet", threads=THREADS)
        self.raw = work / "nnunet" / "raw"
        self.dataset = f"Dataset001_{task.kind}"

    def phantoms(self, out: Path, shape: tuple[int, int, int], *, count: int, seed: int) -> Path:
        """Draw phantoms in nnU-Net's layout, which both read."""
        if not (out / "dataset.json").exists():
            shutil.rmtree(out, ignore_errors=True)
            sides = [str(side // self.scale) for side in shape]
            self._call(
                [*CRGAN, "phantom", self.task.kind, "--out", out, "-n", count, "--seed", seed, "--layout", "nnunet", "--shape", *sides]
            )
        return out

    def training(self) -> Path:
        """The phantoms to train and plan with."""
        return self.phantoms(self.raw / self.dataset, self.task.training_shape, count=TRAINING_PATIENTS, seed=TRAINING_SEED)

    def image(self) -> Path:
        """The folder of the one case that is timed, in ``imagesTr``."""
        return self.phantoms(self.work / "test", self.task.shape, count=1, seed=TEST_SEED)

    def model(self, model: Model) -> Path:
        """Train one of our models, or go on with it."""
        run = self.work / f"run_{model.name}"
        if not (run / "model" / "model.json").exists():
            settings = [part for setting in model.settings for part in ("--set", setting)]
            resume = ["--resume"] if (run / "config.yaml").exists() else []
            self._call([*CRGAN, "train", self.training(), "--out", run, "--steps", self.steps, *settings, *resume])
        return run

    def variant(self, model: Model, changes: dict[str, object]) -> Path:
        """The model with other settings of prediction."""
        run = self.model(model)
        if not changes:
            return run
        changed = run.with_name(f"{run.name}_{'_'.join(changes)}")
        shutil.rmtree(changed, ignore_errors=True)
        shutil.copytree(run / "model", changed)
        description = json.loads((changed / "model.json").read_text())
        description["config"] |= changes
        (changed / "model.json").write_text(json.dumps(description))
        return changed

    def nnunet(self, python: Path, configuration: str) -> None:
        """Plan, and make a model that was never trained."""
        self.training()
        bin_ = python.parent
        if not (self.work / "nnunet" / "preprocessed" / self.dataset / "nnUNetPlans.json").exists():
            self._call([bin_ / "nnUNetv2_extract_fingerprint", "-d", 1, "-np", 1])
            self._call([bin_ / "nnUNetv2_plan_experiment", "-d", 1])
        trained = self.work / "nnunet" / "results" / self.dataset / f"nnUNetTrainer__nnUNetPlans__{configuration}"
        if not (trained / "fold_0" / "checkpoint_final.pth").exists():
            self._call([python, "-c", nnunet.TRAINER + _UNTRAINED, self.dataset, configuration])

    def measure(self, name: str, command: list[object]) -> None:
        """Time a command, unless it was timed before, and print the table."""
        timings = self.work / "timings.json"
        rows = json.loads(timings.read_text()) if timings.exists() else {}
        if name not in rows:
            print(f"measuring {name}; load {os.getloadavg()[0]:.1f}", flush=True)
            out = self.work / "out" / name.replace(" ", "_").replace(",", "")
            shutil.rmtree(out, ignore_errors=True)
            rows[name] = self._timed([*command, out])
            timings.write_text(json.dumps(rows, indent=2))
        print(_table(rows), flush=True)

    def lesions(self, model: Model, patients: int) -> None:
        """Score a model on phantoms that it was not trained on, by the size of lesions."""
        data = self.phantoms(self.work / "scored", self.task.shape, count=patients, seed=TEST_SEED + 1)
        masks, scores = self.work / f"masks_{model.name}", self.work / f"scores_{model.name}"
        if not (scores / "scores.json").exists():
            self._call([*CRGAN, "predict", self.model(model), data, "--out", masks, "--overwrite"])
            splits = ["--lesion-split", 5, "--lesion-split", 10, "--lesion-split", 20]
            self._call([*CRGAN, "evaluate", masks, data, "--out", scores, "--without", "distances", "--overwrite", *splits])
        for target, summary in json.loads((scores / "scores.json").read_text())["summary"].items():
            for metric, value in summary.items():
                if metric in {"dice", "fnr"} or metric.startswith("lesion_sensitivity"):
                    print(f"{model.name} | {target} | {metric} | {value['mean']} | n = {value['n']}")

    def _call(self, command: list[object]) -> None:
        subprocess.run([str(part) for part in command], check=True, env=self.environment)  # noqa: S603 - commands of this file

    def _timed(self, command: list[object]) -> dict[str, float]:
        begun = time.perf_counter()
        process = subprocess.Popen([str(part) for part in command], env=self.environment)  # noqa: S603 - commands of this file
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"{command[0]} failed")
        return {"seconds": time.perf_counter() - begun, "cpu": usage.ru_utime + usage.ru_stime, "gb": usage.ru_maxrss * 1024 / 1e9}


def _table(rows: dict[str, dict[str, float]]) -> str:
    """The timings as a Markdown table; ours also as parts of nnU-Net's fastest."""
    theirs = [row["seconds"] for name, row in rows.items() if name.startswith("nnU-Net")]
    lines = ["| | wall-clock s | processor s | peak GB | nnU-Net's fastest takes |", "|---|---:|---:|---:|---:|"]
    for name, row in rows.items():
        ratio = f"{min(theirs) / row['seconds']:.1f} ×" if theirs and not name.startswith("nnU-Net") else ""
        lines.append(f"| {name} | {row['seconds']:.1f} | {row['cpu']:.1f} | {row['gb']:.2f} | {ratio} |")
    return "\n".join(lines)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--nnunet", type=Path, metavar="PYTHON", help="Python of an environment with nnunetv2.")
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--lesions", action="store_true", help="Score each model by the size of lesions instead of timing it.")
    parser.add_argument("--patients", type=int, default=6, help="Phantoms to score.")
    parser.add_argument("--scale", type=int, default=1, help="Divide every side of the phantoms, to try the command.")
    asked = parser.parse_args()
    task = TASKS[asked.task]
    bench = Bench((asked.work / asked.task).absolute(), task, steps=asked.steps, scale=asked.scale)
    if asked.lesions:
        for model in task.models:
            bench.lesions(model, asked.patients)
        return
    image = bench.image()
    for model in task.models:
        for name, changes in model.variants.items():
            for precision in PRECISIONS:
                options = ["--threads", THREADS, "--precision", precision]
                bench.measure(f"crgan, {name}, {precision}", [*CRGAN, "predict", bench.variant(model, changes), image, *options, "--out"])
    if asked.nnunet:
        for configuration in CONFIGURATIONS:
            bench.nnunet(asked.nnunet, configuration)
            for mirroring, flags in (("without mirroring", ["--disable_tta"]), ("mirroring", [])):
                predict = asked.nnunet.parent / "nnUNetv2_predict"
                fixed = ["-d", 1, "-f", 0, "-c", configuration, "-device", "cpu", "-npp", 1, "-nps", 1]
                bench.measure(f"nnU-Net, {configuration}, {mirroring}", [predict, "-i", image / "imagesTr", *fixed, *flags, "-o"])


if __name__ == "__main__":
    main()
