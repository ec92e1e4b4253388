"""A bidirectional convolutional LSTM over the slices of a sequence (paper, sections 2.2.2 and 3.2.2)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class ConvLSTM(nn.Module):
    """A convolutional LSTM that reads a sequence in one direction (Shi et al. 2015, without peepholes).

    Parameters
    ----------
    channels
        Channels of the input.
    hidden
        Channels of the state and the output.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.hidden = hidden
        self.from_input = nn.Conv2d(channels, 4 * hidden, 3, padding=1)
        self.from_state = nn.Conv2d(hidden, 4 * hidden, 3, padding=1, bias=False)
        with torch.no_grad():  # an open forget gate at the start lets gradients reach distant slices
            cast("Tensor", self.from_input.bias)[hidden : 2 * hidden].fill_(1.0)

    def forward(self, x: Tensor, *, reverse: bool = False) -> Tensor:
        """Run over ``(S, T, C, H, W)`` along T, from the last slice on if ``reverse``; gives ``(S, T, hidden, H, W)``."""
        length = x.shape[1]
        # What the inputs contribute is known beforehand for all slices: one large convolution instead of T small ones.
        contributions = self.from_input(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        outputs: list[Tensor] = []
        state: Tensor | None = None
        cell: Tensor | None = None
        for t in reversed(range(length)) if reverse else range(length):
            gates = contributions[:, t]
            if state is not None:
                gates = gates + self.from_state(state)
            enter, keep, leave, candidate = gates.chunk(4, dim=1)
            new = torch.sigmoid(enter) * torch.tanh(candidate)
            cell = new if cell is None else torch.sigmoid(keep) * cell + new
            state = torch.sigmoid(leave) * torch.tanh(cell)
            outputs.append(state)
        if reverse:
            outputs.reverse()
        return torch.stack(outputs, dim=1)


class BidirectionalConvLSTM(nn.Module):
    """Two convolutional LSTMs, one in each direction, their outputs summed.

    Parameters
    ----------
    channels
        Channels of the input.
    hidden
        Channels of the output.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.forwards = ConvLSTM(channels, hidden)
        self.backwards = ConvLSTM(channels, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Run over ``(S, T, C, H, W)`` along T; gives ``(S, T, hidden, H, W)``."""
        return cast("Tensor", self.forwards(x) + self.backwards(x, reverse=True))
