"""Print what very many patients cost the start of training and each batch: `python benchmarks/large_cohort.py`.

Small synthetic patients are written and prepared by `crgan` itself, so that everything that grows with their number is there:
files, descriptions, checksums. What a fresh process then needs is measured, for few patients and for many: from the folder to
the first batch, its memory, its open files, and the time of a batch, both while it comes to patients for the first time and on
patients that it has met before. The refiner's batches are measured too: probabilities and places to look at lie on disk.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import torch

from crgan.arrays import write_array
from crgan.cases.layouts import open_dataset
from crgan.config import AugmentationSettings
from crgan.files import write_json
from crgan.preprocessing.pipeline import Pipeline
from crgan.preprocessing.settings import PreprocessingSettings
from crgan.preprocessing.store import prepare
from crgan.sequences.sampler import Sampler, TrainingCase

SHAPE = (24, 32, 32)
BATCHES = 60
FITTED = 20  # patients that preprocessing is fitted on: it is not what is measured


def write_patients(folder: Path, count: int) -> None:
    """Write what is missing of so many patients: noise, and a ball to be found."""
    z, y, x = np.indices(SHAPE) - np.array(SHAPE).reshape(3, 1, 1, 1) / 2
    for number in range(count):
        name = f"p{number:05d}"
        if (folder / name / f"{name}_seg.nii").exists():
            continue
        random = np.random.default_rng(number)
        ball = (z - random.integers(-5, 5)) ** 2 + y**2 + x**2 < 25
        image = (100 + random.normal(0, 10, SHAPE) + 60 * ball).astype(np.int16)
        (folder / name).mkdir(parents=True, exist_ok=True)
        for kind, array in (("flair", image), ("seg", ball.astype(np.uint8))):
            nib.save(nib.Nifti1Image(array.transpose(), np.eye(4)), folder / name / f"{name}_{kind}.nii")
    write_json(folder / "labels.json", {"classes": {"1": "lesion"}})


def start(folder: Path, count: int, *, refine: bool, workers: int) -> Sampler:
    """Make the sampler of the first so many patients, as training does."""
    dataset = open_dataset(folder)
    cases = dataset.cases[:count]
    pipeline = Pipeline.fit(cases[:FITTED], dataset, settings=PreprocessingSettings())
    stored = prepare(cases, dataset, pipeline, cache=folder.parent / "cache", workers=workers)
    training = [TrainingCase(stored=case) for case in stored]
    if refine:
        said = folder.parent / "said"
        training = [
            TrainingCase(
                stored=case.stored,
                probabilities=said / f"{case.stored.case_id}.npy",
                errors=said / f"{case.stored.case_id}_errors.npy",
                candidates=said / f"{case.stored.case_id}_candidates.npy",
            )
            for case in training
        ]
        for case in training:
            if isinstance(case.candidates, Path) and not case.candidates.exists():
                random = np.random.default_rng(0)
                write_array(said / f"{case.stored.case_id}.npy", random.random((1, *case.stored.shape)).astype(np.float16))
                places = random.integers(case.stored.shape, size=(20_000, 3)).astype(np.int32)
                write_array(said / f"{case.stored.case_id}_errors.npy", places)
                write_array(case.candidates, places)
    return Sampler(
        cases=training,
        table=dataset.labels.table() if dataset.labels is not None else np.zeros((0, 0), bool),
        planes=("axial", "coronal", "sagittal"),
        crops={"axial": (32, 32), "coronal": (24, 32), "sagittal": (24, 32)},
        coarseness=1,
        groups=6,
        sequences=2,
        length=8,
        augmentation=AugmentationSettings(),
        seed=(0, 0, 0),
    )


def measure(folder: Path, count: int, *, refine: bool) -> dict[str, float]:
    """What a fresh process needs; the patients have been prepared before."""
    resting = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun, cpu, device = time.perf_counter(), time.process_time(), torch.device("cpu")
    sampler = start(folder, count, refine=refine, workers=1)
    sampler.batch(0, device)
    figures = {"start_s": time.perf_counter() - begun, "start_cpu_s": time.process_time() - cpu}
    for name in ("first", "again"):
        spent = []
        for step in range(1, BATCHES + 1):
            before = time.process_time()
            sampler.batch(step, device)  # the same patients again, the second time
            spent.append(time.process_time() - before)
        figures[f"batch_{name}_ms"] = 1e3 * float(np.median(spent))
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures["imports_mb"] = resting / 1024
    figures["open_files"] = len(list(Path("/proc/self/fd").iterdir()))
    return figures


def main() -> None:
    """Write and prepare the patients, then measure each number of them in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patients", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--folder", type=Path, default=Path("large-cohort"))
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--refine", action="store_true", help=argparse.SUPPRESS)
    words = parser.parse_args()
    torch.set_num_threads(1)
    data = words.folder / "patients"
    if words.measure:
        print(json.dumps(measure(data, words.measure, refine=words.refine)))
        return
    begun = time.perf_counter()
    write_patients(data, max(words.patients))
    start(data, max(words.patients), refine=True, workers=2)
    print(f"written and prepared in {time.perf_counter() - begun:.0f} s")
    print("| stage | patients | start, s (CPU) | peak, MB (imports) | open files | batch, first time, ms CPU | batch, again, ms CPU |")
    print("|---|---|---|---|---|---|---|")
    for refine in (False, True):
        for count in words.patients:
            command = [sys.executable, __file__, "--folder", str(words.folder), "--measure", str(count), *(["--refine"] if refine else [])]
            got = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)  # noqa: S603 - this script
            print(
                f"| {'refinement' if refine else 'adversarial'} | {count} | {got['start_s']:.1f} ({got['start_cpu_s']:.1f}) "
                f"| {got['peak_mb']:.0f} ({got['imports_mb']:.0f}) | {got['open_files']:.0f} "
                f"| {got['batch_first_ms']:.1f} | {got['batch_again_ms']:.1f} |"
            )


if __name__ == "__main__":
    main()
