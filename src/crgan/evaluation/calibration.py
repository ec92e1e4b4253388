"""Whether probabilities mean what they say: of the voxels given 0.8, eight in ten should be the target.

References: Brier, "Verification of forecasts expressed in terms of probability", 1950; Guo et al., "On calibration of
modern neural networks", 2017 (expected calibration error, here of the target's probability and not of the winning class).

Everything is counted over voxels. In a volume that is mostly background nearly all voxels are rightly given nearly 0, and
any model looks calibrated; ``within`` restricts the count, for example to the foreground.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crgan.evaluation.overlap import Mask

BINS = 15


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """Voxels by their probability, in bins of equal width, the upper end of each in it; of several cases: add them up.

    Parameters
    ----------
    voxels
        Voxels of each bin, ``(bins,)``.
    probability
        Sum of their probabilities, ``(bins,)``.
    positives
        Those of them that are the target, ``(bins,)``.
    squared_error
        Sum over all voxels of the squared difference between probability and truth.
    """

    voxels: NDArray[np.int64]
    probability: NDArray[np.float64]
    positives: NDArray[np.int64]
    squared_error: float

    def __add__(self, other: Reliability) -> Reliability:
        return Reliability(
            self.voxels + other.voxels,
            self.probability + other.probability,
            self.positives + other.positives,
            self.squared_error + other.squared_error,
        )

    @property
    def brier(self) -> float | None:
        """Mean squared difference between probability and truth: 0 is perfect, 0.25 is 0.5 everywhere. None without voxels."""
        total = int(self.voxels.sum())
        return self.squared_error / total if total else None

    @property
    def ece(self) -> float | None:
        """Expected calibration error: mean over voxels of the gap between probability and share of positives in their bin."""
        total = int(self.voxels.sum())
        return float(np.abs(self.probability - self.positives).sum() / total) if total else None

    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean probability and share of positives of every bin that holds a voxel."""
        filled = self.voxels > 0
        return self.probability[filled] / self.voxels[filled], self.positives[filled] / self.voxels[filled]


def reliability(probability: NDArray[np.floating], truth: Mask, *, within: Mask | None = None, bins: int = BINS) -> Reliability:
    """Count voxels by their probability.

    Parameters
    ----------
    probability
        In [0, 1], any shape.
    truth
        Bool, same shape.
    within
        Count only the voxels of this mask; None counts the whole grid.
    bins
        Number of bins of equal width.

    Raises
    ------
    ValueError
        If the shapes differ, the truth is not bool, or a probability lies outside [0, 1].
    """
    if truth.dtype != np.bool_ or truth.shape != probability.shape or (within is not None and within.shape != truth.shape):
        message = f"truth must be bool and of the probability's shape {probability.shape}; got {truth.dtype} {truth.shape}"
        raise ValueError(message)
    inside = slice(None) if within is None else within
    values, true = probability[inside].ravel().astype(np.float64), truth[inside].ravel()
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        message = f"probabilities must lie in [0, 1]; got {values.min():g} to {values.max():g}"
        raise ValueError(message)
    place = np.clip(np.ceil(values * bins).astype(np.int64) - 1, 0, bins - 1)
    return Reliability(
        voxels=np.bincount(place, minlength=bins),
        probability=np.bincount(place, values, minlength=bins).astype(np.float64),
        positives=np.bincount(place[true], minlength=bins),
        squared_error=float(((values - true) ** 2).sum()),
    )


def reliability_of_counts(
    probability: NDArray[np.floating], *, negatives: NDArray[np.int64], positives: NDArray[np.int64], bins: int = BINS
) -> Reliability:
    """Count voxels by their probability, of which many may have the same.

    Parameters
    ----------
    probability
        ``(N,)`` in [0, 1].
    negatives, positives
        How many voxels of each probability are not the target, and how many are, ``(N,)``.
    bins
        Number of bins of equal width.
    """
    values = probability.astype(np.float64)
    place = np.clip(np.ceil(values * bins).astype(np.int64) - 1, 0, bins - 1)
    voxels = negatives + positives
    return Reliability(
        voxels=np.bincount(place, voxels, minlength=bins).astype(np.int64),
        probability=np.bincount(place, values * voxels, minlength=bins).astype(np.float64),
        positives=np.bincount(place, positives, minlength=bins).astype(np.int64),
        squared_error=float(negatives @ values**2 + positives @ (1 - values) ** 2),
    )
