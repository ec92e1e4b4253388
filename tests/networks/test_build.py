"""The networks that settings ask for: all systems, their shapes and what they cost."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from crgan.config import SYSTEMS, Config, NetworkSettings
from crgan.networks.build import expect_rarity, make_discriminator, make_generator, make_refiner, start_from_generator
from crgan.networks.composition import corrected_logits, target_probabilities
from crgan.networks.normalization import PatientNorm, RunningNorm
from crgan.networks.recurrence import BidirectionalConvLSTM

SMALL = NetworkSettings(widths=(4, 6, 8), recurrent_width=5, coarseness=1, crops={"axial": (8, 16)}, groups=2)
LARGER = SMALL.model_copy(update={"widths": (4, 6, 8, 10)})


def settings(system: str, *, patient_wise: bool = True, noise_channel: bool = False, length: int = 3) -> Config:
    config = Config(system=system, patient_wise=patient_wise, noise_channel=noise_channel, generator=SMALL, refiner=LARGER)
    return config.model_copy(update={"batch": config.batch.model_copy(update={"length": length})})


def kinds(network: nn.Module) -> set[type]:
    return {type(module) for module in network.modules()} & {PatientNorm, RunningNorm, BidirectionalConvLSTM}


@pytest.fixture(scope="module")
def network_cost(repository: Path) -> Iterator[ModuleType]:
    """The benchmark, as a module."""
    spec = importlib.util.spec_from_file_location("network_cost", repository / "benchmarks" / "network_cost.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["network_cost"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["network_cost"]


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize(("patient_wise", "noise"), list(product([False, True], repeat=2)))
def test_all_systems(system: str, exclusive: bool, patient_wise: bool, noise: bool) -> None:
    config = settings(system, patient_wise=patient_wise, noise_channel=noise)
    norm = PatientNorm if patient_wise else RunningNorm
    expected = {norm, BidirectionalConvLSTM} if system.startswith("rnn-") else {norm}
    valid = torch.ones(2, 3, 1, 8, 16)
    generator = make_generator(config, modalities=2, targets=3, exclusive=exclusive)
    assert kinds(generator) == expected
    assert generator(torch.zeros(2, 3, 2 + noise, 8, 16), valid, groups=2).shape == (2, 3, 3 + exclusive, 8, 16)
    if config.has_discriminator:
        discriminator = make_discriminator(config, modalities=2, targets=3)
        assert kinds(discriminator) == expected
        assert discriminator(torch.zeros(2, 3, 2, 8, 16), torch.zeros(2, 3, 3, 8, 16), valid, groups=2).shape == (2, 3, 1, 8, 16)
    if config.has_refiner:
        refiner = make_refiner(config, modalities=2, targets=3)  # which gets no noise, and tells missed from added
        assert kinds(refiner) == expected
        assert refiner(torch.zeros(2, 3, 2 + 3, 8, 16), valid, groups=2).shape == (2, 3, 2 * 3, 8, 16)


def test_generator_and_refiner_have_each_its_own_size() -> None:
    config = settings("rnn-cgan+refinement")
    assert make_generator(config, modalities=1, targets=1, exclusive=True).depth == 2
    assert make_refiner(config, modalities=1, targets=1).depth == 3


def test_single_slices_have_nothing_to_remember() -> None:
    config = settings("rnn-cgan+refinement", length=1)
    for network in (
        make_generator(config, modalities=1, targets=2, exclusive=True),
        make_discriminator(config, modalities=1, targets=2),
        make_refiner(config, modalities=1, targets=2),
    ):
        assert BidirectionalConvLSTM not in kinds(network)


@pytest.mark.parametrize(("exclusive", "shares"), [(True, (0.3, 0.1)), (True, (0.001, 0.02)), (False, (0.7, 0.4)), (False, (0.01, 0.001))])
def test_a_new_generator_expects_targets_as_often_as_they_are(exclusive: bool, shares: tuple[float, float]) -> None:
    generator = make_generator(settings("rnn-unet"), modalities=1, targets=2, exclusive=exclusive)
    expect_rarity(generator, shares, exclusive=exclusive)
    with torch.no_grad():
        generator.head.weight.zero_()  # what is said before anything is seen
        said = target_probabilities(generator(torch.zeros(1, 3, 1, 8, 8)), exclusive=exclusive)
    torch.testing.assert_close(said[0, 0, :, 0, 0], torch.tensor(shares))


def test_absent_targets_are_expected_hardly_ever() -> None:
    generator = make_generator(settings("rnn-unet"), modalities=1, targets=2, exclusive=True)
    expect_rarity(generator, (0.0, 1.0), exclusive=True)
    assert generator.head.bias.isfinite().all()
    assert generator.head.bias[1] < -10 + generator.head.bias[2]


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("noise", [False, True])
@pytest.mark.parametrize("system", ["unet+refinement", "rnn-cgan+refinement"])
def test_a_refiner_begins_with_what_the_generator_knows(system: str, exclusive: bool, noise: bool) -> None:
    config = settings(system, noise_channel=noise).model_copy(update={"refiner": SMALL})
    torch.manual_seed(0)
    generator = make_generator(config, modalities=2, targets=3, exclusive=exclusive)
    refiner = make_refiner(config, modalities=2, targets=3)
    start_from_generator(refiner, generator, modalities=2, exclusive=exclusive, silent=False)
    images = torch.randn(2, 3, 2, 8, 12)
    silence = torch.zeros(2, 3, 1, 8, 12)  # as the refiner has no noise channel, that of the generator says nothing
    logits = generator(torch.cat([images, silence], 2) if noise else images)
    odds = logits[:, :, 1:] - logits[:, :, :1] if exclusive else logits
    for probabilities in (torch.rand(2, 3, 3, 8, 12), torch.zeros(2, 3, 3, 8, 12)):  # which say nothing yet
        errors = refiner(torch.cat([images, probabilities], 2))
        for decided in (torch.zeros(2, 3, 3, 8, 12, dtype=torch.bool), torch.ones(2, 3, 3, 8, 12, dtype=torch.bool)):
            torch.testing.assert_close(corrected_logits(decided, errors), odds, rtol=1e-4, atol=1e-5)


def test_a_silent_refiner_has_the_generators_features_and_says_nothing() -> None:
    config = settings("rnn-cgan+refinement").model_copy(update={"refiner": SMALL})
    generator, refiner = make_generator(config, modalities=2, targets=3, exclusive=True), make_refiner(config, modalities=2, targets=3)
    start_from_generator(refiner, generator, modalities=2, exclusive=True, silent=True)
    assert not refiner(torch.randn(2, 3, 5, 8, 12)).any()
    assert torch.equal(refiner.down[1].convolution.weight, generator.down[1].convolution.weight)


def test_a_refiner_that_began_with_the_generator_leaves_it_alone() -> None:
    config = settings("rnn-cgan+refinement").model_copy(update={"refiner": SMALL})
    generator, refiner = make_generator(config, modalities=2, targets=3, exclusive=True), make_refiner(config, modalities=2, targets=3)
    start_from_generator(refiner, generator, modalities=2, exclusive=True, silent=False)
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    with torch.no_grad():
        for parameter in refiner.parameters():
            parameter.add_(1)
    assert all(torch.equal(value, before[name]) for name, value in generator.state_dict().items())


def test_sizes_that_were_not_derived_are_a_fault() -> None:
    with pytest.raises(ValueError, match="derived"):
        make_generator(Config(), modalities=1, targets=1, exclusive=True)


@pytest.mark.parametrize(
    ("depth", "recurrent", "expected"),
    # A convolution of 5 at half, quarter … resolution reaches 2 × 1, 2 × 2, 2 × 4 … pixels, on the way up one of 3 reaches 1 × 1 …
    [(1, False, 7), (1, True, 11), (2, False, 21), (2, True, 29), (3, True, 61), (4, True, 125)],
)
def test_receptive_field_by_hand(network_cost: ModuleType, depth: int, recurrent: bool, expected: int) -> None:
    def reach(pixel: int) -> int:
        """Follow the first and the last row that a pixel depends on down the decoder, over the bottleneck and up the encoder."""
        low = high = pixel
        for _ in range(depth):
            low, high = (low - 1) // 2, (high + 1) // 2
        low, high = low - recurrent, high + recurrent
        for _ in range(depth):
            low, high = 2 * low - 2, 2 * high + 2
        return high - low + 1

    assert max(reach(pixel) for pixel in range(2**depth)) == expected
    config = settings("rnn-unet" if recurrent else "unet")
    widths = (2, 3, 4, 3, 2)[: depth + 1]
    config = config.model_copy(update={"generator": SMALL.model_copy(update={"widths": widths, "recurrent_width": 2})})
    generator = make_generator(config, modalities=1, targets=1, exclusive=True)
    assert network_cost.receptive_field(generator, [1], block=2**depth) == expected


@pytest.mark.parametrize(("system", "expected"), [("cgan", 17), ("rnn-cgan", 25)])
def test_receptive_field_of_the_discriminator_by_hand(network_cost: ModuleType, system: str, expected: int) -> None:
    # 5 + 4 × 2 rows for a quarter pixel, 4 more on either side through the memory, and 4 for the second one that a resize reads.
    discriminator = make_discriminator(settings(system), modalities=1, targets=1)
    assert network_cost.receptive_field(discriminator, [1, 1], block=4) == expected


@pytest.mark.parametrize("length", [1, 5])
def test_cost_is_what_the_library_counts(network_cost: ModuleType, length: int) -> None:
    config = settings("rnn-cgan+refinement", length=length)
    generator = make_generator(config, modalities=2, targets=3, exclusive=True)
    x = torch.zeros(2, length, 2, 8, 12)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        generator(x)
    assert 2 * network_cost.multiply_adds(generator, [tuple(x.shape)]) == counter.get_total_flops()


def test_cost_by_hand(network_cost: ModuleType) -> None:
    generator = make_generator(settings("unet"), modalities=2, targets=3, exclusive=True)
    fine, half, quarter = 8 * 12, 4 * 6, 2 * 3
    down = half * 6 * 2 * 25 + quarter * 8 * 6 * 25
    up = half * 6 * (8 + 6) * 9 + fine * 4 * (6 + 2) * 9
    head = fine * 4 * 4
    assert network_cost.multiply_adds(generator, [(1, 1, 2, 8, 12)]) == down + up + head


@pytest.mark.parametrize("system", [system for system in SYSTEMS if "cgan" in system])
def test_a_pass_of_the_discriminator_costs_at_most_a_quarter_of_a_pass_of_the_generator(network_cost: ModuleType, system: str) -> None:
    for task, (modalities, targets) in product(network_cost.TASKS, [(1, 1), (1, 8), (4, 3)]):
        config = network_cost.derived(task, system=system)
        generator = make_generator(config, modalities=modalities, targets=targets, exclusive=False)
        discriminator = make_discriminator(config, modalities=modalities, targets=targets)
        images, masks = ((1, config.batch.length, channels, 16, 16) for channels in (modalities, targets))
        assert 4 * network_cost.multiply_adds(discriminator, [images, masks]) <= network_cost.multiply_adds(generator, [images])


def test_the_documentation_quotes_what_is_counted(network_cost: ModuleType, repository: Path) -> None:
    text = (repository / "docs" / "method.md").read_text(encoding="utf-8")
    assert network_cost.table() in text, "put what `python benchmarks/network_cost.py` prints into docs/method.md"
