"""How many pixels a second training takes in, beside nnU-Net's 2D trainer: `python benchmarks/training_speed.py WORK`.

Both train on the same phantom brains (four modalities, drawn into WORK once), on crops of 128 x 128 pixels and as many slices a step,
on --threads threads; ours are sequences of 10 slices, in the precision that a training takes by itself. Timed are whole steps: drawing
and augmenting the batch, forward, backward and the optimiser. The discriminator of `rnn-cgan` takes part from the first step here; in
recipe `default` it does in the last third. Rounds take turns, each in a process of its own, and the best one of each counts. The
machine has to be idle.

nnU-Net is measured too where its Python is named (benchmarks/nnunet.py says how it is installed):
    python benchmarks/training_speed.py WORK --nnunet NNUNET/bin/python
Its network has as many stages and the same widths as the generator, which makes the parameters comparable; all else is its own: two
convolutions a stage, deep supervision, its augmentation, in the training process and in two workers besides.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import nnunet

SIDE, LENGTH, SEQUENCES, GROUPS = 128, 10, 2, 2
SLICES = GROUPS * SEQUENCES * LENGTH
WIDTHS = (16, 32, 64, 96, 128)
PATIENTS, SHAPE = 6, (96, 144, 144)
DATASET = "Dataset001_brain"
WARM_UP = 3

# One round of nnU-Net's trainer; run by its own Python.
_NNUNET = """
dataset, side, slices, widths, steps, warm_up, threads = json.loads(sys.argv[1])
torch.set_num_threads(threads)
plans, description = read_plans(dataset)
plan, stages = plans["configurations"]["2d"], len(widths)
plan |= {"patch_size": [side, side], "batch_size": slices}
plan["architecture"]["arch_kwargs"] |= {
    "n_stages": stages, "features_per_stage": widths, "kernel_sizes": [[3, 3]] * stages,
    "strides": [[1, 1]] + [[2, 2]] * (stages - 1), "n_conv_per_stage": [2] * stages, "n_conv_per_stage_decoder": [2] * (stages - 1),
}
trainer = make_trainer(plans, description, "2d", "all")
begin(trainer)
for number in range(warm_up + steps):
    if number == warm_up:
        begun = time.perf_counter()
    trainer.train_step(next(trainer.dataloader_train))
seconds = (time.perf_counter() - begun) / steps
parameters = sum(parameter.numel() for parameter in trainer.network.parameters())
print("ROUND", json.dumps({"seconds": seconds, "parameters": parameters}), flush=True)
end_workers(trainer)
"""


def round_of_ours(data: Path, system: str, steps: int, threads: int) -> dict[str, float]:
    """Train a few steps of the generator's stage: seconds of a step, and the generator's parameters."""
    from lightning_fabric import Fabric

    from crgan.config import load_config
    from crgan.machine import prepare_machine
    from crgan.networks.build import make_discriminator, make_generator
    from crgan.progress import Silent
    from crgan.sequences.sampler import TrainingCase
    from crgan.training.adversarial import AdversarialStage
    from crgan.training.patients import Patients
    from crgan.training.settling import settle

    prepare_machine(threads)
    generator = {"widths": WIDTHS, "coarseness": 1, "crops": {"axial": (SIDE, SIDE)}, "groups": GROUPS}
    settings = {"planes": ("axial",), "batch": {"sequences": SEQUENCES, "length": LENGTH}, "generator": generator, "threads": threads}
    cached = {"data.cache": data.parent / "prepared", "adversarial.begin": 0.0}
    config = load_config(system=system, steps=WARM_UP + steps, device="cpu", **settings, **cached)
    patients = Patients(data, config, None, Silent())
    config = settle(config, patients.fingerprint)
    sizes = {"modalities": len(patients.pipeline.modalities), "targets": len(patients.labels.targets)}
    network = make_generator(config, **sizes, exclusive=patients.labels.exclusive)
    cases = [TrainingCase(stored=case) for case in patients.train]
    stage = AdversarialStage(
        Fabric(accelerator="cpu", devices=1, precision=config.precision),
        config,
        patients.labels,
        generator=network,
        discriminator=make_discriminator(config, **sizes) if config.has_discriminator else None,
        sampler=patients.sampler(config, config.generator, cases, 0),
        validation=[],
    )
    for number in range(WARM_UP):
        stage.step(number, config.steps)
    begun = time.perf_counter()
    for number in range(WARM_UP, WARM_UP + steps):
        stage.step(number, config.steps)
    seconds = (time.perf_counter() - begun) / steps
    return {"seconds": seconds, "parameters": sum(parameter.numel() for parameter in network.parameters())}


class Bench:
    """The folder, and the rounds that are run in it."""

    def __init__(self, work: Path, *, steps: int, threads: int, python: Path | None) -> None:
        self.data = work / "raw" / DATASET
        self.steps, self.threads, self.python = steps, threads, python
        self.environment = nnunet.environment(work, threads=threads)
        if not (self.data / "dataset.json").exists():
            crgan, shape = Path(sys.executable).with_name("crgan"), [str(side) for side in SHAPE]
            self._run([crgan, "phantom", "brain", "--out", self.data, "-n", PATIENTS, "--layout", "nnunet", "--shape", *shape])
        if python is not None and not (work / "preprocessed" / DATASET / "nnUNetPlans.json").exists():
            self._run([python.with_name("nnUNetv2_plan_and_preprocess"), "-d", 1, "-c", "2d", "-np", 1, "-npfp", 1])

    def contestants(self) -> dict[str, list[object]]:
        """The commands of one round, by what they measure."""
        itself = [sys.executable, __file__, self.data, "--steps", self.steps, "--threads", self.threads, "--system"]
        found: dict[str, list[object]] = {f"crgan, {system}": [*itself, system] for system in ("rnn-unet", "rnn-cgan", "unet")}
        if self.python is not None:
            asked = json.dumps([DATASET, SIDE, SLICES, WIDTHS, self.steps, WARM_UP, self.threads])
            for workers in (0, 2):
                found[f"nnU-Net 2D, {workers} workers"] = [self.python, "-c", nnunet.TRAINER + _NNUNET, asked]
        return found

    def measure(self, name: str, command: list[object]) -> dict[str, float]:
        """One round in a process of its own."""
        workers = name.split()[-2] if name.startswith("nnU-Net") else "0"
        printed = self._run(command, **{nnunet.WORKERS: workers})
        return dict(json.loads(next(line for line in printed.splitlines() if line.startswith("ROUND")).removeprefix("ROUND ")))

    def _run(self, command: list[object], **variables: str) -> str:
        words = [str(part) for part in command]
        done = subprocess.run(words, env=self.environment | variables, check=False, capture_output=True, text=True)  # noqa: S603
        if done.returncode:
            raise SystemExit(f"{words[0]} failed\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
        return done.stdout


def table(rows: dict[str, list[dict[str, float]]]) -> str:
    """The best rounds as a Markdown table; ours also as multiples of nnU-Net's fastest."""
    rate = {name: SLICES * SIDE**2 / min(each["seconds"] for each in found) / 1e3 for name, found in rows.items()}
    theirs = max((value for name, value in rate.items() if name.startswith("nnU-Net")), default=None)
    lines = ["| | parameters | s a step | kpixel/s | of nnU-Net's |", "|---|---:|---:|---:|---:|"]
    for name, found in rows.items():
        ratio = f"{rate[name] / theirs:.1f} ×" if theirs and not name.startswith("nnU-Net") else ""
        seconds = min(each["seconds"] for each in found)
        lines.append(f"| {name} | {found[0]['parameters']:,.0f} | {seconds:.2f} | {rate[name]:.0f} | {ratio} |")
    return "\n".join(lines)


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--nnunet", type=Path, metavar="PYTHON", help="Python of an environment with nnunetv2.")
    parser.add_argument("--steps", type=int, default=10, help="Timed steps of a round.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--system", help=argparse.SUPPRESS)  # one round of ours, in this process
    asked = parser.parse_args()
    if asked.system:
        print("ROUND", json.dumps(round_of_ours(asked.work, asked.system, asked.steps, asked.threads)))
        return
    bench = Bench(asked.work.absolute(), steps=asked.steps, threads=asked.threads, python=asked.nnunet)
    rows: dict[str, list[dict[str, float]]] = {name: [] for name in bench.contestants()}
    for number in range(asked.rounds):
        print(f"round {number + 1} of {asked.rounds}; load {os.getloadavg()[0]:.1f}", flush=True)
        for name, command in bench.contestants().items():
            rows[name].append(bench.measure(name, command))
            print(name, rows[name][-1], flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
