"""How many voxels were given each probability, by what was decided and what is true: all that a threshold can change, at once.

Probabilities are kept in half precision, so there are only some fifteen thousand of them, and the counts say for any number of
thresholds, exactly, what would be missed and falsely marked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crgan.conformal import LEVELS, levels_of
from crgan.evaluation.overlap import Mask, check_masks

Counts = NDArray[np.int64]

VALUES = np.arange(LEVELS, dtype=np.uint16).view(np.float16).astype(np.float32)
"""The probability of each level, ascending from 0 to 1."""


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Voxels of one target; of several images: add them up.

    Parameters
    ----------
    counts
        ``(2, 2, LEVELS)``: by decided or not, true or not, and the level of the probability.
    """

    counts: Counts

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.counts + other.counts)

    @property
    def positives(self) -> int:
        """Voxels of the truth."""
        return int(self.counts[:, 1].sum())

    def marked(self, p: Sequence[float], q: Sequence[float]) -> tuple[Counts, Counts]:
        """Count what settings (p, q) of the dial would mark.

        Parameters
        ----------
        p, q
            S of each: a voxel that was decided for stays unless 1 − its probability is above q; another is added from p on.

        Returns
        -------
        true, false
            ``(S,)`` each: marked voxels that are true, and that are not.
        """
        # Of each level, the voxels at it and above it; one more level that no voxel reaches.
        above = np.zeros((2, 2, LEVELS + 1), np.int64)
        above[..., :-1] = self.counts[..., ::-1].cumsum(axis=-1)[..., ::-1]
        added = np.searchsorted(VALUES, np.asarray(p, np.float32), side="left")
        kept = np.searchsorted(VALUES - 1, -np.asarray(q, np.float32), side="left")
        marked = above[0][:, added] + above[1][:, kept]
        return marked[1], marked[0]


def tally(probability: NDArray[np.floating], truth: Mask, *, decided: Mask, within: Mask | None = None) -> Tally:
    """Count the voxels of one image and target.

    Parameters
    ----------
    probability
        From 0 to 1, any shape.
    truth, decided
        Bool, same shape.
    within
        Count only the voxels of this mask; None counts the whole grid.

    Raises
    ------
    ValueError
        If a mask is not bool, or the shapes differ.
    """
    check_masks(truth, decided, *(() if within is None else (within,)))
    if probability.shape != truth.shape:
        message = f"probability and truth must be of one shape; got {probability.shape} and {truth.shape}"
        raise ValueError(message)
    inside = slice(None) if within is None else within
    kind = 2 * decided[inside].astype(np.int64) + truth[inside]
    places = kind * LEVELS + levels_of(probability[inside])
    return Tally(np.bincount(places.ravel(), minlength=4 * LEVELS).reshape(2, 2, LEVELS))
