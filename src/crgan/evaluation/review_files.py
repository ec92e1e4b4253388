"""Maps of places to look at again, as ``crgan predict --where-to-look`` writes them, and a table of what looking brings."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crgan.cases.files import read_labels, split_suffix
from crgan.cases.volume import Geometry
from crgan.evaluation.case import CaseScores
from crgan.evaluation.pairs import Pair, check_grid
from crgan.evaluation.review import AT, workload
from crgan.files import atomic_write

WORKLOAD = "where_to_look.csv"


def read_ranks(pair: Pair, label: Geometry) -> NDArray[np.integer] | None:
    """Read the ranks of the places of a case, ``(I, J, K)``; None if there is no such map.

    Raises
    ------
    CrganError
        If it cannot be read, or does not lie on the label's grid.
    """
    suffixes = dict.fromkeys((".nii.gz", split_suffix(pair.mask)[1]))
    for path in (pair.mask.parent / "where_to_look" / f"{pair.case_id}_look{suffix}" for suffix in suffixes):
        if path.is_file():
            volume = read_labels(path)
            check_grid(Pair(case_id=pair.case_id, mask=path, label=pair.label), volume.geometry, label)
            return np.asarray(volume.array[0], np.int64)
    return None


def write_workload(path: Path, found: Mapping[str, CaseScores]) -> None:
    """Write one line per target and number of places, atomically; nothing where no case lists places."""
    targets = dict.fromkeys(target for scored in found.values() for target in scored.reviews)
    if not targets:
        path.unlink(missing_ok=True)  # of an earlier evaluation
        return
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["target", "first_places", "places", "voxels", "lesions_found", "lesions_missed", "missed_voxels_found"])
        for target in targets:
            reviews = [scored.reviews[target] for scored in found.values() if target in scored.reviews]
            for most in AT:
                work = workload(reviews, most=most)
                share = "" if work.voxels_found is None else f"{work.voxels_found:.4g}"
                writer.writerow([target, most, f"{work.places:.4g}", f"{work.voxels:.6g}", work.lesions_found, work.lesions_missed, share])
