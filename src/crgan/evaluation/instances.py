"""How well objects were told apart: each object of the truth against each object of the prediction.

References: SEG, Maška et al., "A benchmark for comparison of cell tracking algorithms", 2014; DET, Matula et al., "Cell
tracking accuracy measurement based on comparison of acyclic oriented graphs", 2015; average precision, Caicedo et al.,
"Nucleus segmentation across imaging experiments: the 2018 Data Science Bowl", 2019; panoptic quality, Kirillov et al.,
"Panoptic segmentation", 2019.

Objects are matched by their voxels, so that each match is unique: by more than half of the true object (SEG, DET), or by
an IoU of more than a threshold that is at least one half (average precision, panoptic quality).
"""

from __future__ import annotations

import numpy as np

from crgan.evaluation.objects import Meetings

IOU_THRESHOLDS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
"""0.5, 0.55 … 0.95."""
_SPLIT, _MISS, _ALARM = 5, 10, 1  # what the Cell Tracking Challenge charges for mending each kind of mistake


def seg(meetings: Meetings) -> float | None:
    """SEG of the Cell Tracking Challenge: the mean over all true objects of the IoU with the object that matches.

    A predicted object matches if it holds more than half of the true object; a true object without one counts 0.

    Returns
    -------
    float or None
        None without true objects; 0 without predicted ones. The challenge takes the mean over the objects of all
        images of a sequence; this is the mean of one image or volume.
    """
    if not meetings.truth_sizes.size:
        return None
    return float(meetings.iou[meetings.intersection_over_truth() > 0.5].sum() / meetings.truth_sizes.size)


def det(meetings: Meetings) -> float | None:
    """DET of the Cell Tracking Challenge: 1 − the price of mending the detections, over that of adding every object by hand.

    A missed object costs 10, a predicted object that matches none 1, and one that matches k of them 5 (k − 1) splits; the
    price is no more than that of beginning from nothing.

    Returns
    -------
    float or None
        None without true objects; 0 without predicted ones.
    """
    objects = meetings.truth_sizes.size
    if not objects:
        return None
    matching = meetings.prediction[meetings.intersection_over_truth() > 0.5]
    held = np.bincount(matching, minlength=meetings.prediction_sizes.size)  # true objects that each predicted one matches
    price = _SPLIT * int((held[held > 1] - 1).sum()) + _MISS * (objects - matching.size) + _ALARM * int((held == 0).sum())
    return 1 - min(price, _MISS * objects) / (_MISS * objects)


def average_precision(meetings: Meetings, *, iou: float) -> float | None:
    """TP / (TP + FP + FN) of objects that match by an IoU above a threshold.

    Returns
    -------
    float or None
        None without true objects, whatever was predicted; 0 without predicted ones.

    Raises
    ------
    ValueError
        If the threshold is below one half: an object could match two.
    """
    if not 0.5 <= iou < 1:
        message = f"the IoU threshold must be from 0.5 up to below 1, so that matches are unique; got {iou}"
        raise ValueError(message)
    if not meetings.truth_sizes.size:
        return None
    matched = int(np.count_nonzero(meetings.iou > iou))
    return matched / (meetings.truth_sizes.size + meetings.prediction_sizes.size - matched)


def mean_average_precision(meetings: Meetings) -> float | None:
    """The mean of :func:`average_precision` over :data:`IOU_THRESHOLDS`, the score of the 2018 Data Science Bowl."""
    values = [average_precision(meetings, iou=iou) for iou in IOU_THRESHOLDS]
    return None if values[0] is None else float(np.mean([value for value in values if value is not None]))


def panoptic_quality(meetings: Meetings) -> float | None:
    """Sum of the IoU of matched objects (IoU > 0.5) over TP + FP / 2 + FN / 2: recognition × quality of what was recognised.

    Returns
    -------
    float or None
        None without true objects, whatever was predicted; 0 without predicted ones.
    """
    objects = meetings.truth_sizes.size
    if not objects:
        return None
    iou = meetings.iou
    return float(iou[iou > 0.5].sum() / ((objects + meetings.prediction_sizes.size) / 2))
