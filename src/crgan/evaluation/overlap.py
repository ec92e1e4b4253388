"""How far two masks cover each other: Dice, Jaccard, sensitivity, and the rates of misses and false alarms.

References: Taha and Hanbury, "Metrics for evaluating 3D medical image segmentation", 2015; VOE and RVD as in Heimann
et al., "Comparison and evaluation of methods for liver segmentation from CT datasets", 2009.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Numbers of voxels, and the measures made of them.

    A measure whose denominator counts no voxel is None: nothing can be said then. The measures of agreement
    (``dice``, ``iou``, ``voe``) are None as well when the truth is empty, whatever was predicted, since they would be
    0 for one false voxel and for a million alike; the false positives are what tells these apart.

    Parameters
    ----------
    true_positives, false_positives, false_negatives, true_negatives
        Voxels in both masks, in the prediction alone, in the truth alone, in neither.
    """

    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int

    @property
    def dice(self) -> float | None:
        """2 TP / (2 TP + FP + FN): 1 is perfect, 0 is no voxel in common. An empty prediction of something gives 0."""
        return self._unless_truth_empty(2 * self.true_positives, 2 * self.true_positives + self.false_positives + self.false_negatives)

    @property
    def iou(self) -> float | None:
        """TP / (TP + FP + FN), the Jaccard index."""
        return self._unless_truth_empty(self.true_positives, self.true_positives + self.false_positives + self.false_negatives)

    @property
    def voe(self) -> float | None:
        """1 − IoU, the volumetric overlap error: 0 is perfect, 1 is no voxel in common."""
        iou = self.iou
        return None if iou is None else 1 - iou

    @property
    def rvd(self) -> float | None:
        """(FP − FN) / (TP + FN), the relative volume difference: negative if too little is marked, −1 for an empty prediction."""
        return _ratio(self.false_positives - self.false_negatives, self.true_positives + self.false_negatives)

    @property
    def sensitivity(self) -> float | None:
        """TP / (TP + FN): the share of the truth that was found."""
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def fnr(self) -> float | None:
        """FN / (TP + FN): the share of the truth that was missed, 1 − sensitivity."""
        return _ratio(self.false_negatives, self.true_positives + self.false_negatives)

    @property
    def specificity(self) -> float | None:
        """TN / (TN + FP): the share of what is not truth that was left alone."""
        return _ratio(self.true_negatives, self.true_negatives + self.false_positives)

    @property
    def fpr(self) -> float | None:
        """FP / (TN + FP): the share of what is not truth that was marked, 1 − specificity."""
        return _ratio(self.false_positives, self.true_negatives + self.false_positives)

    @property
    def precision(self) -> float | None:
        """TP / (TP + FP): the share of the prediction that is right; None for an empty prediction."""
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def fdr(self) -> float | None:
        """FP / (TP + FP), the false discovery rate: the share of the prediction that is wrong; None for an empty prediction."""
        return _ratio(self.false_positives, self.true_positives + self.false_positives)

    def _unless_truth_empty(self, numerator: int, denominator: int) -> float | None:
        return _ratio(numerator, denominator) if self.true_positives + self.false_negatives else None


def compare(prediction: Mask, truth: Mask, *, within: Mask | None = None) -> Overlap:
    """Count the voxels in which a prediction and the truth agree and differ.

    Parameters
    ----------
    prediction, truth
        Bool arrays of one shape, any number of dimensions.
    within
        Count only the voxels of this mask, for example the foreground of an image; None counts the whole grid.

    Returns
    -------
    Overlap
        The counts and, as properties, the measures. For empty masks see there.

    Raises
    ------
    ValueError
        If an array is not bool or the shapes differ.
    """
    masks = [prediction, truth] if within is None else [prediction, truth, within]
    check_masks(*masks)
    if within is not None:
        prediction, truth = prediction[within], truth[within]
    both = int(np.count_nonzero(prediction & truth))
    predicted, true = int(np.count_nonzero(prediction)), int(np.count_nonzero(truth))
    return Overlap(
        true_positives=both,
        false_positives=predicted - both,
        false_negatives=true - both,
        true_negatives=truth.size - predicted - true + both,
    )


def check_masks(*masks: Mask) -> None:
    """Raise ``ValueError`` unless all arrays are bool and of one shape."""
    for mask in masks:
        if mask.dtype != np.bool_ or mask.shape != masks[0].shape:
            message = f"masks must be bool and of one shape; got {', '.join(f'{m.dtype} {m.shape}' for m in masks)}"
            raise ValueError(message)


def _ratio(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None
