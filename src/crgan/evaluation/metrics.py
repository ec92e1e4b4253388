"""Every figure of one case and target, with what empty masks give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from crgan.evaluation.instances import average_precision, det, mean_average_precision, panoptic_quality, seg
from crgan.evaluation.lesions import Lesions, compare_lesions
from crgan.evaluation.objects import find_meetings
from crgan.evaluation.overlap import Mask, compare
from crgan.evaluation.surface import surface_distances

Empty = Literal["null", "brats"]
Metrics = dict[str, float | None]
GROUPS = ("distances", "lesions")
"""What can be left out."""

OVERLAP = ("dice", "iou", "sensitivity", "specificity", "precision", "fnr", "fpr", "voe", "rvd", "fdr")
DISTANCES = ("hausdorff_mm", "hd95_mm", "assd_mm", "mssd_mm")
LESIONS = ("lesions", "lesions_missed", "lesion_sensitivity", "lesion_precision", "lesion_f1", "lesion_false_alarms")
SIZE_CLASS = ("lesions", "lesions_missed", "lesion_sensitivity", "lesion_dice", "lesion_assd_mm")
INSTANCES = ("seg", "det", "ap_50", "ap_75", "ap_50_95", "pq")
CALIBRATION = ("ece", "brier")
BRATS_WORST_MM = 373.13  # the diagonal of BraTS's 240 × 240 × 155 mm, which the challenge gives for a missing surface


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What to measure, and by which conventions.

    Parameters
    ----------
    empty
        ``"null"``: where the truth is empty, agreement and distances are None and only false positives count; where
        only the prediction is, agreement is 0 and distances are None. ``"brats"``: both empty give 1 and 0 mm,
        one empty gives 0 and 373.13 mm, as in the BraTS challenge.
    tolerance_mm
        How far apart two surfaces may lie and still count as one (``nsd``).
    lesion_splits_mm
        Diameters that divide lesions into size classes, ascending; LiTS divides at 10 mm.
    without
        Groups of figures to leave out, of :data:`GROUPS`.
    """

    empty: Empty = "null"
    tolerance_mm: float = 1.0
    lesion_splits_mm: tuple[float, ...] = (10.0,)
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.without) - set(GROUPS)):
            message = f"without may name {' and '.join(GROUPS)}; got {', '.join(unknown)}"
            raise ValueError(message)
        if not (math.isfinite(self.tolerance_mm) and self.tolerance_mm >= 0):
            message = f"tolerance_mm must be 0 or more; got {self.tolerance_mm}"
            raise ValueError(message)
        if not all(low < high for low, high in pairwise((0, *self.lesion_splits_mm, math.inf))):
            message = f"lesion_splits_mm must be diameters above 0, ascending; got {self.lesion_splits_mm}"
            raise ValueError(message)


DEFAULT = Choices()


def measure(
    prediction: Mask,
    truth: Mask,
    *,
    spacing_mm: Sequence[float],
    choices: Choices = DEFAULT,
    foreground: Mask | None = None,
    within: Mask | None = None,
    lesions: Lesions | None = None,
) -> Metrics:
    """Compare the mask of one target with the truth.

    Parameters
    ----------
    prediction, truth
        Bool arrays of one shape.
    spacing_mm
        Distance of neighbouring voxels along each axis.
    choices
        What to measure.
    foreground
        Where the body is, for ``fpr_foreground``, the false positive rate there; None without it.
    within
        Where the truth is known; all else is left out of every figure. None: everywhere.
    lesions
        Those of these masks, if they have been compared already; None compares them.

    Returns
    -------
    dict
        Value by metric: :data:`OVERLAP`, ``fpr_foreground``, :data:`DISTANCES`, ``nsd``, :data:`LESIONS`, :data:`SIZE_CLASS` for
        each size class (``lesion_dice_under_10mm``), ``truth_mm3`` and ``false_positive_mm3``. None where undefined.
    """
    if within is not None:
        prediction, truth = prediction & within, truth & within
    overlap = compare(prediction, truth, within=within)
    metrics: Metrics = {name: getattr(overlap, name) for name in OVERLAP}
    metrics["fpr_foreground"] = None
    if foreground is not None:
        inside = foreground if within is None else foreground & within
        metrics["fpr_foreground"] = compare(prediction, truth, within=inside).fpr
    true, predicted = overlap.true_positives + overlap.false_negatives, overlap.true_positives + overlap.false_positives
    if choices.empty == "brats" and not (true and predicted):
        metrics |= dict.fromkeys(("dice", "iou"), float(true == predicted))
        metrics["voe"] = float(true != predicted)
    if "distances" not in choices.without:
        metrics |= _distances(prediction, truth, spacing_mm, choices, true=true, predicted=predicted)
    if "lesions" not in choices.without:
        metrics |= _lesions(lesions or compare_lesions(prediction, truth, spacing_mm=spacing_mm), choices.lesion_splits_mm)
    voxel_mm3 = math.prod(spacing_mm)
    return metrics | {"truth_mm3": true * voxel_mm3, "false_positive_mm3": overlap.false_positives * voxel_mm3}


def measure_instances(prediction: NDArray[Any], truth: NDArray[Any], *, within: Mask | None = None) -> Metrics:
    """Compare the objects of two maps of ids, 0 for background.

    Returns
    -------
    dict
        :data:`INSTANCES`. Without true objects all are None; without predicted ones all are 0.
    """
    if within is not None:
        prediction, truth = np.where(within, prediction, 0), np.where(within, truth, 0)
    meetings = find_meetings(prediction, truth)
    return {
        "seg": seg(meetings),
        "det": det(meetings),
        "ap_50": average_precision(meetings, iou=0.5),
        "ap_75": average_precision(meetings, iou=0.75),
        "ap_50_95": mean_average_precision(meetings),
        "pq": panoptic_quality(meetings),
    }


def _distances(prediction: Mask, truth: Mask, spacing_mm: Sequence[float], choices: Choices, *, true: int, predicted: int) -> Metrics:
    distances = surface_distances(prediction, truth, spacing_mm=spacing_mm)
    metrics: Metrics = dict.fromkeys(DISTANCES)
    metrics["nsd"] = 0.0 if true else None
    if distances is not None:
        metrics = {name: getattr(distances, name) for name in DISTANCES}
        metrics["nsd"] = distances.nsd(choices.tolerance_mm)
    elif choices.empty == "brats":
        metrics = dict.fromkeys(DISTANCES, 0.0 if true == predicted else BRATS_WORST_MM)
        metrics["nsd"] = float(true == predicted)
    return metrics


def _lesions(lesions: Lesions, splits_mm: Sequence[float]) -> Metrics:
    metrics: Metrics = {
        "lesions": lesions.count,
        "lesions_missed": lesions.missed,
        "lesion_sensitivity": lesions.sensitivity,
        "lesion_precision": lesions.precision,
        "lesion_f1": lesions.f1,
        "lesion_false_alarms": lesions.false_alarms,
    }
    for low, high in pairwise((0, *splits_mm, math.inf)):
        of_size = lesions.of_size(low, high)
        values = (of_size.count, of_size.missed, of_size.sensitivity, of_size.mean_dice, of_size.mean_assd_mm)
        metrics |= {f"{name}_{size_class(low, high)}": value for name, value in zip(SIZE_CLASS, values, strict=True)}
    return metrics


def size_class(low_mm: float, high_mm: float) -> str:
    """Name the diameters in ``[low_mm, high_mm)``: ``under_10mm``, ``5_to_10mm``, ``from_10mm``."""
    if not low_mm:
        return "any_size" if math.isinf(high_mm) else f"under_{high_mm:g}mm"
    return f"from_{low_mm:g}mm" if math.isinf(high_mm) else f"{low_mm:g}_to_{high_mm:g}mm"
