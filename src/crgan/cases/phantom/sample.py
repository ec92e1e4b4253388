"""What a phantom is before it becomes files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from numpy.typing import NDArray

from crgan.cases.labels import LabelScheme

Spatial = Literal["volumes", "pictures"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What all phantoms of a kind have in common.

    Parameters
    ----------
    name
        What ``crgan phantom`` calls it.
    modalities
        Names of the channels.
    labels
        What the label values mean.
    spatial
        Volumes in millimetres, or pictures.
    """

    name: str
    modalities: tuple[str, ...]
    labels: LabelScheme
    spatial: Spatial


@dataclass(frozen=True, slots=True, kw_only=True)
class Phantom:
    """One examination.

    Parameters
    ----------
    name
        The case id.
    images
        ``(modalities, Z, Y, X)``, x to the right, y to the front, z up; of a picture ``(modalities, rows, columns)``.
    labels
        The same shape without the modalities: label values, or the ids of instances.
    spacing_mm
        Along z, y and x; 1 along the rows and columns of a picture.
    movie, frame
        Of which movie this is one frame, and which.
    parents
        In movies, the id of the cell that each new cell came from by division.
    """

    name: str
    images: NDArray[Any]
    labels: NDArray[Any]
    spacing_mm: tuple[float, ...]
    movie: str | None = None
    frame: int = 0
    parents: Mapping[int, int] = field(default_factory=dict)

    @property
    def patient(self) -> str:
        """Whose it is: all frames of a movie belong together."""
        return self.movie or self.name
