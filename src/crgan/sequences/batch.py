"""What a training step is fed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Share:
    """Which sequences of a whole batch are here; the others are in other processes.

    Parameters
    ----------
    whole
        Sequences of the whole batch.
    part
        Those that are here. Random numbers are drawn for all and kept for these, so that they do not depend on the
        number of processes.
    """

    whole: int
    part: slice


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
        How many groups there are here, ``S / groups`` sequences each.
    share
        Which sequences these are of the batch that all processes have together.
    number
        Counts a stage's batches. What else is drawn at random for this one depends on it.
    """

    images: Tensor
    targets: Tensor
    valid: Tensor
    known: Tensor
    probabilities: Tensor | None
    groups: int
    share: Share
    number: int
