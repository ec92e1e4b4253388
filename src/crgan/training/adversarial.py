"""The adversarial stage: the generator learns from the truth and from the discriminator (paper, section 2.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn

from crgan.cases.labels import LabelScheme
from crgan.config import Config
from crgan.networks.composition import target_probabilities
from crgan.preprocessing.stored import StoredCase
from crgan.sequences.batch import Batch, Share
from crgan.sequences.sampler import Sampler
from crgan.sweep.volumes import decide, generate, judge
from crgan.training.losses import deceive_loss, judge_loss, segmentation_loss
from crgan.training.stage import Losses, descend, set_up
from crgan.training.validation import compare_targets, mean_scores

# The discriminator comes in late, and the first steps are without it: measured in the last third of recipe `default`. Where
# several batches make a step, the generator then segments each twice.
_PACE_WITH_DISCRIMINATOR, _PACE_SEGMENTING_TWICE = 0.9, 0.82


class AdversarialStage:
    """Trains the generator and, if the system has one, the discriminator.

    Parameters
    ----------
    fabric
        Devices, precision and gradients.
    config
        The run's settings, none left to be derived.
    labels
        What the targets are.
    generator, discriminator
        The networks; no discriminator in the systems without one.
    sampler
        Mini-batches of the training patients.
    validation
        Cases that are validated on; none of them is in the sampler.
    name
        Of the stage, where several generators are trained.
    keep_at
        Shares of the steps after which the weights are kept, too.
    """

    pace = 1.0

    def __init__(
        self,
        fabric: Fabric,
        config: Config,
        labels: LabelScheme,
        *,
        generator: nn.Module,
        discriminator: nn.Module | None,
        sampler: Sampler,
        validation: Sequence[StoredCase],
        name: str = "adversarial",
        keep_at: Sequence[float] = (),
    ) -> None:
        self.name = name
        self.keep_at = keep_at
        self._fabric = fabric
        self._config = config
        self._labels = labels
        self._sampler = sampler
        self._validation = validation
        self._generator, optimiser = set_up(fabric, generator, config.generator_optimisation, compiled=config.compile)
        modules, optimisers = {"generator": generator}, {"generator": optimiser}
        self._discriminator: Any = None  # as Fabric wraps it
        if discriminator is not None:
            # As it is: PyTorch warns of every input of compiled code that is another network's output.
            own = config.discriminator_optimisation
            self._discriminator, optimisers["discriminator"] = set_up(fabric, discriminator, own, compiled=False)
            modules["discriminator"] = discriminator
            self.pace = _PACE_WITH_DISCRIMINATOR if sampler.accumulate == 1 else _PACE_SEGMENTING_TWICE
        self.modules: Mapping[str, nn.Module] = modules
        self.optimisers: Mapping[str, torch.optim.Optimizer] = optimisers

    def step(self, number: int, total: int | None) -> dict[str, float]:
        """Train one step; see :class:`~crgan.training.stage.Stage`."""
        begin = self._config.adversarial.begin
        judging = self._discriminator is not None and (begin == 0 or (total is not None and number >= begin * total))
        batches = self._sampler.step(number, self._fabric.device)
        self._generator.train()
        # The discriminator learns from all batches before the generator does. The features of several have no room at once: these
        # are segmented again.
        known = self._segment(batches[0]) if len(batches) == 1 else None

        def judge_losses(batch: Batch) -> Losses:
            with torch.no_grad():
                logits = self._segment(batch) if known is None else known
            return self._judge_losses(batch, target_probabilities(logits.detach(), exclusive=self._labels.exclusive))

        def losses(batch: Batch) -> Losses:
            return self._losses(batch, self._segment(batch) if known is None else known, judging=judging)

        take = partial(descend, self._fabric, batches, step=number, total=total)
        figures: dict[str, Tensor] = {}
        if judging:
            self._discriminator.train()
            self._discriminator.requires_grad_(requires_grad=True)
            figures |= take(
                judge_losses, self._discriminator, self.optimisers["discriminator"], settings=self._config.discriminator_optimisation
            )
            self._discriminator.requires_grad_(requires_grad=False)
        figures |= take(losses, self._generator, self.optimisers["generator"], settings=self._config.generator_optimisation)
        return {name: float(value) for name, value in figures.items()}

    def validate(self) -> dict[str, float]:
        """Measure the generator alone on whole validation volumes."""
        return self.measure(self._validation)

    def measure(self, cases: Sequence[StoredCase]) -> dict[str, float]:
        """Measure the generator alone on whole volumes."""
        exclusive = self._labels.exclusive
        return mean_scores(
            compare_targets(decide(probabilities, exclusive=exclusive), case, self._labels)
            for case in cases
            for probabilities in [self.generate(case)]
        )

    def generate(self, case: StoredCase) -> NDArray[np.float16]:
        """Give what the generator says of a prepared case: ``(K, Z, Y, X)``."""
        generator = self.modules["generator"].eval()
        targets = len(self._labels.targets)
        return generate(generator, case.image, self._config, targets=targets, exclusive=self._labels.exclusive, case_id=case.case_id)

    def judge(self, case: StoredCase, probabilities: NDArray[np.float16]) -> NDArray[np.float16]:
        """Give what the discriminator thinks of what the generator says: ``(1, Z, Y, X)``."""
        return judge(self.modules["discriminator"].eval(), case.image, probabilities, self._config)

    def _segment(self, batch: Batch) -> Tensor:
        logits: Tensor = self._generator(self._with_noise(batch.images, batch.share, batch.number), batch.valid, groups=batch.groups)
        return logits

    def _losses(self, batch: Batch, logits: Tensor, *, judging: bool) -> Losses:
        """What the generator pays."""
        settings, exclusive = self._config.generator_optimisation, self._labels.exclusive
        loss = segmentation_loss(logits, batch.targets, batch.known, exclusive=exclusive, settings=settings)
        if not judging:
            return loss, {"loss": loss}
        fake = target_probabilities(logits, exclusive=exclusive)
        with self._fabric.no_backward_sync(self._discriminator):  # its gradients, of which there are none here
            judged = self._discriminator(batch.images, fake, batch.valid, groups=batch.groups)
        deceive = deceive_loss(judged, batch.known)
        return loss + self._config.adversarial.weight * deceive, {"loss": loss, "deceive": deceive}

    def _judge_losses(self, batch: Batch, fake: Tensor) -> Losses:
        """What the discriminator pays."""
        # What nobody annotated looks the same in both, or the two would be told apart by it.
        real = self._soften(batch.targets, batch.share, batch.number).where(batch.valid == batch.known, fake)
        # Separate passes, because patient-wise statistics over real and fake together would mix the two.
        judged_real = self._discriminator(batch.images, real, batch.valid, groups=batch.groups)
        judged_fake = self._discriminator(batch.images, fake, batch.valid, groups=batch.groups)
        loss = judge_loss(judged_real, judged_fake, batch.known)
        return loss, {"judge": loss}

    def _soften(self, targets: Tensor, share: Share, number: int) -> Tensor:
        """Take the hardness from the truth, by which it could be told from probabilities."""
        most = self._config.adversarial.smoothing
        classes = targets.shape[2] + 1 if self._labels.exclusive else 2
        soft = torch.rand((share.whole, 1, 1, 1, 1), generator=self._random(number, 1), device=targets.device)[share.part] * most
        return (1 - soft) * targets + soft / classes

    def _with_noise(self, images: Tensor, share: Share, number: int) -> Tensor:
        if not self._config.noise_channel:
            return images
        shape = (share.whole, images.shape[1], 1, *images.shape[3:])
        noise = torch.randn(shape, generator=self._random(number, 2), device=images.device)[share.part]
        return torch.cat([images, noise], dim=2)

    def _random(self, number: int, purpose: int) -> torch.Generator:
        """Make a generator whose numbers depend on the run's seed, the step and the purpose alone."""
        seed = hash((*self._sampler.seed, number, purpose)) & (2**62 - 1)  # of integers alone, so the same in every process
        return torch.Generator(self._fabric.device).manual_seed(seed)
