"""A prepared case on disk, opened without reading it whole."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.arrays import mapped
from crgan.cases.labels import IGNORED
from crgan.cases.volume import Geometry
from crgan.errors import CrganError
from crgan.files import read_json
from crgan.preprocessing.label_facts import CodeFacts
from crgan.preprocessing.prepared import PreparedGeometry, Shape, Spacing

# Of what is written into a case's folder; part of its key, so that another version prepares anew.
STORE_VERSION = 3

IMAGE, LABEL, COORDINATES, DESCRIPTION = "image.npy", "label.npy", "coordinates.npy", "case.json"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredCase:
    """One prepared case in the store. Small, and cheap to pickle: arrays are mapped from the disk when asked for.

    Parameters
    ----------
    case_id, patient_id
        As in :class:`~crgan.cases.case.Case`.
    folder
        Where its arrays lie.
    geometry
        The prepared grid, and the way back to the canonical one.
    source
        The grid of the image file.
    codes
        What is known of each code from 1 on; None if the case has no label.
    modalities
        Names of the image's channels.
    ignored
        Voxels whose label is not known; they have code 255.
    """

    case_id: str
    patient_id: str
    folder: Path
    geometry: PreparedGeometry
    source: Geometry
    codes: tuple[CodeFacts, ...] | None
    modalities: tuple[str, ...]
    ignored: int = 0

    @property
    def image(self) -> NDArray[np.float16 | np.float32]:
        """The image ``(M, z, y, x)``, read-only, mapped into memory."""
        return mapped(self.folder / IMAGE)

    @property
    def label(self) -> NDArray[np.uint8] | None:
        """The label codes ``(z, y, x)``, read-only, mapped into memory; None if the case has no label."""
        return None if self.codes is None else mapped(self.folder / LABEL)

    @property
    def known(self) -> NDArray[np.bool_] | None:
        """Where the label counts, bool ``(z, y, x)``; None if that is everywhere, or the case has no label."""
        return None if self.label is None or not self.ignored else np.asarray(self.label != IGNORED)

    @property
    def shape(self) -> Shape:
        """Voxels ``(z, y, x)``."""
        return self.geometry.shape

    @property
    def spacing_mm(self) -> Spacing:
        """Voxel size ``(z, y, x)``."""
        return self.geometry.spacing_mm

    def voxels(self, code: int) -> int:
        """Count the voxels of a code from 1 on; 0 if the case has no label."""
        return 0 if self.codes is None else self.codes[code - 1].voxels

    def coordinates(self, code: int) -> NDArray[np.int32]:
        """Give up to 10,000 places ``(z, y, x)`` of a code from 1 on, int32 ``(N, 3)``, in the order of the array.

        They are a random sample where the code has more voxels; ``N = 0`` if it has none or the case has no label.
        """
        if self.codes is None:
            return np.zeros((0, 3), np.int32)
        start = sum(facts.sampled for facts in self.codes[: code - 1])
        return mapped(self.folder / COORDINATES)[start : start + self.codes[code - 1].sampled]


def describe(stored: StoredCase) -> dict[str, Any]:
    """Give what ``case.json`` holds: plain values, the size of each array file and a checksum, so that damage is noticed."""
    names = (IMAGE,) if stored.codes is None else (IMAGE, LABEL, COORDINATES)
    facts = {
        "version": STORE_VERSION,
        "modalities": list(stored.modalities),
        "geometry": stored.geometry.to_json(),
        "source": {
            "shape": list(stored.source.shape),
            "affine": stored.source.affine.tolist(),
            "dimensions": stored.source.dimensions,
        },
        "codes": None if stored.codes is None else [facts.to_json() for facts in stored.codes],
        "ignored": stored.ignored,
        "bytes": {name: (stored.folder / name).stat().st_size for name in names},
    }
    return {**facts, "checksum": _checksum(facts)}


def open_stored(folder: Path, *, case_id: str, patient_id: str) -> StoredCase | None:
    """Open a case's folder; None if it is absent, incomplete or damaged and has to be made again."""
    if not (folder / DESCRIPTION).is_file():
        return None
    try:
        data = read_json(folder / DESCRIPTION)
        if data["version"] != STORE_VERSION or data.pop("checksum") != _checksum(data):
            return None
        if any((folder / name).stat().st_size != size for name, size in data["bytes"].items()):
            return None
        return StoredCase(
            case_id=case_id,
            patient_id=patient_id,
            folder=folder,
            geometry=PreparedGeometry.from_json(data["geometry"]),
            source=_source_from_json(data["source"]),
            codes=None if data["codes"] is None else tuple(CodeFacts.from_json(facts) for facts in data["codes"]),
            modalities=tuple(data["modalities"]),
            ignored=int(data["ignored"]),
        )
    except (CrganError, OSError, KeyError, TypeError, ValueError, AttributeError):
        return None


def _checksum(facts: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(facts, sort_keys=True).encode())


def _source_from_json(data: Mapping[str, Any]) -> Geometry:
    i, j, k = (int(size) for size in data["shape"])
    affine = np.array(data["affine"], np.float64)
    if affine.shape != (4, 4):
        raise ValueError(f"an affine of shape {affine.shape}")
    return Geometry(shape=(i, j, k), affine=affine, dimensions=int(data["dimensions"]))
