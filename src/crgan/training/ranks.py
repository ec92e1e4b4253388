"""Arithmetic over processes that train together, each with its share of the batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed


def summed(*parts: Tensor) -> Sequence[Tensor]:
    """Sums over the whole batch, from those over the share of each process; the same tensors where there is one process.

    A loss of such sums is that of the whole batch, in every process, and so is its gradient once it has been averaged over
    processes, as gradients are: backwards, each part's gradient counts as many times as there are processes.

    Parameters
    ----------
    parts
        Tensors of one shape.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return parts
    here = torch.stack(parts)
    everywhere = here.detach().clone()
    distributed.all_reduce(everywhere)
    return (everywhere + distributed.get_world_size() * (here - here.detach())).unbind()


def agreed(fabric: Fabric, figures: dict[str, float]) -> dict[str, float]:
    """The mean over processes of figures that each has worked out: were they a bit apart, the processes would part ways."""
    if fabric.world_size == 1:
        return figures
    values = torch.tensor(list(figures.values()), dtype=torch.float64, device=fabric.device)
    mean = fabric.all_reduce(values, reduce_op="mean")
    return dict(zip(figures, torch.as_tensor(mean).tolist(), strict=True))
