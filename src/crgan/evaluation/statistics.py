"""Means over patients, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

FEWEST_PATIENTS = 3  # below this, resampling shows next to nothing of how patients differ
RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Mean:
    """Mean of a metric over cases.

    Parameters
    ----------
    mean
        None if no case has a value.
    ci_low, ci_high
        95 % interval of the mean; None for fewer than :data:`FEWEST_PATIENTS` patients.
    n
        Cases that have a value.
    """

    mean: float | None
    ci_low: float | None
    ci_high: float | None
    n: int


def bootstrap_mean(values: Sequence[float | None], patients: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0) -> Mean:
    """Average over cases with a 95 % bootstrap interval over patients: bias-corrected and accelerated (BCa).

    Patients are drawn with replacement, each with all of its cases, since two examinations of one patient are not
    independent. The interval is expanded for small samples, as Student's is. References: Efron, "Better bootstrap
    confidence intervals", 1987; Hesterberg, "What teachers should know about the bootstrap", 2015. Where every patient
    has one case this is what ``scipy.stats.bootstrap`` gives at the expanded level; that draws anew for each metric, and
    takes a second to load.

    Parameters
    ----------
    values
        One per case; None is left out.
    patients
        Whose case it is; same length as ``values``.
    resamples, seed
        Number of draws, and the seed of their random numbers.
    """
    kept = [(patient, value) for patient, value in zip(patients, values, strict=True) if value is not None]
    if not kept:
        return Mean(mean=None, ci_low=None, ci_high=None, n=0)
    numbers = np.array([value for _, value in kept], np.float64)
    mean = float(numbers.mean())
    names, owner = np.unique([patient for patient, _ in kept], return_inverse=True)
    if names.size < FEWEST_PATIENTS:
        return Mean(mean=mean, ci_low=None, ci_high=None, n=numbers.size)
    totals, cases = np.bincount(owner, numbers), np.bincount(owner)
    drawn = patient_draws(names.size, resamples, seed)
    means = (drawn @ totals) / (drawn @ cases)
    without_one = (totals.sum() - totals) / (cases.sum() - cases)
    low, high = _bca_interval(mean, means, without_one)
    return Mean(mean=mean, ci_low=low, ci_high=high, n=numbers.size)


def _bca_interval(mean: float, means: NDArray[np.float64], without_one: NDArray[np.float64]) -> tuple[float, float]:
    """The expanded 95 % BCa interval from resampled means and from the means with each patient left out."""
    rounding = 1e-12 * max(1.0, abs(mean))
    if np.ptp(means) <= rounding:
        return mean, mean  # all patients are alike
    below = (np.mean(means < mean - rounding) + np.mean(means <= mean + rounding)) / 2
    bias = ndtri(below)
    away = without_one.mean() - without_one
    acceleration = (away**3).sum() / (6 * (away**2).sum() ** 1.5)
    # Resamples vary by (n - 1) / n too little, and normal quantiles are too near for few patients.
    n = without_one.size
    reach = math.sqrt(n / (n - 1)) * stdtrit(n - 1, 0.975)
    shifted = bias + np.array([-reach, reach])
    low, high = np.percentile(means, 100 * ndtr(bias + shifted / (1 - acceleration * shifted)))
    return float(low), float(high)


@lru_cache(maxsize=4)  # the same for nearly every metric and target
def patient_draws(patients: int, resamples: int = RESAMPLES, seed: int = 0) -> NDArray[np.float64]:
    """How often each of ``patients`` is drawn in each resample, ``(resamples, patients)``."""
    return np.random.default_rng(seed).multinomial(patients, np.full(patients, 1 / patients), size=resamples).astype(np.float64)
