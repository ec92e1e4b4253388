"""Which system is best, and whether it would still be with other patients.

Reference: Wiesenfarth et al., "Methods and open-source toolkit for analyzing and visualizing challenge results", 2021.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crgan.evaluation.statistics import FEWEST_PATIENTS, patient_draws

_LOWER_IS_BETTER = {
    *("fnr", "fpr", "fpr_foreground", "voe", "fdr", "lesion_false_alarms"),
    *("fnr_matched", "fpr_matched", "fnr_best", "fpr_best", "curve_area"),
}
_NO_ORDER = {"rvd", "truth_mm3", "lesions"}


def is_ranked(metric: str) -> bool:
    """Whether more or less of a metric is better at all: a volume difference is best at 0, and a number of true lesions is no merit."""
    counts_truth = metric.startswith("lesions_") and not metric.startswith("lesions_missed")
    return metric not in _NO_ORDER and not counts_truth


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value of a metric is a better one."""
    return metric in _LOWER_IS_BETTER or metric.startswith("lesions_missed") or "_mm" in metric


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """Where a system stands.

    Parameters
    ----------
    system
        Its name.
    mean
        Of the metric, over the patients for whom all systems have a value.
    rank
        1 is best; equal means share the better rank.
    rank_low, rank_high
        Between which ranks it falls in 95 % of the bootstrap samples of patients; None for fewer than three patients.
    first
        Share of the bootstrap samples in which no system is better; None for fewer than three patients.
    n
        Patients.
    """

    system: str
    mean: float
    rank: int
    rank_low: int | None
    rank_high: int | None
    first: float | None
    n: int


def rank_systems(values: Mapping[str, Sequence[float | None]], patients: Sequence[str], *, lower_better: bool) -> list[Rank]:
    """Rank systems by their mean over patients, the best first.

    Parameters
    ----------
    values
        A metric of each case by system; a case in which any system has None is left out for all.
    patients
        Whose each case is; a patient counts once, with the mean of its cases.
    lower_better
        Whether a smaller value is a better one.

    Returns
    -------
    list of Rank
        Empty if there is no patient for whom all systems have a value.
    """
    table = np.array([[np.nan if value is None else value for value in column] for column in values.values()], np.float64)
    complete = ~np.isnan(table).any(axis=0)
    if not complete.any():
        return []
    names, owner = np.unique(np.array(patients)[complete], return_inverse=True)
    cases = np.bincount(owner)
    by_patient = np.stack([np.bincount(owner, column[complete]) / cases for column in table])  # (systems, patients)
    means = by_patient.mean(axis=1)
    ranks = _ranks(means, lower_better=lower_better)
    low = high = first = None
    if names.size >= FEWEST_PATIENTS:
        resampled = _ranks(patient_draws(names.size) @ by_patient.T / names.size, lower_better=lower_better)
        low, high = np.percentile(resampled, [2.5, 97.5], axis=0, method="inverted_cdf").astype(int)
        first = (resampled == 1).mean(axis=0)
    found = [
        Rank(
            system=system,
            mean=float(means[index]),
            rank=int(ranks[index]),
            rank_low=None if low is None else int(low[index]),
            rank_high=None if high is None else int(high[index]),
            first=None if first is None else float(first[index]),
            n=names.size,
        )
        for index, system in enumerate(values)
    ]
    return sorted(found, key=lambda rank: rank.rank)


def _ranks(means: NDArray[np.float64], *, lower_better: bool) -> NDArray[np.int64]:
    """Rank along the last axis: 1 + the number of systems that are better by more than rounding."""
    signed = means if lower_better else -means
    better = signed[..., None, :] < signed[..., :, None] - 1e-12
    return 1 + np.asarray(better.sum(axis=-1), np.int64)
