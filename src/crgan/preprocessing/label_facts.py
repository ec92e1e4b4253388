"""What is worth knowing about each class of a label map without opening it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray

from crgan.cases.labels import IGNORED

# Coordinates kept of each code: enough to draw from for a whole training, small enough to load at once.
SAMPLED_COORDINATES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeFacts:
    """One code of a prepared label map; background is left out.

    Parameters
    ----------
    code
        Position in :attr:`LabelScheme.values`, from 1.
    voxels
        How many voxels have it.
    box
        ``(start, stop)`` along Z, Y and X of the smallest box that holds them; None if there are none.
    components
        Number of 26-connected pieces.
    smallest, median
        Voxels of the smallest and of the median piece; None if there are none.
    sampled
        How many coordinates are kept.
    """

    code: int
    voxels: int
    box: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None
    components: int
    smallest: int | None
    median: float | None
    sampled: int

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CodeFacts:
        """Read what :meth:`to_json` wrote."""
        box = None
        if data["box"] is not None:
            z, y, x = ((int(start), int(stop)) for start, stop in data["box"])
            box = (z, y, x)
        return cls(**{**data, "box": box})


def take_facts(codes: NDArray[np.uint8], count: int, *, seed: int) -> tuple[tuple[CodeFacts, ...], NDArray[np.int32]]:
    """Look at each code of a label map.

    Parameters
    ----------
    codes
        uint8 ``(Z, Y, X)``, values below ``count``, or 255 for voxels to be left out.
    count
        Number of codes, background included.
    seed
        Decides which coordinates are kept where there are more than 10,000.

    Returns
    -------
    tuple
        One entry for each code from 1, also for absent ones; and the coordinates kept, int32 ``(N, 3)``: those of
        code 1 first, each code's in the order of the array.
    """
    generator = np.random.default_rng(seed)
    codes = np.where(codes == IGNORED, np.uint8(0), codes)
    places = np.flatnonzero(codes)
    values = codes.reshape(-1)[places]
    sizes, piece_codes = _pieces(codes)
    facts, coordinates = [], []
    for code in range(1, count):
        own = places[values == code]
        kept = own if own.size <= SAMPLED_COORDINATES else np.sort(generator.choice(own, SAMPLED_COORDINATES, replace=False, shuffle=False))
        positions = np.unravel_index(own, codes.shape)
        pieces = sizes[piece_codes == code]
        box = None
        if own.size:
            z, y, x = ((int(along.min()), int(along.max()) + 1) for along in positions)
            box = (z, y, x)
        facts.append(
            CodeFacts(
                code=code,
                voxels=own.size,
                box=box,
                components=pieces.size,
                smallest=int(pieces.min()) if pieces.size else None,
                median=float(np.median(pieces)) if pieces.size else None,
                sampled=kept.size,
            )
        )
        coordinates.append(np.stack(np.unravel_index(kept, codes.shape), axis=1))
    return tuple(facts), np.concatenate([np.zeros((0, 3), np.int32), *coordinates]).astype(np.int32)


def _pieces(codes: NDArray[np.uint8]) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Size and code of every connected piece of one code."""
    pieces, number = cc3d.connected_components(codes, connectivity=26, return_N=True)
    flat = pieces.reshape(-1)
    sizes = np.bincount(flat, minlength=number + 1)[1:]
    piece_codes = np.zeros(number + 1, np.uint8)
    piece_codes[flat] = codes.reshape(-1)
    return sizes, piece_codes[1:]
