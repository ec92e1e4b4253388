"""What the adversarial and the refinement stage have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule
from torch import Tensor, nn

from crgan.config import OptimisationSettings
from crgan.sequences.batch import Batch
from crgan.training.optimisation import learning_rate, make_optimiser, set_learning_rate


class Stage(Protocol):
    """A stage of training: networks, their optimisers, and a step."""

    name: str
    modules: Mapping[str, nn.Module]
    optimisers: Mapping[str, torch.optim.Optimizer]
    pace: float
    """How fast the steps of the whole stage are, on average, of the first ones."""
    keep_at: Sequence[float]
    """Shares of the steps, from one half on, after which the weights are kept beside the checkpoints."""

    def step(self, number: int, total: int | None) -> dict[str, float]:
        """Train one step of ``total`` (None while that is not known yet); gives the figures to show."""

    def validate(self) -> dict[str, float]:
        """Measure whole validation volumes; ``dice`` is what the best weights are chosen by."""


def set_up(fabric: Fabric, network: nn.Module, settings: OptimisationSettings, *, compiled: bool) -> tuple[Any, torch.optim.Optimizer]:
    """Bring a network to its device and make its optimiser; gives what Fabric wraps them in.

    Only what is wrapped is compiled: checkpoints and validations have the network as it is. Its crops have a size for each plane,
    and code for one size is faster than code for any.
    """
    optimiser = make_optimiser(settings, network.parameters())
    module, wrapped = fabric.setup(cast("nn.Module", torch.compile(network, dynamic=False)) if compiled else network, optimiser)
    return module, wrapped


Losses = tuple[Tensor, Mapping[str, Tensor]]
"""What a batch costs, and the figures to show."""


def descend(
    fabric: Fabric,
    batches: Sequence[Batch],
    losses: Callable[[Batch], Losses],
    module: _FabricModule,
    optimiser: torch.optim.Optimizer,
    *,
    settings: OptimisationSettings,
    step: int,
    total: int | None,
) -> dict[str, Tensor]:
    """Take one optimiser step down the gradient of the batches' mean loss, with the features of one batch in memory at a time.

    Returns
    -------
    dict
        The mean of each figure over the batches.
    """
    rate = learning_rate(settings, step, total)
    set_learning_rate(optimiser, rate)
    optimiser.zero_grad()
    figures: list[dict[str, Tensor]] = []
    for batch in batches:
        # Processes need each other's gradients only when all batches have added theirs.
        with fabric.no_backward_sync(module, enabled=batch is not batches[-1]):
            loss, found = losses(batch)
            fabric.backward(loss / len(batches))
        figures.append({name: value.detach() for name, value in found.items()})
    if settings.clip is not None:
        # Half precision overflows now and then, and the scaler then skips the step; the loss tells true divergence.
        fabric.clip_gradients(module, optimiser, max_norm=settings.clip, error_if_nonfinite=False)
    optimiser.step()
    return {name: torch.stack([found[name] for found in figures]).mean() for name in figures[0]}
