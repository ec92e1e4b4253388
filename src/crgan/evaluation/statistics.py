"""Means over patients, and how sure they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FEWEST_PATIENTS = 3  # below this, resampling shows next to nothing of how patients differ


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


def bootstrap_mean(values: Sequence[float | None], patients: Sequence[str], *, resamples: int = 2000, seed: int = 0) -> Mean:
    """Average over cases with a 95 % percentile bootstrap interval over patients.

    Patients are drawn with replacement, each with all of its cases, since two examinations of one patient are not
    independent.

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
    numbers = np.array([value for _, value in kept])
    mean = float(numbers.mean())
    names, owner = np.unique([patient for patient, _ in kept], return_inverse=True)
    if names.size < FEWEST_PATIENTS:
        return Mean(mean=mean, ci_low=None, ci_high=None, n=numbers.size)
    drawn = _draws(names.size, resamples, seed)
    means = (drawn @ np.bincount(owner, numbers)) / (drawn @ np.bincount(owner))
    low, high = np.percentile(means, [2.5, 97.5])
    return Mean(mean=mean, ci_low=float(low), ci_high=float(high), n=numbers.size)


@lru_cache(maxsize=4)  # the same for nearly every metric and target
def _draws(patients: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each of ``patients`` is drawn in each resample, ``(resamples, patients)``."""
    return np.random.default_rng(seed).multinomial(patients, np.full(patients, 1 / patients), size=resamples).astype(np.float64)
