"""Volumes per minute of preprocessing, beside TorchIO and MONAI: `python benchmarks/preprocessing_speed.py DATA --threads 1`.

Every image file of a folder in any layout of NIfTI volumes is read, turned to canonical axes, brought to z-scores over the
voxels that are not background, and resampled linearly to another spacing: finer and coarser by `--factors`. All of them do
that in this one process, on the same number of threads, case after case, and who begins changes from case to case.

Printed are volumes per minute of processor time, which other programs on the machine hardly change, and per minute of the clock;
each is of the best of several runs of every case. Background is 0 for TorchIO and MONAI, and what crgan finds for crgan; the
last columns show that they did the same: voxels, and mean and deviation over what is not background. Two rows do more, as
pipelines do: they cut to the foreground before they resample.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

Spacing = tuple[float, float, float]
Work = Callable[[Sequence[Path], Spacing], list[np.ndarray]]
"""Files of one case and the spacing (x, y, z) to a float32 array for each."""


def crgan(paths: Sequence[Path], spacing_mm: Spacing, *, crop: bool = False) -> list[np.ndarray]:
    """By the functions that training and prediction use."""
    from crgan.cases.canonical import to_canonical
    from crgan.cases.case import Case
    from crgan.cases.reading import read_image
    from crgan.preprocessing.pipeline import Pipeline
    from crgan.preprocessing.settings import PreprocessingSettings

    names = tuple(str(number) for number in range(len(paths)))
    nothing = (None,) * len(paths)
    pipeline = Pipeline(
        settings=PreprocessingSettings(crop_to_foreground=crop),
        modalities=names,
        kinds=("mr",) * len(paths),
        spacing_mm=spacing_mm[::-1],
        intensities=nothing,
        landmarks=nothing,
    )
    image, own_mm = to_canonical(read_image(Case(case_id="case", patient_id="case", images=tuple(paths)), names))
    return list(pipeline.apply(image, own_mm).image)


def torchio(paths: Sequence[Path], spacing_mm: Spacing) -> list[np.ndarray]:
    """By transforms of TorchIO on a subject."""
    import torchio as tio

    subject = tio.Subject({f"image{number}": tio.ScalarImage(path) for number, path in enumerate(paths)})
    transform = tio.Compose(
        [
            tio.ToCanonical(),
            tio.ZNormalization(masking_method=lambda image: image != 0),
            tio.Resample(spacing_mm, image_interpolation="linear"),
        ]
    )
    return [image.data[0].numpy() for image in transform(subject).get_images()]


def monai(paths: Sequence[Path], spacing_mm: Spacing, *, crop: bool = False) -> list[np.ndarray]:
    """By dictionary transforms of MONAI."""
    from monai import transforms

    keys = [f"image{number}" for number in range(len(paths))]
    cut = transforms.CropForegroundd(keys, source_key=keys[0], select_fn=lambda image: image != 0, margin=2, allow_smaller=True)
    steps = [
        transforms.LoadImaged(keys, image_only=True),
        transforms.EnsureChannelFirstd(keys),
        transforms.Orientationd(keys, axcodes="RAS", labels=None),
        *([cut] if crop else []),
        transforms.NormalizeIntensityd(keys, nonzero=True, channel_wise=True),
        transforms.Spacingd(keys, pixdim=spacing_mm, mode="bilinear"),
    ]
    result = transforms.Compose(steps)(dict(zip(keys, paths, strict=True)))
    return [result[key][0].numpy() for key in keys]


SYSTEMS: dict[str, Work] = {
    "crgan": crgan,
    "TorchIO": torchio,
    "MONAI": monai,
    "crgan, cut to the foreground": lambda paths, spacing_mm: crgan(paths, spacing_mm, crop=True),
    "MONAI, cut to the foreground": lambda paths, spacing_mm: monai(paths, spacing_mm, crop=True),
}


def limit_threads(threads: int) -> None:
    """Give every library as many threads; before they are loaded, since most ask only then."""
    os.environ |= {name: str(threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    import SimpleITK as sitk  # noqa: N813 - its own name for itself
    import torch

    torch.set_num_threads(threads)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


def timed(work: Work, paths: Sequence[Path], spacing_mm: Spacing) -> tuple[float, float, list[np.ndarray]]:
    """Processor seconds, seconds of the clock, and the result."""
    clock, processor = time.perf_counter(), time.process_time()
    result = work(paths, spacing_mm)
    return time.process_time() - processor, time.perf_counter() - clock, result


def compare(cases: Sequence[tuple[Path, ...]], factor: float, repeats: int) -> None:
    """Print the rows of one factor."""
    import nibabel as nib

    seconds: dict[str, list[tuple[float, float]]] = defaultdict(list)
    shown: dict[str, str] = {}
    names = list(SYSTEMS)
    for number, paths in enumerate(cases):
        canonical = nib.as_closest_canonical(nib.load(paths[0]))
        x, y, z = (factor * float(edge) for edge in canonical.header.get_zooms()[:3])
        order = names[number % len(names) :] + names[: number % len(names)]
        runs: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for _ in range(repeats):
            for name in order:
                processor, clock, result = timed(SYSTEMS[name], paths, (x, y, z))
                runs[name].append((processor, clock))
                if number == 0:
                    inside = result[0][np.abs(result[0] - result[0].flat[0]) > 1e-3]
                    shown[name] = f"{result[0].size / 1e6:.2f} million | {inside.mean():.2f} ± {inside.std():.2f}"
        for name, found in runs.items():
            seconds[name].append((min(processor for processor, _ in found), min(clock for _, clock in found)))
    volumes = sum(map(len, cases))
    mine = sum(processor for processor, _ in seconds["crgan"])
    for name in names:
        processor, clock = (sum(values) for values in zip(*seconds[name], strict=True))
        speeds = f"{60 * volumes / processor:.0f} | {60 * volumes / clock:.0f}"
        print(f"| {factor:g} | {name} | {speeds} | {processor / mine:.2f} | {shown[name]} |")


def main(arguments: list[str]) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cases", type=int, default=10, help="so many, evenly chosen")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--factors", type=float, nargs="+", default=[0.8, 1.25], help="the new spacing, in old ones")
    options = parser.parse_args(arguments)
    limit_threads(options.threads)

    from crgan.cases.layouts import open_dataset

    dataset = open_dataset(options.data)
    every = max(1, len(dataset.cases) // options.cases)
    cases = [case.images for case in islice(dataset.cases[::every], options.cases)]
    for work in SYSTEMS.values():  # what is loaded and made at the first call
        work(cases[0], (2.0, 2.0, 2.0))
    print(f"{sum(map(len, cases))} volumes of {len(cases)} cases, {options.threads} threads\n")
    columns = (
        "new spacing",
        "who",
        "volumes a processor minute",
        "a clock minute",
        "time, of crgan's",
        "voxels of the first",
        "foreground",
    )
    print(f"| {' | '.join(columns)} |")
    print("|---:|---|---:|---:|---:|---|---|")
    for factor in options.factors:
        compare(cases, factor, options.repeats)


if __name__ == "__main__":
    main(sys.argv[1:])
