"""What a training step is fed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Sequences of slices, ordered by (patient, plane) group.

    Parameters
    ----------
    images
        ``(S, T, M, H, W)`` float32, normalised.
    targets
        ``(S, T, K, H, W)`` float32 in [0, 1]: the share of each pixel that belongs to each target.
    valid
        ``(S, T, 1, H, W)`` float32, 1 inside the image and 0 in padding: what networks and their statistics see.
    known
        ``(S, T, 1, H, W)`` float32, 1 where ``valid`` is and the label counts: what losses are taken over.
    probabilities
        ``(S, T, K, H, W)`` float32, what the generator said; None while the generator itself is trained.
    groups
        How many groups there are, ``S / groups`` sequences each.
    """

    images: Tensor
    targets: Tensor
    valid: Tensor
    known: Tensor
    probabilities: Tensor | None
    groups: int
