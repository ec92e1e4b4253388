from __future__ import annotations

import pytest
import torch
from torch import nn

from crgan.training.muon import Muon, orthogonalised


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(16, 25), (25, 16), (64, 300), (3, 3), (2, 400)])
def test_all_directions_of_an_orthogonalised_matrix_weigh_about_the_same(shape: tuple[int, int]) -> None:
    values = torch.linalg.svdvals(orthogonalised(random(*shape)))
    assert values.min() > 0.4
    assert values.max() < 1.3


def test_orthogonalising_keeps_the_directions() -> None:
    matrix = random(5, 9)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    kept = left.T @ orthogonalised(matrix) @ right.T
    assert torch.allclose(kept, kept.diag().diag(), atol=1e-4)
    assert (kept.diag() > 0).all()


def test_nothing_stays_nothing() -> None:
    assert not orthogonalised(torch.zeros(4, 6)).any()


def steps(optimiser: torch.optim.Optimizer, parameter: nn.Parameter, count: int = 4) -> None:
    for number in range(count):
        parameter.grad = random(*parameter.shape, seed=number + 1)
        optimiser.step()


def test_a_matrix_moves_as_by_torchs_own() -> None:
    ours, theirs = nn.Parameter(random(12, 30)), nn.Parameter(random(12, 30))
    steps(Muon([ours], lr=0.1, weight_decay=0.2), ours)
    steps(torch.optim.Muon([theirs], lr=0.1, weight_decay=0.2, momentum=0.95, adjust_lr_fn="match_rms_adamw"), theirs)
    moved = theirs - random(12, 30)
    assert (ours - theirs).norm() < 0.02 * moved.norm()  # theirs iterates in bfloat16


def test_a_convolution_moves_as_the_matrix_that_it_is_whatever_its_layout() -> None:
    weight = random(8, 5, 3, 3)
    matrix = nn.Parameter(weight.flatten(1).clone())
    convolutions = [nn.Parameter(weight.clone()), nn.Parameter(weight.clone(memory_format=torch.channels_last))]
    for parameter in (matrix, *convolutions):
        optimiser = Muon([parameter], lr=0.1, weight_decay=0.0)
        for number in range(3):
            parameter.grad = random(8, 45, seed=number + 1).view(parameter.shape)
            optimiser.step()
    for convolution in convolutions:
        assert torch.allclose(convolution.flatten(1), matrix, atol=1e-5)


def test_a_tall_weight_moves_in_blocks() -> None:
    whole, part = nn.Parameter(random(200, 150)), nn.Parameter(random(200, 150)[128:].clone())
    for parameter, rows in ((whole, slice(0, 200)), (part, slice(128, 200))):
        parameter.grad = random(200, 150, seed=1)[rows].clone()
        Muon([parameter], lr=0.1, weight_decay=0.0).step()
    assert torch.allclose(whole[128:], part, atol=1e-5)


def test_scales_and_shifts_move_as_by_adamw() -> None:
    ours, theirs = nn.Parameter(random(7)), nn.Parameter(random(7))
    steps(Muon([ours], lr=0.1, weight_decay=0.2), ours)
    steps(torch.optim.AdamW([theirs], lr=0.1, weight_decay=0.2, betas=(0.9, 0.99)), theirs)
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_what_has_no_gradient_stays() -> None:
    idle = nn.Parameter(random(3, 3))
    Muon([idle], lr=0.1, weight_decay=0.2).step()
    assert torch.equal(idle, random(3, 3))


def test_a_closure_computes_the_gradients() -> None:
    parameter = nn.Parameter(torch.ones(2))

    def loss() -> torch.Tensor:
        parameter.grad = None
        value = parameter.square().sum()
        value.backward()
        return value

    assert Muon([parameter], lr=0.5, weight_decay=0.0).step(loss) == 2
    assert torch.allclose(parameter, torch.full((2,), 0.5))
