"""What is known of a case once its files were read: figures for people, and evidence for comparing it with other cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from crgan.errors import Problem

PERCENTILES = (0.5, 50.0, 99.5)
"""The percentiles a :class:`ChannelSummary` holds of all voxels."""

FOREGROUND_PERCENTILES = (5.0, 25.0, 50.0, 75.0, 95.0)
"""Those it holds of the foreground."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSummary:
    """Intensities of one channel of a case.

    Parameters
    ----------
    minimum, maximum, mean
        Of all finite voxels; 0 if there are none.
    percentiles
        The 0.5th, 50th and 99.5th, estimated from evenly spaced voxels.
    foreground
        The 5th, 25th, 50th, 75th and 95th of the voxels that are not background, estimated likewise. Background is the value that
        most voxels have, if at least a fifth of them have it.
    """

    minimum: float
    maximum: float
    mean: float
    percentiles: tuple[float, float, float]
    foreground: tuple[float, ...] = (0.0,) * len(FOREGROUND_PERCENTILES)


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetSummary:
    """One class or region in the label of a case.

    Parameters
    ----------
    name
        Of the class or region.
    voxels
        How many belong to it.
    lesions
        Voxels of each of its connected pieces (26 neighbours in a volume, 8 in a picture), or of each instance, the largest first.
    holes
        Voxels of background that this target alone encloses (6 neighbours in a volume, 4 in a picture); 0 for instances.
    """

    name: str
    voxels: int
    lesions: tuple[int, ...]
    holes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseSummary:
    """What the files of a case hold.

    Parameters
    ----------
    case_id, patient_id
        As in :class:`crgan.cases.case.Case`.
    shape, spacing_mm, orientation, dimensions
        The grid of the first image file.
    dtype
        Type of its voxels, after scaling.
    channels
        Intensities, one a channel.
    label_voxels
        Voxels by label value, 0 included; None without a readable label.
    bytes_on_disk
        Of all files of the case.
    targets
        What the label marks; empty without a readable label, or where nobody knows what its values mean.
    """

    case_id: str
    patient_id: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    orientation: str
    dimensions: int
    dtype: str
    channels: tuple[ChannelSummary, ...]
    label_voxels: Mapping[int, int] | None
    bytes_on_disk: int
    targets: tuple[TargetSummary, ...] = ()

    @property
    def voxel_size(self) -> float:
        """Volume of a voxel in mm³; of a picture, the area of a pixel in mm²."""
        return float(np.prod(self.spacing_mm[: self.dimensions]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Probe:
    """Some places of a label map and just outside of it, to see whether an image changes from one to the other.

    Parameters
    ----------
    shape
        The grid.
    places
        int32 ``(N, 3)`` voxel indices.
    groups
        uint8 ``(N,)``: 0 just outside, otherwise the code of the label.
    """

    shape: tuple[int, int, int]
    places: NDArray[np.int32]
    groups: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What a case is compared with others by; it is not shown.

    Parameters
    ----------
    image_hashes
        SHA-256 of the voxels of each image file, decoded; None for an unreadable one.
    label_hash
        The same of what a label marks, and where; None for an empty one.
    units_guessable
        Whether the file's format has a field for units that programs fill in wrongly (NIfTI, NRRD, MetaImage).
    label_sound
        Whether the label could be read and holds no values but declared ones.
    probe
        Where the label lies; None for a small or an absent one.
    agreement
        How well the image agrees with the label: see :func:`crgan.cases.checks.pairing.agreement`.
    turned
        The same with the label turned in other ways, by what was done to it.
    contrast
        float ``(channels, codes)`` mean rank of the intensities just outside and in each class, by code; NaN where there is none.
    """

    image_hashes: tuple[str | None, ...] = ()
    label_hash: str | None = None
    units_guessable: bool = False
    label_sound: bool = False
    probe: Probe | None = None
    agreement: float | None = None
    turned: Mapping[str, float] = field(default_factory=dict)
    contrast: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inspection:
    """All that reading a case gave.

    Parameters
    ----------
    summary
        None if no image file could be read.
    problems
        What is wrong with the case by itself.
    evidence
        What can only be judged beside other cases.
    """

    summary: CaseSummary | None
    problems: tuple[Problem, ...]
    evidence: Evidence
