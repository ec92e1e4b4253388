"""The parts of a stage, on small patients."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning_fabric import Fabric

from crgan.config import Config
from crgan.networks.build import make_discriminator, make_generator, make_refiner
from crgan.planning import derive_settings
from crgan.progress import Silent
from crgan.sequences.sampler import TrainingCase
from crgan.training.adversarial import AdversarialStage
from crgan.training.patients import Patients
from crgan.training.refinement import RefinementStage, with_errors


@pytest.fixture(scope="session")
def fabric() -> Fabric:
    return Fabric(accelerator="cpu", devices=1)


@pytest.fixture(scope="session")
def adversarial_stage(patients: Path, small_config: Callable[..., Config], fabric: Fabric) -> Callable[..., AdversarialStage]:
    """Make a stage with networks that are the same for the same seed."""

    def make(*overrides: str, seed: int = 0, **named: object) -> AdversarialStage:
        config = small_config(*overrides, seed=seed, **named)
        found = Patients(patients, config, None, Silent())
        config = derive_settings(config, found.fingerprint)
        sizes = {"modalities": 2, "targets": 2}
        torch.manual_seed(seed)
        generator = make_generator(config, **sizes, exclusive=False)
        torch.manual_seed(seed)
        discriminator = make_discriminator(config, **sizes) if config.has_discriminator else None
        cases = [TrainingCase(stored=case) for case in found.train]
        return AdversarialStage(
            fabric,
            config,
            found.labels,
            generator=generator,
            discriminator=discriminator,
            sampler=found.sampler(config, config.generator, cases, 0),
            validation=found.validation,
        )

    return make


@pytest.fixture(scope="session")
def refinement_parts(
    patients: Path, small_config: Callable[..., Config], fabric: Fabric, adversarial_stage: Callable[..., AdversarialStage]
) -> Callable[..., SimpleNamespace]:
    """Make a refinement stage after a generator of a few steps, together with its validation cases and what the generator said of them."""

    def make(*overrides: str, generator_steps: int = 6) -> SimpleNamespace:
        earlier = adversarial_stage("generator_optimisation.learning_rate=0.02", system="rnn-unet+refinement")
        for number in range(generator_steps):
            earlier.step(number, generator_steps)
        config = small_config("refinement.candidate=0.1", *overrides)
        found = Patients(patients, config, None, Silent())
        config = derive_settings(config, found.fingerprint)
        torch.manual_seed(1)
        refiner = make_refiner(config, modalities=2, targets=2)
        cases = [with_errors(case, earlier.generate(case), config, found.labels) for case in found.train]
        validation = [(case, earlier.generate(case)) for case in found.validation]
        stage = RefinementStage(
            fabric,
            config,
            found.labels,
            refiner=refiner,
            sampler=found.sampler(config, config.refiner, cases, 1),
            validation=validation,
        )
        return SimpleNamespace(stage=stage, config=config, labels=found.labels, cases=cases, validation=validation, patients=found)

    return make
