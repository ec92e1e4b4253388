"""The last decision, once, with the dial (paper, Eq. 7)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# The largest half-precision number below 1/2.
_BELOW_HALF = float(np.nextafter(np.float16(0.5), np.float16(0)))


def compose(
    decided: NDArray[np.bool_],
    missed: NDArray[np.floating],
    added: NDArray[np.floating],
    *,
    p: float | NDArray[np.floating],
    q: float | NDArray[np.floating],
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
    decided: NDArray[np.bool_], corrected: NDArray[np.floating], *, p: float | Sequence[float], q: float | Sequence[float], exclusive: bool
) -> NDArray[np.bool_]:
    """Make the final masks from the generator's decision and the corrected probabilities, both ``(K, ...)``.

    ``P* = d (1 - FP) + (1 - d) FN`` holds FN where the decision left a voxel out and 1 - FP where it took it in, so
    both masks can be read back from it. ``p`` and ``q`` are one number for all targets, or one for each.
    """
    ps, qs = (np.asarray(values, np.float32).reshape(-1, *[1] * (decided.ndim - 1)) for values in (p, q))
    corrected = corrected.astype(np.float32, copy=False)
    missed = np.where(decided, 0, corrected)
    added = np.where(decided, 1 - corrected, 0)
    return settle(compose(decided, missed, added, p=ps, q=qs), corrected, exclusive=exclusive)


def against_rivals(probabilities: NDArray[np.floating], decided: NDArray[np.bool_], *, exclusive: bool) -> NDArray[np.floating]:
    """What a generator without a refiner gives in place of P*, so that the dial acts on it.

    Parameters
    ----------
    probabilities
        ``(K, ...)``, the generator's.
    decided
        Its decision, same shape.
    exclusive
        Of targets that exclude each other each is held against its strongest rival, another target or the background:
        ``P / (P + rival)``. That is at least 1/2 exactly where the target was decided for, so that the neutral dial leaves the
        decision as it is, and a threshold t of it shifts the target's logit by ``log(t / (1 - t))``. Other targets' only rival
        is that they are absent: their probabilities are given back.

    Returns
    -------
    NDArray
        ``(K, ...)``, from 0 to 1.
    """
    if not exclusive:
        return probabilities
    values = probabilities.astype(np.float32, copy=False)
    background = np.maximum(1 - values.sum(axis=0), 0)
    best = values.max(axis=0)
    index = np.arange(len(values)).reshape(-1, *[1] * (values.ndim - 1))
    is_best = values.argmax(axis=0) == index
    second = np.where(is_best, 0, values).max(axis=0)
    rival = np.maximum(np.where(is_best, second, best), background)
    both = values + rival
    share = np.divide(values, both, out=np.zeros_like(values), where=both > 0)
    return np.asarray(np.where(decided, np.maximum(share, 0.5), np.minimum(share, _BELOW_HALF)))


def least_marked(p: float, *, targets: int, exclusive: bool) -> float:
    """Give a value that some map reaches wherever a voxel can be marked: a generator's probability, or a corrected one.

    Nothing is added below ``p``, and the generator decides for no target below 1/2. Of K targets that exclude each other and the
    background, one that holds its own against the strongest of the K others with a share of t has a probability of at least
    ``t / (K (1 - t) + t)``. A thousandth is taken off, for rounding.

    Parameters
    ----------
    p
        The dial's lowest: voxels are added from ``FN >= p`` on.
    targets, exclusive
        How many targets there are, and whether they exclude each other.
    """
    share = min(p, 0.5)
    return (share / (targets * (1 - share) + share) if exclusive else share) - 1e-3
