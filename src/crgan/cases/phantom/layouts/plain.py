"""Images right in the folder, ``liver_000.nii.gz``, with ``liver_000_seg.nii.gz`` beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crgan.cases.phantom.files import suffix, write_array
from crgan.cases.phantom.sample import Kind, Phantom
from crgan.files import write_json


def write_plain(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> None:
    """Write all modalities of a case in one file, and ``labels.json``."""
    for phantom in phantoms:
        ending = suffix(kind, phantom)
        write_array(out / f"{phantom.name}{ending}", phantom.images if len(kind.modalities) > 1 else phantom.images[0], phantom.spacing_mm)
        write_array(out / f"{phantom.name}_seg{ending}", phantom.labels, phantom.spacing_mm)
    write_json(out / "labels.json", kind.labels.to_json())
