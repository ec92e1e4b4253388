"""Probability maps beside the masks, ``maps/CASE_TARGET_probability.nii.gz``, as ``crgan predict --probabilities`` writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crgan.cases.files import read_volume
from crgan.cases.labels import LabelScheme
from crgan.cases.volume import Geometry
from crgan.errors import fail
from crgan.evaluation.pairs import Pair

Maps = Mapping[str, Path]


def find_maps(masks: Path, pairs: Sequence[Pair], scheme: LabelScheme) -> dict[str, Maps]:
    """Find the probability maps of the cases: file by case id and target.

    Cases without a map are left out. Instances have none: a voxel's probability is that of lying inside an object and not at its
    border, which no label map tells.
    """
    if scheme.instances:
        return {}
    found = {
        pair.case_id: {
            target: path
            for target in scheme.targets
            if (path := masks / "maps" / f"{pair.case_id}_{target.replace(' ', '-')}_probability.nii.gz").is_file()
        }
        for pair in pairs
    }
    return {case: maps for case, maps in found.items() if maps}


def read_maps(maps: Maps, label: Geometry) -> dict[str, NDArray[np.float32]]:
    """Read the maps of a case, float32 ``(I, J, K)`` by target.

    Raises
    ------
    CrganError
        If one cannot be read, is not of the label's shape, or holds something that is no probability.
    """
    read: dict[str, NDArray[np.float32]] = {}
    for target, path in maps.items():
        array = read_volume(path, dtype=np.float32).array.astype(np.float32, copy=False)
        if array.shape != (1, *label.shape):
            raise fail(
                "The probability map and the label are of different shape.",
                where=path,
                expected=" × ".join(map(str, label.shape)),
                got=" × ".join(map(str, array.shape[1:])) + (f" of {array.shape[0]} channels" if array.shape[0] != 1 else ""),
                fix="predict again, or remove the map",
            )
        if not (array.min() >= 0 and array.max() <= 1):  # not a number fails too
            raise fail(
                "The map holds values that are no probabilities.",
                where=path,
                expected="values from 0 to 1",
                got=f"{array.min():g} to {array.max():g}",
                fix="predict again, or remove the map",
            )
        read[target] = array[0]
    return read
