"""Dice and false negative rate on whole validation volumes, on the prepared grid."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from crgan.cases.labels import LabelScheme
from crgan.evaluation.overlap import Overlap, compare
from crgan.preprocessing.stored import StoredCase


def truth_masks(case: StoredCase, labels: LabelScheme) -> NDArray[np.bool_]:
    """The expert's target masks of a prepared case, bool ``(K, Z, Y, X)``; empty where voxels are to be ignored."""
    label = case.label
    if label is None:
        message = f"case {case.case_id} has no label"
        raise ValueError(message)
    return labels.masks(label)


def compare_targets(masks: NDArray[np.bool_], case: StoredCase, labels: LabelScheme) -> list[Overlap]:
    """Compare masks ``(K, Z, Y, X)`` with the truth where it is known, target by target."""
    known = case.known
    return [compare(mask, true, within=known) for mask, true in zip(masks, truth_masks(case, labels), strict=True)]


def mean_scores(cases: Iterable[list[Overlap]]) -> dict[str, float]:
    """Mean Dice and FNR over cases, then over targets; 0 for a metric that no case defines."""
    overlaps = list(cases)
    means = {}
    for name in ("dice", "fnr"):
        table = np.array([[getattr(overlap, name) for overlap in case] for case in overlaps], dtype=float)  # None becomes NaN
        defined = table[:, ~np.isnan(table).all(axis=0)]
        means[name] = float(np.nanmean(defined, axis=0).mean()) if defined.size else 0.0
    return means
