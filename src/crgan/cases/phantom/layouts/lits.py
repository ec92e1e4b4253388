"""LiTS: ``volume-0.nii`` and ``segmentation-0.nii``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crgan.cases.phantom.files import write_nifti
from crgan.cases.phantom.sample import Kind, Phantom


def write_lits(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> None:
    """Write volumes and segmentations, numbered from 0 and not compressed, as the challenge has them."""
    del kind
    for number, phantom in enumerate(phantoms):
        write_nifti(out / f"volume-{number}.nii", phantom.images[0], phantom.spacing_mm)
        write_nifti(out / f"segmentation-{number}.nii", phantom.labels, phantom.spacing_mm)
