from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import distributed

from crgan.training.ranks import agreed, summed


@pytest.fixture
def group(tmp_path: Path) -> Iterator[None]:
    """A process group of one; tests/training/test_processes.py has real ones of two."""
    distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'meet'}", rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


def test_without_others_sums_are_the_tensors_themselves() -> None:
    first, second = torch.ones(2), torch.zeros(2)
    found = summed(first, second)
    assert found[0] is first
    assert found[1] is second


def test_sums_keep_values_and_gradients(group: None) -> None:
    first, second = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([3.0, 5.0], requires_grad=True)
    one, two = summed(2 * first, second)
    assert torch.equal(one, torch.tensor([2.0, 4.0]))
    (one / two).sum().backward()
    torch.testing.assert_close(first.grad, 2 / second.detach())
    torch.testing.assert_close(second.grad, -2 * first.detach() / second.detach() ** 2)


def test_gradients_count_as_often_as_there_are_processes(group: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are averaged over processes afterwards: here over two, the other of which had the same sums."""
    monkeypatch.setattr(distributed, "all_reduce", lambda tensor: tensor.mul_(2))
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    x = torch.tensor(3.0, requires_grad=True)
    (total,) = summed(x)
    assert total == 6
    (total**2).backward()
    assert x.grad == 2 * 2 * 6  # half of which is the gradient of (x + other)² by x


def test_figures_are_agreed_on() -> None:
    figures = {"dice": 0.1, "fnr": 0.3}
    assert agreed(SimpleNamespace(world_size=1), figures) is figures
    other = SimpleNamespace(
        world_size=2, device="cpu", all_reduce=lambda tensor, reduce_op: (tensor + 0.5) / 2 if reduce_op == "mean" else None
    )
    assert agreed(other, figures) == pytest.approx({"dice": 0.3, "fnr": 0.4}, abs=1e-15)
