"""A list of cases, ``cases.json``, and the files that it names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from crgan.cases.phantom.files import suffix, write_array
from crgan.cases.phantom.sample import Kind, Phantom
from crgan.files import write_json


def write_cases(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> None:
    """Write a file per modality in folders that no layout would tell, and the list that does."""
    cases = []
    for phantom in phantoms:
        ending = suffix(kind, phantom)
        images = [f"scans/{modality}/{phantom.name}{ending}" for modality in kind.modalities]
        label = f"truth/{phantom.name}{ending}"
        for name, array in zip([*images, label], [*phantom.images, phantom.labels], strict=True):
            write_array(out / name, array, phantom.spacing_mm)
        cases.append({"case": phantom.name, "patient": phantom.patient, "images": images, "label": label})
    write_json(out / "cases.json", {"modalities": list(kind.modalities), **kind.labels.to_json(), "cases": cases})
