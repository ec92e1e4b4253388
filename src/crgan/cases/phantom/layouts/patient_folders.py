"""One folder per patient: ``brain_000/brain_000_t1.nii.gz``, ``brain_000/brain_000_seg.nii.gz``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crgan.cases.phantom.files import suffix, write_array
from crgan.cases.phantom.sample import Kind, Phantom
from crgan.files import write_json


def write_patient_folders(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> None:
    """Write a file per modality, the label beside them, and ``labels.json``; the frames of a movie in one folder."""
    for phantom in phantoms:
        folder, ending = out / phantom.patient, suffix(kind, phantom)
        for modality, image in zip(kind.modalities, phantom.images, strict=True):
            name = phantom.name if len(kind.modalities) == 1 else f"{phantom.name}_{modality}"
            write_array(folder / f"{name}{ending}", image, phantom.spacing_mm)
        write_array(folder / f"{phantom.name}_seg{ending}", phantom.labels, phantom.spacing_mm)
    write_json(out / "labels.json", kind.labels.to_json())
