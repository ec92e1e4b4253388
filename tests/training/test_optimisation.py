from __future__ import annotations

import pytest
import torch
from torch import nn

from crgan.config import OptimisationSettings
from crgan.training.muon import Muon
from crgan.training.optimisation import learning_rate, make_optimiser, set_learning_rate

PLAIN = OptimisationSettings(learning_rate=0.1, warm_up=0, decay=False)
WARM = OptimisationSettings(learning_rate=0.1, warm_up=4, decay=False)
DECAYING = OptimisationSettings(learning_rate=0.1, warm_up=0, decay=True)
BOTH = OptimisationSettings(learning_rate=0.1, warm_up=4, decay=True)


@pytest.mark.parametrize(
    ("settings", "step", "total", "rate"),
    [
        (PLAIN, 0, 10, 0.1),
        (PLAIN, 9, 10, 0.1),
        (WARM, 0, 10, 0.02),
        (WARM, 3, 10, 0.08),
        (WARM, 4, 10, 0.1),
        (WARM, 9, 10, 0.1),
        (DECAYING, 0, 10, 0.1),
        (DECAYING, 5, 10, 0.1 * 0.5**0.9),
        (DECAYING, 9, 10, 0.1 * 0.1**0.9),
        (DECAYING, 10, 10, 0.0),
        (DECAYING, 11, 10, 0.0),
        (DECAYING, 5, None, 0.1),  # while steps are being measured, their number is not known
        (BOTH, 1, 10, 0.04 * 0.9**0.9),
        (BOTH, 1, None, 0.04),
    ],
)
def test_the_schedule(settings: OptimisationSettings, step: int, total: int | None, rate: float) -> None:
    assert learning_rate(settings, step, total) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", torch.optim.AdamW), ("rmsprop", torch.optim.RMSprop), ("adadelta", torch.optim.Adadelta), ("muon", Muon)]
)
def test_the_optimiser_that_is_named(name: str, kind: type) -> None:
    settings = OptimisationSettings(optimiser=name, learning_rate=0.3, weight_decay=0.2)
    optimiser = make_optimiser(settings, nn.Linear(2, 2).parameters())
    assert type(optimiser) is kind
    (group,) = optimiser.param_groups
    assert (group["lr"], group["weight_decay"]) == (0.3, 0.2)


def test_every_group_gets_the_rate() -> None:
    layers = [nn.Linear(1, 1), nn.Linear(1, 1)]
    optimiser = torch.optim.AdamW([{"params": layer.parameters()} for layer in layers])
    set_learning_rate(optimiser, 0.25)
    assert [group["lr"] for group in optimiser.param_groups] == [0.25, 0.25]
