"""The network of generator and refiner: shapes, wiring, and what depends on what."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from crgan.networks.normalization import PatientNorm
from crgan.networks.unet import RecurrentUNet


def sequences(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network(*, recurrent: bool = True, patient_wise: bool = True, channels: int = 2, widths: tuple[int, ...] = (4, 6, 8)) -> RecurrentUNet:
    torch.manual_seed(0)
    return RecurrentUNet(channels, 3, widths=widths, recurrent_width=5 if recurrent else None, patient_wise=patient_wise)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("patient_wise", [False, True])
@pytest.mark.parametrize(("depth", "size"), [(1, (2, 6)), (2, (8, 4)), (3, (16, 8))])
def test_every_pixel_of_every_slice_gets_its_logits(recurrent: bool, patient_wise: bool, depth: int, size: tuple[int, int]) -> None:
    model = network(recurrent=recurrent, patient_wise=patient_wise, widths=(4, 6, 8, 10)[: depth + 1])
    valid = torch.ones(4, 3, 1, *size)
    assert model(sequences(4, 3, 2, *size), valid, groups=2).shape == (4, 3, 3, *size)
    assert model(sequences(4, 3, 2, *size)).shape == (4, 3, 3, *size)


@pytest.mark.parametrize("size", [(6, 8), (8, 10)])
def test_other_sizes_than_multiples_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(RuntimeError):
        network()(sequences(1, 2, 2, *size))


def test_an_image_without_padding_is_one_that_is_valid_everywhere() -> None:
    x = sequences(4, 3, 2, 8, 8)
    torch.testing.assert_close(network()(x, torch.ones(4, 3, 1, 8, 8), groups=2), network()(x, groups=2))


@pytest.mark.parametrize("recurrent", [False, True])
def test_layer_i_is_joined_to_layer_n_minus_i(recurrent: bool) -> None:
    model = network(recurrent=recurrent, widths=(4, 6, 8, 10))
    encoded: list[Tensor] = []
    joined: list[Tensor] = []
    for down in model.down:
        down.register_forward_hook(lambda _module, _inputs, output: encoded.append(output.clone()))
    for up in model.up:
        up.convolution.register_forward_pre_hook(lambda _module, inputs: joined.append(inputs[0].clone()))
    x = sequences(2, 3, 2, 16, 8)
    model(x)
    # The coarsest encoding goes on to the bottleneck; the others, and last the image itself, are what is joined.
    skips = [encoded[1], encoded[0], x.flatten(0, 1)]
    below = [5 if recurrent else 10, 8, 6]
    for seen, skip, channels in zip(joined, skips, below, strict=True):
        assert seen.shape[1] == channels + skip.shape[1]
        assert torch.equal(seen[:, channels:], skip)


def test_without_recurrence_slices_are_segmented_each_for_itself() -> None:
    model = network(recurrent=False, patient_wise=False).eval()
    x = sequences(1, 4, 2, 8, 8)
    torch.testing.assert_close(model(x)[:, 1:2], model(x[:, 1:2]))


def test_with_recurrence_slices_hear_of_their_neighbours() -> None:
    model = network(recurrent=True, patient_wise=False).eval()
    x = sequences(1, 4, 2, 8, 8).requires_grad_()
    for t in range(4):
        (gradient,) = torch.autograd.grad(model(x)[:, t].sum(), x)
        assert (gradient.abs().sum((0, 2, 3, 4)) > 0).all()


def test_a_reversed_sequence_gives_the_reversed_output_where_directions_share_weights() -> None:
    model = network()
    assert model.recurrence is not None
    model.recurrence.backwards.load_state_dict(model.recurrence.forwards.state_dict())
    x, valid = sequences(2, 5, 2, 8, 8), torch.ones(2, 5, 1, 8, 8)
    valid[:, 4:] = 0
    torch.testing.assert_close(model(x.flip(1), valid.flip(1)), model(x, valid).flip(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("recurrent", [False, True])
def test_groups_never_mix(recurrent: bool) -> None:
    model = network(recurrent=recurrent)
    valid = torch.ones(4, 3, 1, 8, 8)
    valid[:, 2, :, :, 5:] = 0

    def first_group(second: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat([sequences(2, 3, 2, 8, 8), second]).requires_grad_()
        y = model(x, valid, groups=2)
        y.square().sum().backward()
        assert x.grad is not None
        return y[:2], x.grad[:2]

    one = first_group(sequences(2, 3, 2, 8, 8, seed=1))
    for found, expected in zip(first_group(100 * sequences(2, 3, 2, 8, 8, seed=2)), one, strict=True):
        assert torch.equal(found, expected)


def test_padding_enters_no_statistics_in_any_layer() -> None:
    model = network()
    layers = [layer for layer in model.modules() if isinstance(layer, PatientNorm)]
    given: list[tuple[Tensor, Tensor, int]] = []
    for layer in layers:
        layer.register_forward_pre_hook(lambda _module, inputs: given.append(inputs))
    valid = torch.zeros(4, 3, 1, 8, 12)
    valid[:, :2, :, 1:6, :9] = 1
    model(sequences(4, 3, 2, 8, 12), valid, groups=2)
    assert len(given) == len(layers) == 4
    for x, mask, groups in given:
        step = 8 // x.shape[-2]
        assert torch.equal(mask, valid.flatten(0, 1)[..., ::step, ::step])
        assert mask.shape[-2:] == x.shape[-2:]
        assert groups == 2


def test_without_patient_wise_normalisation_company_matters() -> None:
    model = network(patient_wise=False)
    first = sequences(2, 3, 2, 8, 8)
    one, other = (model(torch.cat([first, factor * sequences(2, 3, 2, 8, 8, seed=1)]), groups=2)[:2] for factor in (1, 100))
    assert not torch.allclose(one, other, atol=1e-2)


def test_same_seed_same_weights() -> None:
    for one, other in zip(network().state_dict().values(), network().state_dict().values(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("patient_wise", [False, True])
def test_every_weight_learns(recurrent: bool, patient_wise: bool) -> None:
    model = network(recurrent=recurrent, patient_wise=patient_wise)
    model(sequences(2, 3, 2, 8, 8), torch.ones(2, 3, 1, 8, 8)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
