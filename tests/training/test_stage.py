from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from crgan.config import OptimisationSettings
from crgan.training.stage import descend

SLOW = {"optimiser": "adadelta", "learning_rate": 1.0, "weight_decay": 0.0, "warm_up": 3, "decay": False}


class Plain(torch.optim.SGD):
    """An optimiser whose step can be worked out by hand."""


def one_step(fabric: Fabric, gradient: tuple[float, float], *, step: int = 3, total: int | None = 8, **settings: object) -> list[float]:
    layer = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(layer.weight)
    module, optimiser = fabric.setup(layer, Plain(layer.parameters(), lr=99.0))
    loss = (module(torch.eye(2)).flatten() * torch.tensor(gradient)).sum()
    chosen = OptimisationSettings(**{**SLOW, **settings})
    descend(fabric, loss, module, optimiser, settings=chosen, step=step, total=total)
    return layer.weight.detach().flatten().tolist()


def test_the_step_follows_the_gradient_at_the_rate_of_the_schedule(fabric: Fabric) -> None:
    assert one_step(fabric, (3.0, 4.0), clip=None) == pytest.approx([-3, -4])
    assert one_step(fabric, (3.0, 4.0), clip=None, step=1) == pytest.approx([-1.5, -2])  # half-way through the warm-up
    assert one_step(fabric, (3.0, 4.0), clip=None, decay=True, step=4) == pytest.approx([-3 * 0.5**0.9, -4 * 0.5**0.9])
    assert one_step(fabric, (3.0, 4.0), clip=None, decay=True, step=4, total=None) == pytest.approx([-3, -4])


def test_long_gradients_are_cut_and_short_ones_are_not(fabric: Fabric) -> None:
    assert one_step(fabric, (3.0, 4.0), clip=1.0) == pytest.approx([-0.6, -0.8], abs=1e-4)
    assert one_step(fabric, (0.3, 0.4), clip=1.0) == pytest.approx([-0.3, -0.4], abs=1e-4)


def test_an_overflow_is_left_to_the_scaler_and_the_next_loss(fabric: Fabric) -> None:
    one_step(fabric, (float("inf"), 0.0), clip=1.0)  # raised, it would end a run in half precision at its first step


def test_gradients_of_an_earlier_step_are_forgotten(fabric: Fabric) -> None:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(layer.weight)
    module, optimiser = fabric.setup(layer, Plain(layer.parameters(), lr=1.0))
    for _ in range(2):
        descend(
            fabric, module(torch.ones(1, 1)).sum(), module, optimiser, settings=OptimisationSettings(**SLOW, clip=None), step=9, total=None
        )
    assert float(layer.weight.detach()) == pytest.approx(-2)
