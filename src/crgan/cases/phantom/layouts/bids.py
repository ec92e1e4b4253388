"""BIDS: ``sub-liver000/ct/sub-liver000_ct.nii.gz``, with labels under ``derivatives/labels/``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crgan.cases.phantom.files import write_nifti
from crgan.cases.phantom.sample import Kind, Phantom
from crgan.files import write_json

_ENTITIES = {"t1": "T1w", "t1ce": "ce-gadolinium_T1w", "t2": "T2w", "flair": "FLAIR", "CT": "ct"}


def write_bids(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> None:
    """Write a subject per patient, the label as a derivative, and what the labels mean."""
    folder = "ct" if kind.modalities == ("CT",) else "anat"
    derivatives = out / "derivatives" / "labels"
    for phantom in phantoms:
        subject = f"sub-{phantom.name.replace('_', '')}"
        for modality, image in zip(kind.modalities, phantom.images, strict=True):
            write_nifti(out / subject / folder / f"{subject}_{_ENTITIES[modality]}.nii.gz", image, phantom.spacing_mm)
        write_nifti(derivatives / subject / folder / f"{subject}_dseg.nii.gz", phantom.labels, phantom.spacing_mm)
    description = {"Name": f"{kind.name} phantoms", "BIDSVersion": "1.10.0"}
    write_json(out / "dataset_description.json", {**description, "DatasetType": "raw"})
    write_json(derivatives / "dataset_description.json", {**description, "DatasetType": "derivative", "GeneratedBy": [{"Name": "crgan"}]})
    write_json(out / "labels.json", kind.labels.to_json())
