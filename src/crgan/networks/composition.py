"""From logits to a segmentation: the generator's decision, its errors, and their correction (paper, Eq. 5 to 7)."""

from __future__ import annotations

import torch
from torch import Tensor

# Where the generator's probabilities are held for certainty: its files keep 16 bits, and odds must stay finite.
_LEAST_DOUBT = 1e-3


def target_probabilities(logits: Tensor, *, exclusive: bool) -> Tensor:
    """Turn the generator's logits into a probability per target.

    Parameters
    ----------
    logits
        ``(..., K + 1, H, W)``, background first, if the targets exclude each other, else ``(..., K, H, W)``.
    exclusive
        Whether a pixel belongs to at most one target.

    Returns
    -------
    Tensor
        ``(..., K, H, W)``.
    """
    return logits.softmax(dim=-3).narrow(-3, 1, logits.shape[-3] - 1) if exclusive else logits.sigmoid()


def hard_decision(probabilities: Tensor, *, exclusive: bool) -> Tensor:
    """Decide each pixel from probabilities ``(..., K, H, W)``; bool, same shape.

    Exclusive targets compete with each other and with the background; others need at least one half each.
    """
    if not exclusive:
        return probabilities >= 0.5
    best, winner = probabilities.max(dim=-3, keepdim=True)
    background = 1 - probabilities.sum(dim=-3, keepdim=True)
    index = torch.arange(probabilities.shape[-3], device=probabilities.device).view(-1, 1, 1)
    return (winner == index) & (best > background)


def error_targets(truth: Tensor, decided: Tensor) -> tuple[Tensor, Tensor]:
    """What the refiner learns to see: ``FN = clip(y - d, 0, 1)`` and ``FP = clip(d - y, 0, 1)`` (Eq. 5 and 6)."""
    decided = decided.to(truth.dtype)
    return (truth - decided).clamp(0, 1), (decided - truth).clamp(0, 1)


def decision_odds(probabilities: Tensor, *, exclusive: bool) -> Tensor:
    """Log odds by which the generator takes a pixel in: positive where :func:`hard_decision` does, 0 where it wavers.

    Of targets that exclude each other, those against the strongest of the others and the background.

    Parameters
    ----------
    probabilities
        ``(..., K, H, W)`` in [0, 1].
    exclusive
        Whether a pixel belongs to at most one target.

    Returns
    -------
    Tensor
        ``(..., K, H, W)``, between -6.9 and 6.9: a generator that is sure must still be able to be wrong.
    """
    if not exclusive:
        return probabilities.clamp(_LEAST_DOUBT, 1 - _LEAST_DOUBT).logit()
    background = 1 - probabilities.sum(dim=-3, keepdim=True)
    logs = torch.cat([background, probabilities], dim=-3).clamp(_LEAST_DOUBT, 1 - _LEAST_DOUBT).log()
    rows = logs.unbind(dim=-3)
    rivals = [torch.stack([row for other, row in enumerate(rows) if other != one], dim=-3).amax(dim=-3) for one in range(1, len(rows))]
    return logs.narrow(-3, 1, len(rivals)) - torch.stack(rivals, dim=-3)


def on_doubts(errors: Tensor, probabilities: Tensor, *, exclusive: bool) -> Tensor:
    """Let the refiner begin from the generator's own doubts: its output is added to their log odds.

    A pixel that was left out is missed with the odds by which it was nearly taken in, and one that was taken in is
    over-segmented with the odds by which it was nearly left out. A refiner that says nothing changes no decision.

    Parameters
    ----------
    errors
        ``(..., 2K, H, W)``, the refiner's output.
    probabilities
        ``(..., K, H, W)``, the generator's, averaged over the planes.
    exclusive
        Whether a pixel belongs to at most one target.

    Returns
    -------
    Tensor
        ``(..., 2K, H, W)`` logits of the false-negative and the false-positive masks.
    """
    odds = decision_odds(probabilities, exclusive=exclusive)
    return errors + torch.cat([odds, -odds], dim=-3)


def corrected_logits(decided: Tensor, errors: Tensor) -> Tensor:
    """Logits of the corrected probability ``P* = d (1 - FP) + (1 - d) FN``.

    By Eq. 5 and 6 a pixel can be missed only where the decision ``d`` left it out and over-segmented only where it
    took it in, so each pixel reads just one of the two masks.

    Parameters
    ----------
    decided
        ``(..., K, H, W)`` bool, the generator's decision.
    errors
        ``(..., 2K, H, W)`` logits of the refiner: the K false-negative masks, then the K false-positive masks.
    """
    missed, added = errors.chunk(2, dim=-3)
    return torch.where(decided, -added, missed)
