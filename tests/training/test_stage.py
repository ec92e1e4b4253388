from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from crgan.config import OptimisationSettings
from crgan.training.stage import descend

SLOW = {"optimiser": "adadelta", "learning_rate": 1.0, "weight_decay": 0.0, "warm_up": 3, "decay": False}


class Plain(torch.optim.SGD):
    """An optimiser whose step can be worked out by hand."""


def one_step(fabric: Fabric, gradient: tuple[float, float], *, step: int = 3, total: int | None = 8, **settings: object) -> list[float]:
    layer = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(layer.weight)
    module, optimiser = fabric.setup(layer, Plain(layer.parameters(), lr=99.0))
    chosen = OptimisationSettings(**{**SLOW, **settings})

    def losses(batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return (module(torch.eye(2)).flatten() * batch).sum(), {}

    descend(fabric, [torch.tensor(gradient)], losses, module, optimiser, settings=chosen, step=step, total=total)
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
        chosen = OptimisationSettings(**SLOW, clip=None)
        descend(fabric, [torch.ones(1, 1)], lambda x: (module(x).sum(), {}), module, optimiser, settings=chosen, step=9, total=None)
    assert float(layer.weight.detach()) == pytest.approx(-2)


def test_the_step_is_one_down_the_mean_loss_of_its_batches(fabric: Fabric, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = nn.Linear(2, 1, bias=False)
    nn.init.zeros_(layer.weight)
    module, optimiser = fabric.setup(layer, Plain(layer.parameters(), lr=1.0))
    held = []
    monkeypatch.setattr(fabric, "no_backward_sync", lambda _, *, enabled: held.append(enabled) or nullcontext())
    batches = [torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0]]), torch.tensor([[0.0, 2.0]])]

    def losses(batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        return module(batch).sum(), {"loss": module(batch).sum() + batch.sum()}

    chosen = OptimisationSettings(**{**SLOW, "warm_up": 0}, clip=1.0)
    figures = descend(fabric, batches, losses, module, optimiser, settings=chosen, step=0, total=None)
    gradient = torch.tensor([1.0, 2.0])
    assert torch.allclose(layer.weight.detach(), -gradient / gradient.norm(), atol=1e-5)  # clipped once, as a whole
    assert float(figures["loss"]) == 3
    assert not figures["loss"].requires_grad
    assert held == [True, True, False]  # processes exchange gradients once a step
