"""Every figure of one case and target, with what empty masks give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from crgan.evaluation.overlap import Mask, compare
from crgan.evaluation.surface import surface_distances

Empty = Literal["null", "brats"]
Metrics = dict[str, float | None]

OVERLAP = ("dice", "iou", "sensitivity", "specificity", "precision", "fnr", "fpr")
DISTANCES = ("hausdorff_mm", "hd95_mm", "assd_mm")
BRATS_WORST_MM = 373.13  # the diagonal of BraTS's 240 × 240 × 155 mm, which the challenge gives for a missing surface


def measure(
    prediction: Mask,
    truth: Mask,
    *,
    spacing_mm: Sequence[float],
    empty: Empty = "null",
    foreground: Mask | None = None,
    within: Mask | None = None,
) -> Metrics:
    """Compare the mask of one target with the truth.

    Parameters
    ----------
    prediction, truth
        Bool arrays of one shape.
    spacing_mm
        Distance of neighbouring voxels along each axis.
    empty
        ``"null"``: where the truth is empty, agreement and distances are None and only false positives count; where
        only the prediction is, agreement is 0 and distances are None. ``"brats"``: both empty give 1 and 0 mm,
        one empty gives 0 and 373.13 mm, as in the BraTS challenge.
    foreground
        Where the body is; adds ``fpr_foreground``, the false positive rate there.
    within
        Where the truth is known; all else is left out of every figure. None: everywhere.

    Returns
    -------
    dict
        Value by metric: :data:`OVERLAP`, :data:`DISTANCES`, ``truth_mm3`` and ``false_positive_mm3``. None where undefined.
    """
    if within is not None:
        prediction, truth = prediction & within, truth & within
    overlap = compare(prediction, truth, within=within)
    metrics: Metrics = {name: getattr(overlap, name) for name in OVERLAP}
    if foreground is not None:
        inside = foreground if within is None else foreground & within
        metrics["fpr_foreground"] = compare(prediction, truth, within=inside).fpr
    distances = surface_distances(prediction, truth, spacing_mm=spacing_mm)
    metrics |= {name: None if distances is None else getattr(distances, name) for name in DISTANCES}
    true = overlap.true_positives + overlap.false_negatives
    if empty == "brats" and distances is None:
        both_empty = true + overlap.false_positives == 0
        metrics |= dict.fromkeys(("dice", "iou"), float(both_empty))
        metrics |= dict.fromkeys(DISTANCES, 0.0 if both_empty else BRATS_WORST_MM)
    voxel_mm3 = float(np.prod(spacing_mm))
    return metrics | {"truth_mm3": true * voxel_mm3, "false_positive_mm3": overlap.false_positives * voxel_mm3}
