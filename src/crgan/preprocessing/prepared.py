"""An image as the networks take it, and the way back to the grid it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, int, int]
Spacing = tuple[float, float, float]
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedGeometry:
    """Where a prepared array lies on the canonical grid it was made from.

    Parameters
    ----------
    shape, spacing_mm
        Size and voxel size of the prepared array, ``(z, y, x)``.
    box
        The part of the original grid that it covers, as slices along Z, Y and X.
    original_shape, original_spacing_mm
        Size and voxel size of the original grid, ``(Z, Y, X)``.
    """

    shape: Shape
    spacing_mm: Spacing
    box: Box
    original_shape: Shape
    original_spacing_mm: Spacing

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {
            "shape": list(self.shape),
            "spacing_mm": list(self.spacing_mm),
            "box": [[part.start, part.stop] for part in self.box],
            "original_shape": list(self.original_shape),
            "original_spacing_mm": list(self.original_spacing_mm),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PreparedGeometry:
        """Read what :meth:`to_json` wrote."""
        z, y, x = (slice(int(start), int(stop)) for start, stop in data["box"])
        return cls(
            shape=three_sizes(data["shape"]),
            spacing_mm=three_lengths(data["spacing_mm"]),
            box=(z, y, x),
            original_shape=three_sizes(data["original_shape"]),
            original_spacing_mm=three_lengths(data["original_spacing_mm"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """An image as the networks take it.

    Parameters
    ----------
    image
        ``(M, z, y, x)``, float32; float16 where that was asked for and is enough.
    label
        uint8 codes ``(z, y, x)``, or None.
    geometry
        The way back.
    """

    image: NDArray[np.float16 | np.float32]
    label: NDArray[np.uint8] | None
    geometry: PreparedGeometry


def three_sizes(values: Sequence[int]) -> Shape:
    """Turn three numbers into a typed shape."""
    z, y, x = (int(value) for value in values)
    return z, y, x


def three_lengths(values: Sequence[float]) -> Spacing:
    """Turn three numbers into a typed spacing."""
    z, y, x = (float(value) for value in values)
    return z, y, x
