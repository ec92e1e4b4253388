"""The last decision, once, with the dial (paper, Eq. 7)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def compose(
    decided: NDArray[np.bool_], missed: NDArray[np.floating], added: NDArray[np.floating], *, p: float, q: float
) -> NDArray[np.bool_]:
    """Correct a decision: ``z = clip(d - [FP > q] + [FN >= p], 0, 1)`` (Eq. 7).

    Parameters
    ----------
    decided
        The generator's decision, any shape.
    missed, added
        The refiner's false-negative and false-positive masks in [0, 1], same shape.
    p, q
        The dial: a voxel is added from ``FN >= p`` on and removed above ``FP > q``. Where both or neither fire the
        decision stays.

    Returns
    -------
    NDArray
        bool, same shape.
    """
    return np.asarray(decided.astype(np.int8) - (added > q) + (missed >= p) > 0)


def settle(masks: NDArray[np.bool_], corrected: NDArray[np.floating], *, exclusive: bool) -> NDArray[np.bool_]:
    """Settle which targets a voxel belongs to.

    Parameters
    ----------
    masks
        ``(K, ...)``, every target decided alone.
    corrected
        ``(K, ...)``, the corrected probabilities.
    exclusive
        Of several targets that exclude each other the one with the largest corrected probability wins (the first of
        equals); none leaves background. Of nested regions, listed outermost first, the outer takes in the inner.

    Returns
    -------
    NDArray
        ``(K, ...)`` bool.
    """
    if not exclusive:
        return np.asarray(np.logical_or.accumulate(masks[::-1], axis=0)[::-1])
    contenders = np.where(masks, corrected, -1.0)
    winner = contenders.argmax(axis=0)
    index = np.arange(len(masks)).reshape(-1, *[1] * (masks.ndim - 1))
    return np.asarray(masks & (index == winner))


def decide_corrected(
    decided: NDArray[np.bool_], corrected: NDArray[np.floating], *, p: float, q: float, exclusive: bool
) -> NDArray[np.bool_]:
    """Make the final masks from the generator's decision and the corrected probabilities, both ``(K, ...)``.

    ``P* = d (1 - FP) + (1 - d) FN`` holds FN where the decision left a voxel out and 1 - FP where it took it in, so
    both masks can be read back from it.
    """
    missed = np.where(decided, 0, corrected)
    added = np.where(decided, 1 - corrected, 0)
    return settle(compose(decided, missed, added, p=p, q=q), corrected, exclusive=exclusive)
