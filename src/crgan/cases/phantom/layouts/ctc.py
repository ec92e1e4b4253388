"""The Cell Tracking Challenge: ``01/t000.tif``, ``01_GT/SEG/man_seg000.tif``, and the tracks in ``01_GT/TRA/``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import numpy as np

from crgan.cases.phantom.files import write_array
from crgan.cases.phantom.sample import Kind, Phantom
from crgan.files import atomic_write


def write_ctc(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> None:
    """Write each movie as a sequence, with all its cells as gold truth and their lineage in ``man_track.txt``."""
    del kind
    for number, (_, movie) in enumerate(groupby(phantoms, key=lambda phantom: phantom.patient), start=1):
        truth = out / f"{number:02d}_GT"
        seen: dict[int, list[int]] = defaultdict(list)
        parents: dict[int, int] = {}
        for phantom in movie:
            time = f"{phantom.frame:03d}.tif"
            write_array(out / f"{number:02d}" / f"t{time}", phantom.images[0], phantom.spacing_mm)
            write_array(truth / "SEG" / f"man_seg{time}", phantom.labels, phantom.spacing_mm)
            write_array(truth / "TRA" / f"man_track{time}", phantom.labels, phantom.spacing_mm)
            parents |= phantom.parents
            for cell in np.unique(phantom.labels).tolist():
                seen[cell].append(phantom.frame)
        lines = [f"{cell} {frames[0]} {frames[-1]} {parents.get(cell, 0)}\n" for cell, frames in sorted(seen.items()) if cell]
        with atomic_write(truth / "TRA" / "man_track.txt") as temporary:
            temporary.write_text("".join(lines), encoding="utf-8")
