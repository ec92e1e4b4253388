"""nnU-Net's raw data: ``imagesTr/liver_000_0000.nii.gz``, ``labelsTr/liver_000.nii.gz``, and ``dataset.json`` of version 1 or 2."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from crgan.cases.labels import LabelScheme
from crgan.cases.phantom.files import write_nifti
from crgan.cases.phantom.sample import Kind, Phantom
from crgan.files import write_json


def write_nnunet(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> None:
    """Write for version 2, which knows regions."""
    values = _write_files(out, phantoms, kind)
    labels: dict[str, int | list[int]] = {"background": 0}
    for name, members in kind.labels.regions.items():
        numbers = [values[member] for member in members]
        labels[name] = numbers if len(numbers) > 1 else numbers[0]
    description = {
        "channel_names": {str(channel): name for channel, name in enumerate(kind.modalities)},
        "labels": labels,
        "regions_class_order": _class_order(kind.labels, values),
        "numTraining": _count(out),
        "file_ending": ".nii.gz",
    }
    write_json(out / "dataset.json", description)


def write_nnunet_1(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> None:
    """Write for version 1, in which classes exclude each other."""
    values = _write_files(out, phantoms, kind)
    names = sorted(path.name for path in (out / "labelsTr").iterdir())
    description = {
        "name": kind.name,
        "modality": {str(channel): name for channel, name in enumerate(kind.modalities)},
        "labels": {"0": "background", **{str(values[value]): name for value, name in kind.labels.classes.items()}},
        "numTraining": len(names),
        "numTest": 0,
        "training": [{"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"} for name in names],
        "test": [],
    }
    write_json(out / "dataset.json", description)


def _write_files(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> dict[int, int]:
    """Write a file per channel and the labels, whose values follow each other without a gap; gives the new value of each old one."""
    values = {value: number for number, value in enumerate(sorted(kind.labels.classes), start=1)}
    table = np.zeros(max(values) + 1, np.uint8)
    for old, new in values.items():
        table[old] = new
    for phantom in phantoms:
        for channel, image in enumerate(phantom.images):
            write_nifti(out / "imagesTr" / f"{phantom.name}_{channel:04d}.nii.gz", image, phantom.spacing_mm)
        write_nifti(out / "labelsTr" / f"{phantom.name}.nii.gz", table[phantom.labels], phantom.spacing_mm)
    return values


def _class_order(labels: LabelScheme, values: dict[int, int]) -> list[int]:
    """The value that stands for each region, from the outermost: one that no region inside it has."""
    regions = list(labels.regions.values())
    inner = [*regions[1:], ()]
    return [values[next(value for value in region if value not in inside)] for region, inside in zip(regions, inner, strict=True)]


def _count(out: Path) -> int:
    return sum(1 for _ in (out / "labelsTr").iterdir())
