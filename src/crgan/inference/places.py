"""Where a reader should look again: places that were left out of the mask and may well belong to it, the likeliest volume first.

The final probability of a target outside its mask is what the networks hold for missed there: the refiner's false-negative mask where
it looked, the generator's probability elsewhere. Voxels where it is not low, and that hang together, are a place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from crgan.cases.volume import Geometry
from crgan.evaluation.surface import bounding_box

LEAST = 0.1
"""Voxels that are less likely missed than this belong to no place."""

MOST = 50
"""Places kept of a case; nobody looks at more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place to look at again.

    Parameters
    ----------
    rank
        From 1 up; the first is where most is likely to be found.
    target
        What may have been missed.
    position_mm
        R, A, S: of the place's voxel nearest to its middle, the likelier voxels counting for more.
    voxel
        The same voxel's indices along the file's axes.
    voxels, volume_mm3, diameter_mm
        Size; of a ball of the same volume, or in a picture of a disc of the same area.
    probability, mean_probability
        That a voxel was missed: of the likeliest voxel, and of all on average.
    expected_mm3
        The volume that is likely missed here: the sum of the probabilities times a voxel's volume. It makes the rank.
    distance_mm
        From the place's nearest voxel to the nearest voxel that is marked as the target, middle to middle; None if none is marked.
    at_border
        Whether the place touches what is marked as the target. Then its outline is in doubt rather than its being there, and the
        place comes after all others.
    """

    rank: int
    target: str
    position_mm: tuple[float, float, float]
    voxel: tuple[int, int, int]
    voxels: int
    volume_mm3: float
    diameter_mm: float
    probability: float
    mean_probability: float
    expected_mm3: float
    distance_mm: float | None
    at_border: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file, with as many digits as mean something."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()} | {
            "position_mm": [round(value, 3) for value in self.position_mm]
        }


def find_places(
    probabilities: NDArray[np.floating],
    masks: NDArray[np.bool_],
    targets: Sequence[str],
    geometry: Geometry,
    *,
    exclusive: bool,
    least: float = LEAST,
    most: int = MOST,
) -> tuple[list[Place], NDArray[np.uint16]]:
    """Find the places that were left out of the masks and may belong to them.

    Parameters
    ----------
    probabilities
        ``(K, I, J, K)`` along the file's axes, final ones, of each target.
    masks
        The final masks, same shape, bool.
    targets
        Their names.
    geometry
        The file's grid.
    exclusive
        Whether targets exclude each other: then a voxel is held for the likeliest of those that it was not marked as. Nested regions
        are looked at from the outside: an inner one only where the one around it was marked, so that a lesion missed as a whole
        is one place and not one for each region.
    least, most
        The probability from which on voxels count, and the number of places kept.

    Returns
    -------
    places
        Those at the border of a mark after all others; among each the largest expected volume first. None without a voxel that counts.
    ranks
        ``(I, J, K)`` the rank of the place each voxel belongs to, 0 for none.
    """
    chance = np.where(masks, 0, probabilities).astype(np.float32)
    if not exclusive:
        chance[1:][~masks[:-1]] = 0
    which = chance.argmax(axis=0)
    chance = np.take_along_axis(chance, which[None], axis=0)[0]
    labelled = np.where(chance >= least, which + 1, 0).astype(np.uint8)
    components = np.asarray(cc3d.connected_components(labelled, connectivity=26))
    boxes = ndimage.find_objects(components)
    expected = np.bincount(components.ravel(), chance.ravel(), minlength=len(boxes) + 1)
    at_border = _touching(components, labelled, masks, len(boxes))
    order = sorted(range(1, len(boxes) + 1), key=lambda number: (at_border[number], -expected[number]))[:most]
    marks = [_Marks(mask, geometry) for mask in masks]
    ranks, places = np.zeros(len(boxes) + 1, np.uint16), []
    for rank, number in enumerate(order, start=1):
        ranks[number] = rank
        box = boxes[number - 1]
        inside = components[box] == number
        voxels = np.argwhere(inside) + [part.start for part in box]
        target = int(labelled[tuple(voxels[0])]) - 1
        places.append(
            Place(
                rank=rank,
                target=targets[target],
                distance_mm=marks[target].nearest_mm(voxels),
                at_border=bool(at_border[number]),
                **_measure(voxels, chance[box][inside], geometry),
            )
        )
    return places, ranks[components]


def _touching(components: NDArray[np.integer], labelled: NDArray[np.uint8], masks: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Which components have a neighbour, by face, edge or corner, that is marked as their target: bool ``(count + 1,)``."""
    touching = np.zeros(count + 1, bool)
    if count:
        box = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in bounding_box(labelled > 0))
        for number, mask in enumerate(masks, start=1):
            beside = ndimage.binary_dilation(mask[box], np.ones((3, 3, 3)))
            touching[components[box][beside & (labelled[box] == number)]] = True
    return touching


class _Marks:
    """What is marked as a target, to be asked for distances."""

    def __init__(self, mask: NDArray[np.bool_], geometry: Geometry) -> None:
        self._mask = mask
        self._affine = geometry.affine
        self._tree: KDTree | None = None

    def nearest_mm(self, voxels: NDArray[np.int64]) -> float | None:
        """Distance from the nearest of the voxels to the nearest marked one; None if none is marked."""
        if self._tree is None:
            if not self._mask.any():
                return None
            box = bounding_box(self._mask)
            inner = self._mask[box]
            border = np.argwhere(inner & ~ndimage.binary_erosion(inner)) + [part.start for part in box]
            self._tree = KDTree(_to_mm(border, self._affine))
        return float(self._tree.query(_to_mm(voxels, self._affine))[0].min())


def _measure(voxels: NDArray[np.int64], chance: NDArray[np.float32], geometry: Geometry) -> dict[str, Any]:
    """Where a place lies, how large and how likely it is."""
    middle = np.average(voxels, axis=0, weights=chance)
    voxel = voxels[((voxels - middle) ** 2 @ np.square(geometry.spacing_mm)).argmin()]
    voxel_mm3 = float(abs(np.linalg.det(geometry.affine[:3, :3])))
    volume = len(voxels) * voxel_mm3
    flat = geometry.shape[2] == 1
    diameter = np.sqrt(4 / np.pi * volume / geometry.spacing_mm[2]) if flat else np.cbrt(6 / np.pi * volume)
    return {
        "position_mm": tuple(_to_mm(voxel[None], geometry.affine)[0].tolist()),
        "voxel": tuple(voxel.tolist()),
        "voxels": len(voxels),
        "volume_mm3": volume,
        "diameter_mm": float(diameter),
        "probability": float(chance.max()),
        "mean_probability": float(chance.mean()),
        "expected_mm3": float(chance.sum()) * voxel_mm3,
    }


def _to_mm(voxels: NDArray[np.int64], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(voxels @ affine[:3, :3].T + affine[:3, 3])
