"""Which objects of two label maps meet, and in how many voxels: what lesion-wise and instance-wise measures are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Meetings:
    """Sizes of the objects of two maps, and every pair of objects that share a voxel.

    Parameters
    ----------
    truth_sizes, prediction_sizes
        Voxels of each object, in the order of their ids, ``(n,)`` and ``(m,)``.
    truth, prediction
        Positions of the objects of each pair in ``truth_sizes`` and ``prediction_sizes``, ``(k,)``.
    shared
        Voxels that a pair has in common, ``(k,)``.
    """

    truth_sizes: Ids
    prediction_sizes: Ids
    truth: Ids
    prediction: Ids
    shared: Ids

    @property
    def iou(self) -> NDArray[np.float64]:
        """Jaccard index of each pair, ``(k,)``."""
        return self.shared / (self.truth_sizes[self.truth] + self.prediction_sizes[self.prediction] - self.shared)

    def intersection_over_truth(self) -> NDArray[np.float64]:
        """The share of the true object that a pair has in common, ``(k,)``."""
        return self.shared / self.truth_sizes[self.truth]


def find_meetings(prediction: NDArray[Any], truth: NDArray[Any]) -> Meetings:
    """Count the voxels of all objects and of all pairs of objects that meet.

    Parameters
    ----------
    prediction, truth
        Maps of object ids of one shape, whole numbers; 0 is background. Ids need not be consecutive, and an object need
        not hang together.

    Returns
    -------
    Meetings
        Without objects in a map its sizes are empty; without a common voxel there are no pairs.

    Raises
    ------
    ValueError
        If an array does not hold whole numbers from 0 up, or the shapes differ.
    """
    for ids in (prediction, truth):
        if ids.dtype.kind not in "ui" or ids.shape != truth.shape or (ids.dtype.kind == "i" and ids.size and ids.min() < 0):
            message = f"object ids must be whole numbers from 0 up, in maps of one shape; got {ids.dtype} {ids.shape}, {truth.shape}"
            raise ValueError(message)
    truth_ids, truth_sizes = np.unique(truth[truth > 0], return_counts=True)
    prediction_ids, prediction_sizes = np.unique(prediction[prediction > 0], return_counts=True)
    both = (truth > 0) & (prediction > 0)
    # One number for each pair of objects.
    pairs = np.searchsorted(truth_ids, truth[both]) * np.int64(max(prediction_ids.size, 1))
    pairs += np.searchsorted(prediction_ids, prediction[both])
    met, shared = np.unique(pairs, return_counts=True)
    of_truth, of_prediction = np.divmod(met, max(prediction_ids.size, 1))
    return Meetings(
        truth_sizes=truth_sizes.astype(np.int64),
        prediction_sizes=prediction_sizes.astype(np.int64),
        truth=of_truth,
        prediction=of_prediction,
        shared=shared.astype(np.int64),
    )
