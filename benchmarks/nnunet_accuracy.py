"""What nnU-Net reaches in the same minutes: `python benchmarks/nnunet_accuracy.py WORK DATA --minutes 20 --nnunet NNUNET/bin/python`.

nnU-Net's 2D configuration, planned by itself, trains on the training side of --split (or on DATA's labelled cases, with the test
patients in --images and --labels) with its schedule cut to the minutes: its polynomial decay of the learning rate runs over the time
in place of its 1000 epochs, and nothing is validated meanwhile. Planning and preprocessing are not counted. It then segments the test
patients as it does by default, with mirroring. --crgan trains, on the same patients and threads, a system of ours for as long. Both
are scored by `crgan evaluate`. The machine has to be idle.

benchmarks/nnunet.py says how nnU-Net is installed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np

import nnunet
from crgan.cases.case import Case, Dataset
from crgan.cases.files import read_volume
from crgan.cases.layouts import open_dataset
from crgan.cases.splits import read_split

CRGAN = Path(sys.executable).with_name("crgan")
NUMBER = 1
DATASET = f"Dataset{NUMBER:03}_data"

# Trains for some minutes; run by nnU-Net's Python.
_TRAIN = """
dataset, minutes, threads = json.loads(sys.argv[1])
torch.set_num_threads(threads)
torch.manual_seed(0)
begun = time.monotonic()
plans, description = read_plans(dataset)
trainer = make_trainer(plans, description, "2d", "all")
begin(trainer)
steps = 0
while (passed := (time.monotonic() - begun) / (60 * minutes)) < 1:
    for group in trainer.optimizer.param_groups:
        group["lr"] = trainer.initial_lr * (1 - passed) ** 0.9
    loss = trainer.train_step(next(trainer.dataloader_train))["loss"]
    steps += 1
    if steps % 20 == 0:
        print(f"{60 * minutes * passed:.0f} s, {steps} steps, loss {float(loss):.3f}", flush=True)
trainer.save_checkpoint(join(trainer.output_folder, "checkpoint_final.pth"))
print(f"{steps} steps", flush=True)
end_workers(trainer)
"""


class Bench:
    """The folder of a comparison.

    Parameters
    ----------
    asked
        The command line.
    """

    def __init__(self, asked: argparse.Namespace) -> None:
        self.asked = asked
        self.work: Path = asked.work.absolute()
        self.bin: Path = asked.nnunet.parent
        self.environment = nnunet.environment(self.work, threads=asked.threads)
        self.side = [] if asked.split is None else ["--split", asked.split, *([] if asked.fold is None else ["--fold", asked.fold])]

    def nnunet(self) -> None:
        """Train, segment and score."""
        raw, results = self.work / "raw" / DATASET, self.work / "results"
        if not (raw / "dataset.json").exists():
            self._write_raw(raw)
        if not (self.work / "preprocessed" / DATASET / "nnUNetPlans.json").exists():
            self._call([self.bin / "nnUNetv2_plan_and_preprocess", "-d", NUMBER, "-c", "2d", "-np", 1, "-npfp", 1])
        if not list(results.glob("*/*/fold_all/checkpoint_final.pth")):
            told = json.dumps([DATASET, self.asked.minutes, self.asked.threads])
            self._call([self.asked.nnunet, "-c", nnunet.TRAINER + _TRAIN, told], **{nnunet.WORKERS: str(self.asked.workers)})
        masks, options = self.work / "masks-nnunet", ["-d", NUMBER, "-f", "all", "-c", "2d", "-device", "cpu", "-npp", 1, "-nps", 1]
        begun = time.monotonic()
        self._call([self.bin / "nnUNetv2_predict", "-i", raw / "imagesTs", "-o", masks, *options])
        self._score("nnU-Net 2D", masks, time.monotonic() - begun)

    def crgan(self, system: str) -> None:
        """Train, segment and score a system of ours."""
        run, masks = self.work / f"run-{system}", self.work / f"masks-{system}"
        options = ["--minutes", self.asked.minutes, "--seed", 0, "--threads", self.asked.threads, "--system", system]
        if not (run / "model" / "model.json").exists():
            self._call([CRGAN, "train", self.asked.data, "--out", run, *self.side, *options, *(["--resume"] if run.exists() else [])])
        begun = time.monotonic()
        images = [self.asked.images] if self.asked.images else [self.asked.data, *self.side, "--part", "test"]
        self._call([CRGAN, "predict", run, *images, "--out", masks, "--threads", self.asked.threads, "--overwrite"])
        self._score(f"crgan, {system}", masks, time.monotonic() - begun)

    def _score(self, name: str, masks: Path, seconds: float) -> None:
        scores = masks.with_name(masks.name.replace("masks", "scores"))
        labels = [self.asked.labels] if self.asked.labels else [self.asked.data, *self.side, "--part", "test"]
        self._call([CRGAN, "evaluate", masks, *labels, "--out", scores, "--overwrite"])
        for target, summary in json.loads((scores / "scores.json").read_text())["summary"].items():
            means = [summary[metric]["mean"] for metric in ("dice", "fnr", "fpr", "hd95_mm")]
            figures = " | ".join("–" if mean is None else f"{mean:.3f}" for mean in means)  # nothing marked has no distance
            print(f"| {name} | {target} | {figures} | {seconds:.0f} s |", flush=True)

    def _write_raw(self, raw: Path) -> None:
        dataset = open_dataset(self.asked.data, need_labels=True)
        if self.asked.split is None:
            train, test = dataset.labelled, open_dataset(self.asked.images, labels=dataset.labels).cases
        else:
            split = read_split(self.asked.split, dataset, fold=self.asked.fold)
            train, test = ([case for case in dataset.labelled if case.case_id in set(side)] for side in (split.train, split.test))
        shutil.rmtree(raw, ignore_errors=True)
        for folder in ("imagesTr", "labelsTr", "imagesTs"):
            (raw / folder).mkdir(parents=True)
        for case in train:
            _write_images(case, dataset, raw / "imagesTr")
            if case.label is not None:
                _write(case.label, raw / "labelsTr" / f"{case.case_id}.nii.gz", np.uint8)
        for case in test:
            _write_images(case, dataset, raw / "imagesTs")
        if dataset.labels is None or dataset.labels.regions or dataset.labels.instances:
            raise SystemExit("labels have to be classes that exclude each other")
        description = {
            "channel_names": {str(number): name for number, name in enumerate(dataset.modalities)},
            "labels": {"background": 0, **{name: value for value, name in dataset.labels.classes.items()}},
            "numTraining": len(train),
            "file_ending": ".nii.gz",
        }
        (raw / "dataset.json").write_text(json.dumps(description))

    def _call(self, command: Sequence[object], **variables: str) -> None:
        subprocess.run([str(part) for part in command], check=True, env=self.environment | variables)  # noqa: S603 - commands of this file


def _write_images(case: Case, dataset: Dataset, folder: Path) -> None:
    for number, path in enumerate(case.images):
        _write(path, folder / f"{case.case_id}_{number:04}.nii.gz", np.float32)
    if len(case.images) != len(dataset.modalities):
        raise SystemExit(f"{case.case_id}: one file for each modality is needed")


def _write(path: Path, out: Path, dtype: type[np.generic]) -> None:
    volume = read_volume(path)
    nib.save(nib.Nifti1Image(volume.array[0].astype(dtype), volume.geometry.affine), out)  # type: ignore[no-untyped-call]


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--nnunet", type=Path, required=True, metavar="PYTHON", help="Python of an environment with nnunetv2.")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--split", type=Path)
    parser.add_argument("--fold", type=int)
    parser.add_argument("--images", type=Path, help="Test images, where there is no split.")
    parser.add_argument("--labels", type=Path, help="Their labels.")
    parser.add_argument("--crgan", metavar="SYSTEM", help="Also train this system of ours, before nnU-Net.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1, help="Processes of nnU-Net's augmentation; 0: in the training process.")
    asked = parser.parse_args()
    if (asked.split is None) == (asked.images is None or asked.labels is None):
        parser.error("give --split, or --images and --labels")
    bench = Bench(asked)
    print("| | target | Dice | FNR | FPR | HD95 mm | segmenting |\n|---|---|---:|---:|---:|---:|---:|", flush=True)
    if asked.crgan:
        bench.crgan(asked.crgan)
    bench.nnunet()


if __name__ == "__main__":
    main()
