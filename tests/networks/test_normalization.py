"""Patient-wise normalisation by hand-computed numbers, by finite differences, and against the library's batch normalisation."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from torch import Tensor, nn

from crgan.networks.normalization import (
    VARIANCE_FLOOR,
    PatientNorm,
    RunningNorm,
    _GroupNormalise,
    group_statistics,
    make_norm,
    patient_statistics,
    recording_statistics,
)


def features(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def some_mask(*shape: int, seed: int = 1) -> Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) > 0.4).float()


def unlike_the_beginning(norm: PatientNorm) -> PatientNorm:
    """Scale and shift that would show if they were mixed up between channels."""
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.5, 2, len(norm.weight)))
        norm.bias.copy_(torch.linspace(-1, 1, len(norm.bias)))
    return norm


# Four slices of one channel and 1 × 2 pixels; the first two are one patient's.
SLICES = [[1.0, 2.0], [3.0, 6.0], [10.0, 10.0], [10.0, 14.0]]


@pytest.mark.parametrize(
    ("mask", "groups", "mean", "variance", "count"),
    [
        (None, 1, [7.0], [19.25], [8.0]),  # (36 + 25 + 16 + 1 + 9 + 9 + 9 + 49) / 8
        (None, 2, [3.0, 11.0], [3.5, 3.0], [4.0, 4.0]),  # (4 + 1 + 0 + 9) / 4 and (1 + 1 + 1 + 9) / 4
        ([[1, 1], [1, 0], [0, 0], [1, 1]], 2, [2.0, 12.0], [2 / 3, 4.0], [3.0, 2.0]),
        ([[1, 0], [0, 0], [0, 0], [0, 0]], 2, [1.0, 0.0], [0.0, 0.0], [1.0, 1.0]),  # one pixel, and none at all
    ],
)
def test_statistics_by_hand(
    mask: list[list[int]] | None, groups: int, mean: list[float], variance: list[float], count: list[float]
) -> None:
    x = torch.tensor(SLICES).view(4, 1, 1, 2)
    valid = None if mask is None else torch.tensor(mask, dtype=torch.float32).view(4, 1, 1, 2)
    found = group_statistics(x, valid, groups)
    for values, expected in zip(found, (mean, variance, count), strict=True):
        torch.testing.assert_close(values, torch.tensor(expected).view(groups, 1))


def test_output_by_hand() -> None:
    norm = PatientNorm(1)
    with torch.no_grad():
        norm.weight.fill_(2.0)
        norm.bias.fill_(0.5)
    y = norm(torch.tensor(SLICES).view(4, 1, 1, 2), None, 2)
    first, second = 2 / sqrt(3.5 + VARIANCE_FLOOR), 2 / sqrt(3.0 + VARIANCE_FLOOR)
    expected = [-2 * first, -first, 0, 3 * first, -second, -second, -second, 3 * second]
    torch.testing.assert_close(y.flatten(), torch.tensor(expected) + 0.5)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("groups", [1, 2])
def test_gradient_is_that_of_finite_differences(masked: bool, groups: int) -> None:
    x = features(4, 3, 2, 3).double().requires_grad_()
    weight = features(3, seed=2).double().requires_grad_()
    bias = features(3, seed=3).double().requires_grad_()
    valid = some_mask(4, 1, 2, 3).double() if masked else None
    assert torch.autograd.gradcheck(lambda *values: _GroupNormalise.apply(*values, valid, groups)[0], (x, weight, bias))


@pytest.mark.parametrize("masked", [False, True])
def test_gradient_is_that_of_composed_operations(masked: bool) -> None:
    x = features(6, 4, 5, 3).requires_grad_()
    norm = unlike_the_beginning(PatientNorm(4))
    valid = some_mask(6, 1, 5, 3) if masked else None
    wanted = features(6, 4, 5, 3, seed=5)

    def composed() -> Tensor:
        parts = []
        for group in (slice(0, 3), slice(3, 6)):
            counted = torch.ones(3, 1, 5, 3) if valid is None else valid[group]
            mean = (x[group] * counted).sum((0, 2, 3), keepdim=True) / counted.sum()
            variance = ((x[group] - mean).square() * counted).sum((0, 2, 3), keepdim=True) / counted.sum()
            parts.append((x[group] - mean) / (variance + VARIANCE_FLOOR).sqrt())
        return torch.cat(parts) * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)

    for found, expected in zip(
        torch.autograd.grad((norm(x, valid, 2) * wanted).sum(), [x, norm.weight, norm.bias]),
        torch.autograd.grad((composed() * wanted).sum(), [x, norm.weight, norm.bias]),
        strict=True,
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_groups_never_mix() -> None:
    norm = unlike_the_beginning(PatientNorm(3))
    valid = some_mask(6, 1, 4, 4)

    def first_group(second: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat([features(3, 3, 4, 4), second]).requires_grad_()
        y = norm(x, valid, 2)
        y.square().sum().backward()
        assert x.grad is not None
        return y[:3], x.grad[:3]

    for one, other in zip(first_group(features(3, 3, 4, 4, seed=1)), first_group(1000 * features(3, 3, 4, 4, seed=2)), strict=True):
        assert torch.equal(one, other)


def test_a_patient_alone_is_normalised_as_in_company() -> None:
    norm = unlike_the_beginning(PatientNorm(3))
    x = features(6, 3, 4, 4)
    torch.testing.assert_close(norm(x, None, 2)[3:], norm(x[3:], None, 1))


def test_masked_pixels_do_not_enter() -> None:
    norm = unlike_the_beginning(PatientNorm(3))
    valid = some_mask(4, 1, 5, 5)

    def valid_part(padding: float) -> tuple[Tensor, Tensor]:
        x = torch.where(valid.bool(), features(4, 3, 5, 5), padding).requires_grad_()
        y = norm(x, valid, 2) * valid  # a loss leaves padding out
        y.pow(3).sum().backward()
        assert x.grad is not None
        return y, x.grad

    for one, other in zip(valid_part(0.0), valid_part(50.0), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert not (valid_part(50.0)[1] * (1 - valid)).any()


def test_an_empty_window_is_not_amplified() -> None:
    noise = 1e-3 * features(2, 4, 8, 8)
    y = PatientNorm(4)(0.7 + noise, None, 1)
    assert y.abs().max() < noise.abs().max() * 1.1 / sqrt(VARIANCE_FLOOR)
    assert y.abs().max() < 0.2  # where dividing by the standard deviation alone gives 3 and more


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7])
def test_a_constant_window_becomes_the_shift(value: float) -> None:
    norm = unlike_the_beginning(PatientNorm(3))
    x = torch.full((2, 3, 16, 16), value, requires_grad=True)
    y = norm(x, None, 1)
    torch.testing.assert_close(y, norm.bias.detach().view(-1, 1, 1).expand_as(y), rtol=0, atol=1e-3)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_rounding_makes_no_variance_negative() -> None:
    # The squares of a large constant are rounded by far more than the floor is high.
    for seed in range(20):
        value = 1000 + float(features(1, seed=seed))
        _, variance, _ = group_statistics(torch.full((2, 3, 32, 32), value), None, 1)
        assert (variance >= 0).all()


def test_a_group_without_a_valid_pixel_stays_finite() -> None:
    x = features(4, 2, 3, 3).requires_grad_()
    valid = torch.cat([torch.ones(2, 1, 3, 3), torch.zeros(2, 1, 3, 3)])
    y = PatientNorm(2)(x, valid, 2)
    (y * valid).sum().backward()
    assert y.isfinite().all()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert not x.grad[2:].any()


def test_half_precision_is_normalised_in_single_precision() -> None:
    x = (200 + features(4, 2, 16, 16)).half()  # its squares add up to far more than half precision holds
    y = PatientNorm(2)(x, None, 1)
    assert y.dtype == torch.float16
    torch.testing.assert_close(y.float(), PatientNorm(2)(x.float(), None, 1), rtol=0, atol=2e-3)


def test_recorded_statistics_are_those_of_what_was_recorded_whatever_comes_then() -> None:
    norm = unlike_the_beginning(PatientNorm(3))
    first, other = features(4, 3, 5, 5), 5 + 3 * features(2, 3, 5, 5, seed=1)
    valid = some_mask(4, 1, 5, 5)
    with patient_statistics(norm):
        with recording_statistics(norm):
            recorded = norm(first, valid, 1)
        torch.testing.assert_close(norm(first, None, 1), recorded)
        mean, variance, _ = group_statistics(first, valid, 1)
        expected = (other - mean.view(-1, 1, 1)) / (variance + VARIANCE_FLOOR).sqrt().view(-1, 1, 1)
        expected = expected * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)
        both = norm(torch.cat([first, other]), None, 1)
        torch.testing.assert_close(both[4:], expected)
        assert torch.equal(norm(other, None, 1), both[4:])
    torch.testing.assert_close(norm(other, None, 1), unlike_the_beginning(PatientNorm(3))(other, None, 1))


def test_recording_anew_forgets_what_was_recorded() -> None:
    norm = PatientNorm(3)
    with patient_statistics(norm):
        for seed in (0, 1):
            with recording_statistics(norm):
                norm(seed + features(4, 3, 5, 5, seed=seed), None, 1)
        found = norm(features(1, 3, 5, 5, seed=2), None, 1)
    with patient_statistics(norm):
        with recording_statistics(norm):
            norm(1 + features(4, 3, 5, 5, seed=1), None, 1)
        assert torch.equal(norm(features(1, 3, 5, 5, seed=2), None, 1), found)


def test_a_patient_is_forgotten_even_after_a_failure() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), PatientNorm(2), RunningNorm(2))
    norm = network[1]

    def interrupted() -> None:
        with patient_statistics(network), recording_statistics(network):
            norm(features(2, 2, 3, 3), None, 1)
            assert norm.frozen is not None
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert norm.frozen is None
    assert not norm.recording


@pytest.mark.parametrize("masked", [False, True])
def test_running_averages_are_those_of_batch_normalisation(masked: bool) -> None:
    ours, theirs = RunningNorm(3), nn.BatchNorm2d(3, eps=VARIANCE_FLOOR)
    valid = some_mask(4, 1, 5, 6) if masked else None
    for seed in range(3):
        x = 2 + 3 * features(4, 3, 5, 6, seed=seed)
        ours_in, theirs_in = x.clone().requires_grad_(), x.clone().requires_grad_()
        found = ours(ours_in, valid, 2)
        if valid is None:
            kept, expected = found, theirs(theirs_in)
        else:  # the library's, given the valid pixels alone as one long slice
            chosen = valid.bool().expand_as(x).movedim(1, 0)
            kept = found.movedim(1, 0)[chosen].view(3, -1)
            expected = theirs(theirs_in.movedim(1, 0)[chosen].view(1, 3, 1, -1)).view(3, -1)
        torch.testing.assert_close(kept, expected, rtol=1e-4, atol=1e-5)
        kept.pow(3).sum().backward()
        expected.pow(3).sum().backward()
        torch.testing.assert_close(ours_in.grad, theirs_in.grad, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(ours.norm.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.norm.running_var, theirs.running_var)
    x = features(2, 3, 5, 6, seed=9)
    torch.testing.assert_close(ours.eval()(x, some_mask(2, 1, 5, 6), 1), theirs.eval()(x))


def test_the_switch_chooses() -> None:
    assert isinstance(make_norm(4, patient_wise=True), PatientNorm)
    assert isinstance(make_norm(4, patient_wise=False), RunningNorm)


@pytest.mark.parametrize("masked", [True, False])
def test_what_is_compiled_is_the_same_function_and_gradient(monkeypatch: pytest.MonkeyPatch, *, masked: bool) -> None:
    torch.manual_seed(0)
    x, valid = torch.randn(4, 3, 6, 5), (torch.rand(4, 1, 6, 5) > 0.3).float() if masked else None
    found = []
    for compiling in (False, True):
        monkeypatch.setattr(torch.compiler, "is_compiling", lambda compiling=compiling: compiling)
        norm, seen = PatientNorm(3), x.clone().requires_grad_()
        y = norm(seen, valid, 2)
        (y.square() * torch.arange(5)).sum().backward()
        found.append([y, seen.grad, norm.weight.grad, norm.bias.grad])
    for one, other in zip(*found, strict=True):
        assert torch.allclose(one, other, rtol=1e-4, atol=1e-3)
