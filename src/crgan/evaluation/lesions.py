"""Which lesions were found, how well, and how many marks are false alarms.

A lesion is a connected component of the truth, a mark one of the prediction (26 neighbours in 3-D, 8 in 2-D). A lesion
is found if at least one of its voxels is marked, and a mark is a false alarm if none of its voxels is truth. That is the
rule of Carass et al., "Longitudinal multiple sclerosis lesion segmentation: Resource and challenge", 2017 (lesion true
and false positive rate). It is generous: a mark that covers everything finds all lesions. The Dice of each lesion tells
how well it was found.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from crgan.evaluation.objects import Meetings, find_meetings
from crgan.evaluation.overlap import Mask, check_masks
from crgan.evaluation.surface import bounding_box, surface_distances


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Lesions:
    """The lesions of a case and how each was found.

    Parameters
    ----------
    diameter_mm
        Of each lesion, ``(n,)``: of the ball of its volume, or of the disc of its area in 2-D.
    found
        Bool ``(n,)``.
    dice
        Of each lesion and all marks that touch it, less what of them lies in other lesions, ``(n,)``; 0 where missed.
    assd_mm
        Average symmetric surface distance of each lesion and the marks that touch it, ``(n,)``; NaN where missed, and
        where one of these marks touches another lesion too: its surface is then not that of one lesion.
    marks, false_alarms
        Components of the prediction, and those of them that touch no lesion.
    """

    diameter_mm: NDArray[np.float64]
    found: NDArray[np.bool_]
    dice: NDArray[np.float64]
    assd_mm: NDArray[np.float64]
    marks: int
    false_alarms: int

    @property
    def count(self) -> int:
        """Lesions of the truth."""
        return self.found.size

    @property
    def missed(self) -> int:
        """Lesions of which no voxel was marked."""
        return int(np.count_nonzero(~self.found))

    @property
    def sensitivity(self) -> float | None:
        """The share of the lesions that was found; None without lesions."""
        return float(self.found.mean()) if self.count else None

    @property
    def precision(self) -> float | None:
        """The share of the marks that touch a lesion; None without marks."""
        return 1 - self.false_alarms / self.marks if self.marks else None

    @property
    def f1(self) -> float | None:
        """Harmonic mean of sensitivity and precision; None without lesions, 0 if none was found."""
        sensitivity, precision = self.sensitivity, self.precision
        if sensitivity is None:
            return None
        if not sensitivity or not precision:
            return 0.0
        return 2 * sensitivity * precision / (sensitivity + precision)

    def of_size(self, low_mm: float, high_mm: float) -> Lesions:
        """The lesions of a diameter in ``[low_mm, high_mm)``; the marks, which belong to no size, are left as they are."""
        chosen = (self.diameter_mm >= low_mm) & (self.diameter_mm < high_mm)
        return Lesions(
            diameter_mm=self.diameter_mm[chosen],
            found=self.found[chosen],
            dice=self.dice[chosen],
            assd_mm=self.assd_mm[chosen],
            marks=self.marks,
            false_alarms=self.false_alarms,
        )

    @property
    def mean_dice(self) -> float | None:
        """Mean Dice of the lesions, missed ones as 0; None without lesions."""
        return float(self.dice.mean()) if self.count else None

    @property
    def mean_assd_mm(self) -> float | None:
        """Mean surface distance of the lesions that have marks of their own; None if none has."""
        known = ~np.isnan(self.assd_mm)
        return float(self.assd_mm[known].mean()) if known.any() else None


def compare_lesions(prediction: Mask, truth: Mask, *, spacing_mm: Sequence[float]) -> Lesions:
    """Find out which lesions were found.

    Parameters
    ----------
    prediction, truth
        Bool arrays of one shape, with 2 or 3 dimensions.
    spacing_mm
        Distance of neighbouring voxels along each axis.

    Returns
    -------
    Lesions
        Without truth there are no lesions and every mark is a false alarm; without prediction every lesion is missed.

    Raises
    ------
    ValueError
        As :func:`crgan.evaluation.surface.surface_distances`.
    """
    check_masks(prediction, truth)
    # Distances are taken on crops: with a margin, a lesion of one slice in a volume is not taken for a picture.
    union = prediction | truth
    box = _with_margin(bounding_box(union), truth.shape) if union.any() else (slice(0, 1),) * union.ndim
    marks, lesions = (_components(mask[box]) for mask in (prediction, truth))
    meetings = find_meetings(marks, lesions)
    found = np.zeros(meetings.truth_sizes.size, bool)
    found[meetings.truth] = True
    touching = np.zeros(meetings.prediction_sizes.size, bool)
    touching[meetings.prediction] = True
    return Lesions(
        diameter_mm=_diameters_mm(meetings.truth_sizes, truth.shape, spacing_mm),
        found=found,
        dice=_dice(meetings),
        assd_mm=_assd_mm(marks, lesions, meetings, spacing_mm),
        marks=touching.size,
        false_alarms=int(np.count_nonzero(~touching)),
    )


def _with_margin(box: tuple[slice, ...], shape: Sequence[int]) -> tuple[slice, ...]:
    """A box that is a voxel wider on every side, as far as the grid reaches."""
    return tuple(slice(max(part.start - 1, 0), min(part.stop + 1, length)) for part, length in zip(box, shape, strict=True))


def _components(mask: Mask) -> NDArray[np.generic]:
    """Number the components that hang together by faces, edges or corners."""
    # Not as bool: cc3d 4.1.1 then invents pixels in pictures with 8 neighbours.
    return np.asarray(cc3d.connected_components(mask.view(np.uint8), connectivity=8 if mask.ndim == 2 else 26))


def _diameters_mm(sizes: NDArray[np.int64], shape: Sequence[int], spacing_mm: Sequence[float]) -> NDArray[np.float64]:
    edges = [edge for length, edge in zip(shape, spacing_mm, strict=True) if length > 1]  # a slice is no body
    measure = np.asarray(sizes * math.prod(edges), np.float64)
    if len(edges) == 3:
        measure = np.cbrt(6 / np.pi * measure)
    elif len(edges) == 2:
        measure = np.sqrt(4 / np.pi * measure)
    return measure


def _dice(meetings: Meetings) -> NDArray[np.float64]:
    """Dice of each lesion with the marks that touch it, as far as those lie in no other lesion."""
    count = meetings.truth_sizes.size
    in_lesions = np.bincount(meetings.prediction, meetings.shared, minlength=meetings.prediction_sizes.size)
    outside = meetings.prediction_sizes - in_lesions  # voxels of each mark that lie in no lesion at all
    common = np.bincount(meetings.truth, meetings.shared, minlength=count)
    marked = common + np.bincount(meetings.truth, outside[meetings.prediction], minlength=count)
    return np.asarray(2 * common / (meetings.truth_sizes + marked), np.float64)


def _assd_mm(
    marks: NDArray[np.generic], lesions: NDArray[np.generic], meetings: Meetings, spacing_mm: Sequence[float]
) -> NDArray[np.float64]:
    distances = np.full(meetings.truth_sizes.size, np.nan)
    lesions_met = np.bincount(meetings.prediction, minlength=meetings.prediction_sizes.size)
    own = np.ones(distances.size, bool)
    own[meetings.truth[lesions_met[meetings.prediction] > 1]] = False
    mark_boxes, lesion_boxes = ndimage.find_objects(marks), ndimage.find_objects(lesions)
    for lesion in np.unique(meetings.truth):
        if not own[lesion]:
            continue
        touching = meetings.prediction[meetings.truth == lesion]
        boxes = [lesion_boxes[lesion], *(mark_boxes[mark] for mark in touching)]
        box = tuple(slice(min(part.start for part in along), max(part.stop for part in along)) for along in zip(*boxes, strict=True))
        box = _with_margin(box, lesions.shape)
        surfaces = surface_distances(np.isin(marks[box], touching + 1), lesions[box] == lesion + 1, spacing_mm=spacing_mm)
        if surfaces is not None:
            distances[lesion] = surfaces.assd_mm
    return distances
