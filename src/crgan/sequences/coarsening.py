"""The coarser grid on which a network may work."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor


def average_blocks(x: Tensor, coarseness: int) -> Tensor:
    """Average blocks of ``coarseness`` by ``coarseness`` voxels of ``(S, T, C, H, W)`` into one pixel each."""
    if coarseness == 1:
        return x
    pooled = F.avg_pool2d(x.flatten(0, 1), coarseness)
    return pooled.reshape(*x.shape[:2], *pooled.shape[1:])
