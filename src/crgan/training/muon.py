"""Muon: momentum whose steps turn all directions of a weight alike, which takes far fewer steps than steps by single weights."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

# Newton-Schulz iteration of Jordan et al. (2024): singular values come near 1 in a few steps, which is near enough.
_COEFFICIENTS = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5
_MOMENTUM = 0.95
# Of Adam, for what is no matrix.
_BETAS = 0.9, 0.99
_EPSILON = 1e-8
_NOTHING = 1e-7
# Taller weights, as those of the four gates of an LSTM, are taken apart: orthogonalising costs the cube of the rows.
_MOST_ROWS = 128
# Root mean square of a step of AdamW at the same learning rate (Liu et al., 2025, section 2.2).
_LIKE_ADAM = 0.2


class Muon(torch.optim.Optimizer):
    """Muon for the weights of convolutions, the first and the last included, AdamW for scales, shifts and biases.

    PyTorch's own takes nothing but matrices; here a weight ``(outputs, inputs, rows, columns)`` is one, of ``outputs`` rows.
    Sources: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024
    (https://kellerjordan.github.io/posts/muon/); Liu et al., "Muon is scalable for LLM training", arXiv 2502.16982, for the size
    of steps.

    Parameters
    ----------
    parameters
        What is optimised.
    lr
        Learning rate; several times what AdamW takes.
    weight_decay
        As of AdamW.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, weight_decay: float) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; gives what ``closure``, which computes the gradients anew, gives."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    move = _turned if parameter.ndim > 1 else _adam
                    parameter.sub_(move(parameter.grad, self.state[parameter]), alpha=group["lr"])
        return loss


def _turned(gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Nesterov momentum, orthogonalised."""
    if not state:
        state["momentum"] = torch.zeros_like(gradient)
    momentum = state["momentum"].lerp_(gradient, 1 - _MOMENTUM)
    blocks = gradient.lerp(momentum, _MOMENTUM).flatten(1).split(_MOST_ROWS)
    turned = torch.cat([orthogonalised(block) * (_LIKE_ADAM * sqrt(max(block.shape))) for block in blocks])
    return turned.reshape(gradient.shape)


def _adam(gradient: Tensor, state: dict[str, Tensor]) -> Tensor:
    if not state:
        state |= {"step": torch.zeros(()), "first": torch.zeros_like(gradient), "second": torch.zeros_like(gradient)}
    state["step"] += 1
    step = int(state["step"])
    first = state["first"].lerp_(gradient, 1 - _BETAS[0]) / (1 - _BETAS[0] ** step)
    second = state["second"].lerp_(gradient.square(), 1 - _BETAS[1]) / (1 - _BETAS[1] ** step)
    move: Tensor = first / (second.sqrt() + _EPSILON)
    return move


def orthogonalised(matrix: Tensor) -> Tensor:
    """The matrix with its singular values brought near 1 (to about .7 to 1.2); zeros stay zeros.

    Every iteration multiplies by a polynomial of the Gram matrix, which is much smaller: so these are multiplied with each other
    first, and the matrix by what comes of it once.

    Parameters
    ----------
    matrix
        ``(rows, columns)``.
    """
    a, b, c = _COEFFICIENTS
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + _NOTHING)
    gram = x @ x.T
    factor = torch.eye(len(gram), dtype=x.dtype, device=x.device)
    for _ in range(_ITERATIONS):
        step = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        step.diagonal().add_(a)
        factor, gram = step @ factor, step @ gram @ step
    turned: Tensor = factor @ x
    return turned.T if matrix.shape[0] > matrix.shape[1] else turned
