"""Does the promise hold, and does it say something: `python benchmarks/promise.py RUN DATA --split FILE`.

The test side of the split is a pool of patients that the run has not read. Each is predicted once. Then the pool is halved by chance,
1,000 times: one half calibrates, as `crgan calibrate` does, and on the other half is measured what the promised sets miss. On average
that may be no more than was promised; beside it stands how much the sets mark, since marking everything misses nothing.

For the hippocampus study, whose pool is a part of the training patients, the split file is made by

    python -c "import json, sys; d = json.load(open('DATA/splits.json'))['msd/Task04_Hippocampus']['calibration_study']; \
        json.dump({'train': d['train'], 'test': d['pool']}, sys.stdout)" > calibration.json
    crgan train DATA/msd/Task04_Hippocampus --out RUN --split calibration.json --minutes 60
    python benchmarks/promise.py RUN DATA/msd/Task04_Hippocampus --split calibration.json
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from crgan.cases.labels import IGNORED
from crgan.cases.layouts import open_dataset
from crgan.cases.reading import read_case
from crgan.cases.splits import read_split
from crgan.conformal import Counted, Unit, control, count
from crgan.errors import CrganError
from crgan.files import read_json
from crgan.inference.modalities import in_model_order
from crgan.machine import prepare_machine
from crgan.model import Model


class Image(NamedTuple):
    """A case of the pool: counted at every sensitivity, and the share of its voxels that is true."""

    counted: Counted
    true: float


Pool = dict[str, list[Image]]
"""The images of one target, by patient."""


class Halving(NamedTuple):
    """What a promise did on patients it was not calibrated on: means over those who have the target, and over all."""

    missed: float
    marked: float
    times_true: float


def predict_pool(run: Path, data: Path, split: Path, *, fold: int | None, per: Unit) -> dict[str, Pool]:
    """Count every case of the pool, by target."""
    model = Model.load(run)
    dataset = open_dataset(data, labels=model.labels, need_labels=True)
    pool = set(read_split(split, dataset, fold=fold).test)
    dataset = in_model_order(dataset, [case for case in dataset.labelled if case.case_id in pool], model.pipeline.modalities)
    known = {patient for side in ("train", "validation") for patient in read_json(run / "data.json")["patients"][side]}
    if seen := sorted({case.patient_id for case in dataset.cases} & known):
        sys.exit(f"the run has learned from patients of the pool: {', '.join(seen[:5])}")
    found: dict[str, Pool] = {target: defaultdict(list) for target in model.labels.targets}
    for number, case in enumerate(dataset.cases, start=1):
        read = read_case(case, dataset)
        probabilities = model.segment(read.image, spacing_mm=read.spacing_mm, case_id=case.case_id, maps=True).probabilities
        if read.label is None or probabilities is None:
            message = f"case {case.case_id} has no label or no probabilities"
            raise ValueError(message)
        within = read.label != IGNORED
        for target, values, truth in zip(model.labels.targets, probabilities, model.labels.masks(read.label), strict=True):
            counted = count(values, truth, per=per, within=within)
            found[target][case.patient_id].append(Image(counted, float(truth.sum() / within.sum())))
        print(f"\r{number} of {len(dataset.cases)} cases", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def halve(pool: Pool, *, max_fnr: float, target: str, random: np.random.Generator) -> Halving | None:
    """Calibrate on one half of the patients and measure on the other; None if the promise is refused, or nobody has the target."""
    patients = random.permutation(sorted(pool))
    half = len(patients) // 2
    calibration, test = ([pool[patient] for patient in side] for side in (patients[:half], patients[half:]))
    try:
        promise = control([[image.counted for image in images] for images in calibration], max_fnr=max_fnr, target=target)
    except CrganError:
        return None
    level = int(np.array(1 - promise.sensitivity, np.float16).view(np.uint16))
    missed = [
        np.mean([image.counted.missed[level] for image in images if image.counted.missed is not None])
        for images in test
        if any(image.counted.missed is not None for image in images)
    ]
    if not missed:
        return None
    marked = float(np.mean([image.counted.marked[level] for images in test for image in images]))
    true = float(np.mean([image.true for images in test for image in images]))
    return Halving(missed=float(np.mean(missed)), marked=marked, times_true=marked / true)


def main(arguments: Sequence[str]) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--fold", type=int)
    parser.add_argument("--per", choices=["voxel", "lesion"], default="voxel")
    parser.add_argument("--max-fnr", type=float, nargs="+", default=[0.05, 0.1, 0.2])
    parser.add_argument("--halvings", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    options = parser.parse_args(arguments)
    prepare_machine(options.threads)
    pools = predict_pool(options.run, options.data, options.split, fold=options.fold, per=options.per)
    print(f"share of {options.per}s missed on the other half, over {options.halvings} halvings, seed {options.seed}")
    columns = ["target", "patients", "promised", "missed", "standard error", "holds", "marked of the image", "marked / true", "refused"]
    print("| " + " | ".join(columns) + " |")
    print("|---|" + "---:|" * (len(columns) - 1))
    for target, pool in pools.items():
        for max_fnr in options.max_fnr:
            random = np.random.default_rng(options.seed)
            halvings = [halve(pool, max_fnr=max_fnr, target=target, random=random) for _ in range(options.halvings)]
            kept = np.array([found for found in halvings if found is not None])
            figures = [target, str(len(pool)), f"{max_fnr:g}"]
            if len(kept) < 2:
                figures += ["–"] * 5
            else:
                missed, marked, times_true = kept.mean(axis=0)
                error = kept[:, 0].std(ddof=1) / np.sqrt(len(kept))
                holds = "yes" if missed <= max_fnr + 2 * error else "NO"
                figures += [f"{missed:.4f}", f"{error:.4f}", holds, f"{marked:.4f}", f"{times_true:.2f}"]
            print("| " + " | ".join([*figures, f"{len(halvings) - len(kept)} of {len(halvings)}"]) + " |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
