"""The Medical Segmentation Decathlon: ``dataset.json``, ``imagesTr/``, ``labelsTr/``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crgan.cases.phantom.files import write_nifti
from crgan.cases.phantom.sample import Kind, Phantom
from crgan.files import write_json


def write_msd(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> None:
    """Write all modalities of a patient in one 4-D file."""
    names = []
    for phantom in phantoms:
        image = phantom.images if len(kind.modalities) > 1 else phantom.images[0]
        write_nifti(out / "imagesTr" / f"{phantom.name}.nii.gz", image, phantom.spacing_mm)
        write_nifti(out / "labelsTr" / f"{phantom.name}.nii.gz", phantom.labels, phantom.spacing_mm)
        names.append(phantom.name)
    description = {
        "name": f"{kind.name} phantoms",
        "tensorImageSize": "4D" if len(kind.modalities) > 1 else "3D",
        "modality": {str(number): name for number, name in enumerate(kind.modalities)},
        "labels": {"0": "background", **{str(value): name for value, name in kind.labels.classes.items()}},
        "numTraining": len(names),
        "numTest": 0,
        "training": [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in names],
        "test": [],
    }
    write_json(out / "dataset.json", description)
