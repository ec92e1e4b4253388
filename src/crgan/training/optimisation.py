"""Optimisers and their learning rate, which depends on the step alone."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from crgan.config import OptimisationSettings
from crgan.training.muon import Muon

_DECAY_POWER = 0.9


def make_optimiser(settings: OptimisationSettings, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Make the optimiser that the settings name."""
    kinds: dict[str, type[torch.optim.Optimizer]] = {
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
        "adadelta": torch.optim.Adadelta,
        "muon": Muon,
    }
    return kinds[settings.optimiser](parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)  # type: ignore[call-arg]


def learning_rate(settings: OptimisationSettings, step: int, total: int | None) -> float:
    """Learning rate of a step: linear warm-up, then polynomial decay to 0 at ``total``, if asked for and known."""
    rate = settings.learning_rate * min(1.0, (step + 1) / (settings.warm_up + 1))
    if not settings.decay or total is None:
        return rate
    return float(rate * max(0.0, 1 - step / total) ** _DECAY_POWER)


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group of an optimiser the same rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate
