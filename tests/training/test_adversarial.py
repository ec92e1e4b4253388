from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from crgan.sequences.batch import Batch, Share
from crgan.sequences.sampler import Sampler

FROM_THE_START = "adversarial.begin=0"


def weights(stage, name: str = "generator") -> dict[str, Tensor]:
    return {key: value.clone() for key, value in stage.modules[name].state_dict().items()}


def joined(batches: list[Batch]) -> Batch:
    """One batch with the groups of several."""
    names = ("images", "targets", "valid", "known")
    whole = {name: torch.cat([getattr(batch, name) for batch in batches]) for name in names}
    count = sum(batch.share.whole for batch in batches)
    groups = sum(batch.groups for batch in batches)
    return replace(batches[0], **whole, groups=groups, share=Share(count, slice(0, count)))


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(value, second[key]) for key, value in first.items())


def test_the_same_steps_give_the_same_weights_bit_for_bit(adversarial_stage) -> None:
    stages = [adversarial_stage(FROM_THE_START) for _ in range(2)]
    figures = [[stage.step(number, 4) for number in range(3)] for stage in stages]
    assert figures[0] == figures[1]
    assert same(weights(stages[0]), weights(stages[1]))
    assert same(weights(stages[0], "discriminator"), weights(stages[1], "discriminator"))


def test_another_seed_gives_others(adversarial_stage) -> None:
    first, second = (adversarial_stage(seed=seed).step(0, 4) for seed in (0, 1))
    assert first["loss"] != second["loss"]


@pytest.mark.parametrize(
    ("begin", "total", "joined"),
    [(0, 10, range(10)), (0, None, range(10)), (0.67, 10, range(7, 10)), (0.67, None, ()), (0.5, 10, range(5, 10))],
)
def test_the_discriminator_joins_in_when_it_is_to(adversarial_stage, begin: float, total: int | None, joined: range) -> None:
    stage = adversarial_stage(f"adversarial.begin={begin}")
    for number in (0, 4, 5, 6, 7, 9):
        before = weights(stage, "discriminator")
        figures = stage.step(number, total)
        assert ({"judge", "deceive"} <= {*figures}) == (number in joined)
        assert same(before, weights(stage, "discriminator")) == (number not in joined)


def test_without_weight_the_discriminator_changes_nothing_in_the_generator(adversarial_stage) -> None:
    with_one = adversarial_stage(FROM_THE_START, "adversarial.weight=0", system="rnn-cgan")
    without = adversarial_stage(system="rnn-unet")
    for number in range(3):
        with_one.step(number, 3)
        without.step(number, 3)
    assert same(weights(with_one), weights(without))
    heavy = adversarial_stage(FROM_THE_START, "adversarial.weight=1", system="rnn-cgan")
    heavy.step(0, 3)
    assert not same(weights(heavy), weights(with_one))


def test_the_generators_loss_does_not_train_the_discriminator(adversarial_stage) -> None:
    stages = [adversarial_stage(FROM_THE_START, f"adversarial.weight={weight}") for weight in (0, 1)]
    for stage in stages:
        stage.step(0, 4)
    assert same(*(weights(stage, "discriminator") for stage in stages))


@pytest.mark.parametrize(("smoothing", "low", "high"), [(0.0, 0.0, 1.0), (0.2, 0.1, 0.9)])
def test_the_truth_is_softened_sequence_by_sequence(adversarial_stage, smoothing: float, low: float, high: float) -> None:
    stage = adversarial_stage(f"adversarial.smoothing={smoothing}")
    targets = torch.zeros(64, 2, 2, 3, 3)
    targets[:, :, :, 1] = 1
    soft = stage._soften(targets, Share(len(targets), slice(None)), 5)
    assert float(soft[targets == 0].max()) <= low
    assert float(soft[targets == 1].min()) >= high
    if smoothing:
        shares = soft[:, 0, 0, 0, 0]
        assert float(shares.max() - shares.min()) > 0.5 * low  # not the same for all
        assert torch.equal(soft, soft[:, :1, :1, :, :1].expand_as(soft))  # but the same within a sequence
    assert torch.equal(soft, stage._soften(targets, Share(len(targets), slice(None)), 5))
    assert smoothing == 0 or not torch.equal(soft, stage._soften(targets, Share(len(targets), slice(None)), 6))


def gradients(stage, name: str) -> dict[str, Tensor]:
    return {key: value.grad.clone() for key, value in stage.modules[name].named_parameters()}


@pytest.mark.parametrize("system", ["rnn-unet", "rnn-cgan"])
def test_two_batches_make_the_step_of_one_with_the_groups_of_both(adversarial_stage, monkeypatch, system: str) -> None:
    """Where the loss is a mean over pixels, of which both know as many: then only rounding differs."""
    inside = ("planes=[axial]", "generator.crops={axial: [8, 8]}", "augmentation.rotation_degrees=0", "augmentation.scale=0")
    plain = ("adversarial.smoothing=0", "generator_optimisation.dice=0", "generator_optimisation.clip=null")
    settings = (FROM_THE_START, *inside, *plain)
    apart, together = (adversarial_stage(*settings, f"batch.accumulate={k}", system=system) for k in (2, 1))
    batches = apart._sampler.step(3, torch.device("cpu"))
    assert all(bool(batch.known.all()) for batch in batches)
    monkeypatch.setattr(Sampler, "batch", lambda *_: joined(batches))
    whole = together.step(3, 8)
    monkeypatch.undo()
    figures = apart.step(3, 8)
    assert figures.keys() == whole.keys()
    assert figures == pytest.approx(whole, abs=1e-5)
    for name in apart.modules:
        ours, theirs = gradients(apart, name), gradients(together, name)
        assert all(torch.allclose(ours[key], theirs[key], atol=1e-5, rtol=1e-3) for key in ours)


def test_a_discriminator_that_comes_in_late_slows_the_steps_down(adversarial_stage) -> None:
    paces = [adversarial_stage(f"batch.accumulate={k}", system=system).pace for system, k in (("cgan", 2), ("cgan", 1), ("unet", 2))]
    assert paces == sorted(paces)
    assert paces[-1] == 1


def test_the_dice_loss_is_the_mean_over_the_batches(adversarial_stage) -> None:
    dice = ("generator_optimisation.cross_entropy=0", "generator_optimisation.learning_rate=1e-12")
    single = adversarial_stage(*dice, system="rnn-unet")
    losses = [single.step(number, None)["loss"] for number in (4, 5)]
    double = adversarial_stage(*dice, "batch.accumulate=2", system="rnn-unet")
    assert double.step(2, None)["loss"] == pytest.approx(np.mean(losses), abs=1e-6)


def test_noise_is_a_channel_of_its_own_and_of_the_step(adversarial_stage) -> None:
    stage = adversarial_stage(noise_channel=True)
    images = torch.full((4, 3, 2, 16, 16), 7.0)
    noisy = stage._with_noise(images, Share(len(images), slice(None)), 3)
    assert noisy.shape == (4, 3, 3, 16, 16)
    assert torch.equal(noisy[:, :, :2], images)
    noise = noisy[:, :, 2]
    assert abs(float(noise.mean())) < 0.1
    assert float(noise.std()) == pytest.approx(1, abs=0.1)
    assert torch.equal(noisy, stage._with_noise(images, Share(len(images), slice(None)), 3))
    assert not torch.equal(noise, stage._with_noise(images, Share(len(images), slice(None)), 4)[:, :, 2])
    assert stage.step(0, 4)["loss"] > 0


def test_noise_differs_from_patient_to_patient_and_not_from_time_to_time(adversarial_stage) -> None:
    stage = adversarial_stage(noise_channel=True)
    (case,) = stage._validation
    first = stage.generate(case)
    assert (first == stage.generate(case)).all()
    assert (first != stage.generate(replace(case, case_id="another"))).any()


def test_validation_measures_whole_volumes_and_training_goes_on_after_it(adversarial_stage) -> None:
    stages = [adversarial_stage(patient_wise=False) for _ in range(2)]  # batch normalisation is where the modes differ
    scores = []
    for number in range(3):
        for validated, stage in zip((True, False), stages, strict=True):
            stage.step(number, 3)
            if validated:
                scores.append(stage.validate())
    assert same(*map(weights, stages))
    assert all(0 <= score[name] <= 1 for score in scores for name in ("dice", "fnr"))


def test_what_is_generated_lies_on_the_cases_grid(adversarial_stage) -> None:
    stage = adversarial_stage()
    (case,) = stage._validation
    said = stage.generate(case)
    assert said.shape == (2, *case.shape)
    assert said.dtype == np.float16
    assert (said >= 0).all()
    assert (said <= 1).all()


def test_what_nobody_annotated_teaches_nothing(adversarial_stage, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = Sampler.batch
    stages = []
    for wrong in (0.0, 1.0):

        def batch(self, step, device, wrong=wrong):
            drawn = draw(self, step, device)
            known = drawn.known.clone()
            known[..., ::2] = 0
            return replace(drawn, known=known, targets=torch.where(drawn.valid > known, wrong, drawn.targets))

        monkeypatch.setattr(Sampler, "batch", batch)
        stage = adversarial_stage(FROM_THE_START)
        figures = [stage.step(number, 3) for number in range(3)]
        stages.append((figures, weights(stage), weights(stage, "discriminator")))
    assert stages[0][0] == stages[1][0]
    assert same(stages[0][1], stages[1][1])
    assert same(stages[0][2], stages[1][2])


@pytest.mark.parametrize(
    ("backend", "patient_wise"),
    [("aot_eager", True), ("aot_eager", False), pytest.param("inductor", True, marks=pytest.mark.slow)],
)
def test_compiled_networks_learn_alike(adversarial_stage, monkeypatch, backend: str, *, patient_wise: bool) -> None:
    settings = (FROM_THE_START, "generator.widths=[4,8]", "planes=[axial]", f"patient_wise={patient_wise}")
    torch.compiler.reset()
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    plain, compiled = (adversarial_stage(*settings, f"compile={flag}") for flag in (False, True))
    assert weights(plain).keys() == weights(compiled).keys()
    for number in range(3):
        expected, losses = (stage.step(number, 8) for stage in (plain, compiled))
        assert losses == pytest.approx(expected, abs=1e-4)
    assert compiled.validate() == pytest.approx(plain.validate(), abs=0.02)
