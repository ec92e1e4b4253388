"""What the adversarial and the refinement stage have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from crgan.config import OptimisationSettings
from crgan.training.optimisation import learning_rate, set_learning_rate


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


def descend(
    fabric: Fabric,
    loss: Tensor,
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    *,
    settings: OptimisationSettings,
    step: int,
    total: int | None,
) -> None:
    """Take one optimiser step down the gradient of ``loss``."""
    rate = learning_rate(settings, step, total)
    set_learning_rate(optimiser, rate)
    optimiser.zero_grad()
    fabric.backward(loss)
    if settings.clip is not None:
        # Half precision overflows now and then, and the scaler then skips the step; the loss tells true divergence.
        fabric.clip_gradients(module, optimiser, max_norm=settings.clip, error_if_nonfinite=False)
    optimiser.step()
