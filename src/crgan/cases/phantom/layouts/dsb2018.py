"""The Data Science Bowl 2018: ``stage1_train/ID/images/ID.png``, and a picture of each object in ``stage1_train/ID/masks/``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from crgan.cases.phantom.files import write_array
from crgan.cases.phantom.sample import Kind, Phantom


def write_dsb2018(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> None:
    """Write colour pictures with an empty alpha channel, masks of 0 and 255, and names that are digests, as they were handed out."""
    del kind
    for phantom in phantoms:
        name = _digest(phantom.name)
        folder = out / "stage1_train" / name
        opaque = np.full(phantom.labels.shape, 255, np.uint8)
        write_array(folder / "images" / f"{name}.png", np.stack([*[phantom.images[0]] * 3, opaque], axis=-1), phantom.spacing_mm)
        for cell in np.unique(phantom.labels).tolist():
            if cell:
                mask = np.where(phantom.labels == cell, np.uint8(255), np.uint8(0))
                write_array(folder / "masks" / f"{_digest(f'{phantom.name} {cell}')}.png", mask, phantom.spacing_mm)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
