"""BraTS in the official file names of its years, with the label values of each year."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.cases.phantom.files import write_metaimage, write_nifti
from crgan.cases.phantom.sample import Kind, Phantom

_ENHANCING, _ENHANCING_2023 = 4, 3
_VSD = {"t1": "MR_T1", "t1ce": "MR_T1c", "t2": "MR_T2", "flair": "MR_Flair", "seg": "OT"}
_NAMES = {
    "2017": "HGG/Brats17_CBICA_{case:03d}_1/Brats17_CBICA_{case:03d}_1_{word}.nii.gz",
    "2020": "BraTS20_Training_{case:03d}/BraTS20_Training_{case:03d}_{word}.nii.gz",
    "2021": "BraTS2021_{case:05d}/BraTS2021_{case:05d}_{word}.nii.gz",
    "2023": "BraTS-GLI-{case:05d}-000/BraTS-GLI-{case:05d}-000-{word}.nii.gz",
}
_WORDS_2023 = {"t1": "t1n", "t1ce": "t1c", "t2": "t2w", "flair": "t2f"}


def write_brats_of(year: str) -> Callable[[Path, Iterator[Phantom], Kind], None]:
    """Give the writer for a year: 2015 (as from 2013), 2017 (as to 2019), 2020, 2021 or 2023."""

    def write(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> None:
        """Write a folder per case with four scans and the segmentation."""
        for case, phantom in enumerate(phantoms):
            scans = [*zip(kind.modalities, phantom.images, strict=True), ("seg", phantom.labels)]
            for number, (modality, array) in enumerate(scans):
                if year == "2015":
                    _write_vsd(out, case, 54000 + 5 * case + number, modality, array, phantom.spacing_mm)
                    continue
                if year == "2023" and modality == "seg":
                    array = np.where(array == _ENHANCING, _ENHANCING_2023, array).astype(array.dtype)  # noqa: PLW2901
                word = _WORDS_2023.get(modality, modality) if year == "2023" else modality
                write_nifti(out / _NAMES[year].format(case=case, word=word), array, phantom.spacing_mm)

    return write


def _write_vsd(out: Path, case: int, number: int, modality: str, array: NDArray[Any], spacing_mm: tuple[float, ...]) -> None:
    """Write a file as the Virtual Skeleton Database handed it out: in a folder of its own, with a number of its own."""
    owner = "VSD.Brain_3more.XX.O" if modality == "seg" else "VSD.Brain.XX.O"
    name = f"{owner}.{_VSD[modality]}.{number}"
    write_metaimage(out / "HGG" / f"brats_2013_pat{case:04d}_1" / name / f"{name}.mha", array, spacing_mm)
