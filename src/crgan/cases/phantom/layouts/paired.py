"""Images and labels in two folders: ``images/cells_000.png``, ``labels/cells_000.png``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crgan.cases.phantom.files import suffix, write_array
from crgan.cases.phantom.sample import Kind, Phantom
from crgan.files import write_json


def write_paired(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> None:
    """Write all modalities of a case in one file, and ``labels.json``."""
    for phantom in phantoms:
        name = f"{phantom.name}{suffix(kind, phantom)}"
        write_array(out / "images" / name, phantom.images if len(kind.modalities) > 1 else phantom.images[0], phantom.spacing_mm)
        write_array(out / "labels" / name, phantom.labels, phantom.spacing_mm)
    write_json(out / "labels.json", kind.labels.to_json())
