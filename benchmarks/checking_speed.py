"""How long `crgan check` takes beside nothing but reading the files: `python benchmarks/checking_speed.py DATA [DATA …]`.

Read is every image and label file, each by the library that people read it by and as they do: NIfTI by nibabel's `get_fdata` in
float32 (labels as they are stored), pictures by Pillow, DICOM series by SimpleITK. Both go through the cases one after the other
in one process and thread, in turns, each several times; the least processor time of each counts, which other programs on the
machine hardly change.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def read_plainly(path: Path, *, label: bool) -> None:
    """Read the voxels of a file, or of the pictures or the DICOM series in a folder."""
    if path.name.endswith((".nii", ".nii.gz")):
        import nibabel as nib

        image = nib.load(path)
        np.asanyarray(image.dataobj) if label else image.get_fdata(dtype=np.float32)
    elif path.is_dir() and any(child.suffix == ".png" for child in path.iterdir()):
        for child in sorted(path.iterdir()):
            read_plainly(child, label=label)
    elif path.is_dir():
        import SimpleITK as sitk  # noqa: N813 - its own name for itself

        sitk.GetArrayFromImage(sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(path))))
    else:
        from PIL import Image

        with Image.open(path) as picture:
            np.asarray(picture)


def seconds(work: Callable[[], object]) -> float:
    """Processor time."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main(arguments: list[str]) -> None:
    """Print a table."""
    os.environ["OMP_NUM_THREADS"] = "1"
    from concurrent.futures import ThreadPoolExecutor

    from crgan.cases.integrity import check_cases
    from crgan.cases.layouts import open_dataset

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args(arguments)
    print("| data | files | MB | reading, s | checking, s | checking ÷ reading | errors, warnings |")
    print("|---|---:|---:|---:|---:|---:|---|")
    totals = np.zeros(2)
    for folder in options.data:
        dataset = open_dataset(folder)
        files = [(path, False) for case in dataset.cases for path in case.images]
        files += [(case.label, True) for case in dataset.cases if case.label is not None]
        inside = [child for path, _ in files for child in (path.rglob("*") if path.is_dir() else [path])]
        told = []

        def read(files: list[tuple[Path, bool]] = files) -> None:
            for path, label in files:
                read_plainly(path, label=label)

        def check(dataset: object = dataset, told: list[object] = told) -> None:
            with ThreadPoolExecutor(1) as one:
                told[:] = check_cases(dataset, need_labels=True, executor=one)[1]

        best = [np.inf, np.inf]
        for _ in range(options.repeats):
            best = [min(so_far, seconds(work)) for so_far, work in zip(best, (read, check), strict=True)]
        totals += best
        errors = sum(problem.severity == "error" for problem in told)
        size = sum(path.stat().st_size for path in inside) / 1e6
        speeds = f"{best[0]:.2f} | {best[1]:.2f} | {best[1] / best[0]:.2f}"
        print(f"| {folder.name} | {len(inside)} | {size:.1f} | {speeds} | {errors}, {len(told) - errors} |", flush=True)
    print(f"| all | | | {totals[0]:.2f} | {totals[1]:.2f} | {totals[1] / totals[0]:.2f} | |")


if __name__ == "__main__":
    main(sys.argv[1:])
