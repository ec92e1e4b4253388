"""The convolutional LSTM against its equations, slice by slice."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from crgan.networks.recurrence import BidirectionalConvLSTM, ConvLSTM


def sequences(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def by_the_equations(lstm: ConvLSTM, x: Tensor) -> Tensor:
    """Shi et al. 2015, eq. 3 without peepholes: one convolution of input and state together for each gate and slice."""
    size, hidden = x.shape[0], lstm.hidden
    state = cell = torch.zeros(size, hidden, *x.shape[3:])
    weight = torch.cat([lstm.from_input.weight, lstm.from_state.weight], dim=1)
    gates = [(weight[k * hidden : (k + 1) * hidden], lstm.from_input.bias[k * hidden : (k + 1) * hidden]) for k in range(4)]
    outputs = []
    for t in range(x.shape[1]):
        seen = torch.cat([x[:, t], state], dim=1)
        enter, keep, leave, candidate = (F.conv2d(seen, kernel, shift, padding=1) for kernel, shift in gates)
        cell = keep.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
        state = leave.sigmoid() * cell.tanh()
        outputs.append(state)
    return torch.stack(outputs, dim=1)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_follows_the_equations(length: int) -> None:
    torch.manual_seed(0)
    lstm = ConvLSTM(3, 4)
    x = sequences(2, length, 3, 5, 6)
    torch.testing.assert_close(lstm(x), by_the_equations(lstm, x))


def test_in_reverse_reads_from_the_last_slice_on() -> None:
    torch.manual_seed(0)
    lstm = ConvLSTM(3, 4)
    x = sequences(2, 5, 3, 4, 4)
    torch.testing.assert_close(lstm(x, reverse=True), by_the_equations(lstm, x.flip(1)).flip(1))


def test_directions_are_summed() -> None:
    torch.manual_seed(0)
    both = BidirectionalConvLSTM(3, 4)
    x = sequences(2, 5, 3, 4, 4)
    expected = by_the_equations(both.forwards, x) + by_the_equations(both.backwards, x.flip(1)).flip(1)
    torch.testing.assert_close(both(x), expected)


def test_a_reversed_sequence_gives_the_reversed_output_where_directions_share_weights() -> None:
    torch.manual_seed(0)
    both = BidirectionalConvLSTM(3, 4)
    x = sequences(2, 6, 3, 4, 4)
    assert not torch.allclose(both(x.flip(1)), both(x).flip(1), atol=1e-3)  # their weights differ at first
    both.backwards.load_state_dict(both.forwards.state_dict())
    torch.testing.assert_close(both(x.flip(1)), both(x).flip(1))


def test_every_slice_is_heard_of_in_every_other() -> None:
    torch.manual_seed(0)
    both = BidirectionalConvLSTM(2, 3)
    x = sequences(1, 4, 2, 3, 3).requires_grad_()
    y = both(x)
    for t in range(4):
        (gradient,) = torch.autograd.grad(y[:, t].sum(), x, retain_graph=True)
        assert (gradient.abs().sum((0, 2, 3, 4)) > 0).all()


def test_sequences_do_not_hear_of_each_other() -> None:
    torch.manual_seed(0)
    both = BidirectionalConvLSTM(2, 3)
    x = sequences(3, 4, 2, 3, 3)
    torch.testing.assert_close(both(x)[1:2], both(x[1:2]))


def test_the_forget_gate_is_open_at_the_start() -> None:
    bias = ConvLSTM(3, 4).from_input.bias
    assert torch.equal(bias[4:8], torch.ones(4))
    assert (torch.cat([bias[:4], bias[8:]]).abs() < 0.5).all()
