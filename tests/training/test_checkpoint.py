from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from torch import nn

from crgan.config import OptimisationSettings
from crgan.errors import CrganError
from crgan.networks.normalization import RunningNorm
from crgan.training.checkpoint import load_state, save_state
from crgan.training.optimisation import make_optimiser

OPTIMISERS = ["adamw", "rmsprop", "adadelta", "muon"]


class Network(nn.Module):
    """With an integer buffer (of the running norm) and a weight that never gets a gradient."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.convolution = nn.Conv2d(1, 3, 3).to(memory_format=torch.channels_last)
        self.norm = RunningNorm(3)
        self.idle = nn.Parameter(torch.zeros(1))

    def loss(self, step: int) -> torch.Tensor:
        x = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(step))
        return (self.norm(self.convolution(x), None, 1) - 1).square().mean()


def descend(network: Network, optimiser: torch.optim.Optimizer, steps: range) -> None:
    network.train()
    for step in steps:
        optimiser.zero_grad()
        network.loss(step).backward()
        optimiser.step()


def make(name: str, seed: int) -> tuple[Network, torch.optim.Optimizer]:
    network = Network(seed)
    return network, make_optimiser(OptimisationSettings(optimiser=name, learning_rate=0.05), network.parameters())


@pytest.mark.parametrize("name", OPTIMISERS)
def test_going_on_from_a_checkpoint_ends_at_the_same_weights_bit_for_bit(name: str, tmp_path: Path) -> None:
    through, optimiser = make(name, 0)
    descend(through, optimiser, range(3))
    save_state(tmp_path / "state.safetensors", {"net": through}, {"net": optimiser}, {"step": 3, "figures": {"loss": 0.1}, "total": None})
    descend(through, optimiser, range(3, 6))

    other, fresh = make(name, 1)
    facts = load_state(tmp_path / "state.safetensors", {"net": other}, {"net": fresh})
    assert facts == {"step": 3, "figures": {"loss": 0.1}, "total": None}
    descend(other, fresh, range(3, 6))
    for key, value in through.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


def test_weights_alone_can_be_read(tmp_path: Path) -> None:
    network, optimiser = make("adamw", 0)
    descend(network, optimiser, range(1))
    save_state(tmp_path / "best.safetensors", {"net": network}, {}, {"dice": 0.5})
    other, fresh = make("adamw", 1)
    assert load_state(tmp_path / "best.safetensors", {"net": other}, {}) == {"dice": 0.5}
    assert torch.equal(network.convolution.weight, other.convolution.weight)
    assert not fresh.state_dict()["state"]


@pytest.mark.parametrize("what", ["weight", "facts"])
def test_a_file_that_reads_well_and_says_something_else_is_found_out(tmp_path: Path, what: str) -> None:
    network, optimiser = make("adamw", 0)
    path = tmp_path / "last.safetensors"
    save_state(path, {"net": network}, {"net": optimiser}, {"step": 987654})
    content = path.read_bytes()
    one_bit = content[:-1] + bytes([content[-1] ^ 1])
    path.write_bytes(content.replace(b"987654", b"987655") if what == "facts" else one_bit)
    assert "not what was written" in refused(path, *make("adamw", 0))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    network, optimiser = make("adamw", 0)
    descend(network, optimiser, range(1))
    path = tmp_path / "last.safetensors"
    save_state(path, {"net": network}, {"net": optimiser}, {"step": 1})
    return path


def refused(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer | None = None) -> str:
    with pytest.raises(CrganError) as caught:
        load_state(path, {"net": network}, {} if optimiser is None else {"net": optimiser})
    (problem,) = caught.value.problems
    assert problem.where == path
    assert "--overwrite" in (problem.fix or "")
    return str(problem)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_file_cut_short_is_told(saved: Path, kept: int) -> None:
    saved.write_bytes(saved.read_bytes()[:kept])
    refused(saved, *make("adamw", 0))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "last.safetensors", *make("adamw", 0))


def test_a_file_without_facts_is_told(saved: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_file(load_file(saved), saved)
    refused(saved, *make("adamw", 0))


def test_weights_of_another_network_are_told(saved: Path) -> None:
    refused(saved, nn.Linear(2, 2))


def test_a_state_whose_names_are_damaged_is_told(saved: Path) -> None:
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    with safe_open(saved, framework="pt") as file:
        facts = file.metadata()
    tensors = {key.replace("optimiser/net/1/", "optimiser/net/one/"): value for key, value in load_file(saved).items()}
    save_file(tensors, saved, metadata=facts)
    refused(saved, *make("adamw", 0))


def test_a_full_disk_leaves_the_old_checkpoint_and_says_so(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = saved.read_bytes()
    network, optimiser = make("adamw", 5)

    def full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CrganError, match="No space left on device"):
        save_state(saved, {"net": network}, {"net": optimiser}, {"step": 2})
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_what_is_not_finite_is_no_fact(saved: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        save_state(saved, {}, {}, {"loss": float("nan")})
