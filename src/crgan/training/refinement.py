"""The refinement stage: the refiner learns where the generator misses and where it over-segments (paper, section 2.1)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import nn

from crgan.cases.labels import LabelScheme
from crgan.config import Config
from crgan.networks.composition import corrected_logits, error_targets, hard_decision, on_doubts
from crgan.preprocessing.stored import StoredCase
from crgan.sequences.batch import Batch
from crgan.sequences.sampler import Sampler, TrainingCase
from crgan.sweep.decision import decide_corrected
from crgan.sweep.volumes import candidate_voxels, decide, foreground_probability, refine
from crgan.training.losses import binary_loss
from crgan.training.stage import Losses, descend, set_up
from crgan.training.validation import compare_targets, mean_scores, truth_masks

# Places kept of each case to draw crops around.
_PLACES = 20_000
# Share of a target that may lie outside the candidates; tiles reach beyond them and get most of it back.
_OUTSIDE = 0.01
_CANDIDATE_BOUNDS = (0.02, 0.5)


class RefinementStage:
    """Trains the refiner on what a finished generator says.

    Parameters
    ----------
    fabric
        Devices, precision and gradients.
    config
        The run's settings, none left to be derived.
    labels
        What the targets are.
    refiner
        The network.
    sampler
        Mini-batches of the training patients, with the generator's probabilities.
    validation
        Cases that are validated on, each with what the generator (and the discriminator) said of it.
    """

    name = "refinement"
    pace = 1.0
    keep_at: Sequence[float] = ()

    def __init__(
        self,
        fabric: Fabric,
        config: Config,
        labels: LabelScheme,
        *,
        refiner: nn.Module,
        sampler: Sampler,
        validation: Sequence[tuple[StoredCase, NDArray[np.float16]]],
    ) -> None:
        self._fabric = fabric
        self._config = config
        self._labels = labels
        self._sampler = sampler
        self._validation = validation
        self._refiner, optimiser = set_up(fabric, refiner, config.refiner_optimisation, compiled=config.compile)
        self.modules: Mapping[str, nn.Module] = {"refiner": refiner}
        self.optimisers: Mapping[str, torch.optim.Optimizer] = {"refiner": optimiser}

    def step(self, number: int, total: int | None) -> dict[str, float]:
        """Train one step; see :class:`~crgan.training.stage.Stage`."""
        self._refiner.train()
        figures = descend(
            self._fabric,
            self._sampler.step(number, self._fabric.device),
            self._losses,
            self._refiner,
            self.optimisers["refiner"],
            settings=self._config.refiner_optimisation,
            step=number,
            total=total,
        )
        return {name: float(value) for name, value in figures.items()}

    def _losses(self, batch: Batch) -> Losses:
        settings = self._config.refiner_optimisation
        if batch.probabilities is None:
            message = "the refiner learns from the generator's probabilities, and the batch has none"
            raise ValueError(message)
        errors = self._refiner(torch.cat([batch.images, batch.probabilities], dim=2), batch.valid, groups=batch.groups)
        said = batch.probabilities[:, :, : len(self._labels.targets)]
        if self._config.refinement.on_doubts:
            errors = on_doubts(errors, said, exclusive=self._labels.exclusive)
        decided = hard_decision(said, exclusive=self._labels.exclusive)
        if self._config.refinement.target == "corrected":
            loss = binary_loss(corrected_logits(decided, errors), batch.targets, batch.known, settings=settings)
        else:
            masks = torch.cat(error_targets(batch.targets, decided), dim=2)
            loss = binary_loss(errors, masks, batch.known, settings=settings)
        return loss, {"loss": loss}

    def validate(self) -> dict[str, float]:
        """Measure the corrected segmentation, at the neutral dial, on whole validation volumes."""
        return mean_scores(compare_targets(masks, case, self._labels) for case, masks in self._corrected())

    def _corrected(self) -> Iterator[tuple[StoredCase, NDArray[np.bool_]]]:
        refiner, exclusive, targets = self.modules["refiner"].eval(), self._labels.exclusive, len(self._labels.targets)
        for case, said in self._validation:
            corrected, _ = refine(refiner, case.image, said, self._config, targets=targets, exclusive=exclusive)
            decided = decide(said[:targets], exclusive=exclusive)
            yield case, decide_corrected(decided, corrected, p=0.5, q=0.5, exclusive=exclusive)


def fit_candidates(said: Sequence[tuple[StoredCase, NDArray[np.float16]]], labels: LabelScheme) -> float:
    """Find the probability from which on a voxel is a candidate: the generator's own dial, turned to sensitivity.

    Parameters
    ----------
    said
        Validation cases, which the generator has not learned from, with what it said of them.
    labels
        What the targets are.

    Returns
    -------
    float
        The largest threshold that leaves no target more than 1 % of its voxels outside the candidates, within bounds.
    """
    sure: list[list[NDArray[np.floating]]] = [[] for _ in labels.targets]
    for case, probabilities in said:
        anywhere = foreground_probability(probabilities[: len(labels.targets)], exclusive=labels.exclusive)
        for found, truth in zip(sure, truth_masks(case, labels), strict=True):
            found.append(anywhere[truth])
    thresholds = [np.quantile(np.concatenate(found).astype(np.float32), _OUTSIDE) for found in sure if sum(map(len, found))]
    return float(np.clip(min(thresholds, default=_CANDIDATE_BOUNDS[0]), *_CANDIDATE_BOUNDS))


def with_errors(case: StoredCase, said: NDArray[np.float16], config: Config, labels: LabelScheme) -> TrainingCase:
    """Add to a training case what the generator says of it, where the refiner should look, and where it would help."""
    probabilities = said[: len(labels.targets)]
    known = _known(case)
    wrong = (decide(probabilities, exclusive=labels.exclusive) != truth_masks(case, labels)).any(axis=0) & known
    random = np.random.default_rng(zlib.crc32(case.case_id.encode()))
    candidates = candidate_voxels(probabilities, config, exclusive=labels.exclusive) & known
    return TrainingCase(
        stored=case,
        probabilities=said,
        candidates=_some(np.argwhere(candidates), random) if config.refinement.attend else None,
        errors=_some(np.argwhere(wrong), random),
    )


def _known(case: StoredCase) -> NDArray[np.bool_] | np.bool_:
    """Where the label counts; True for everywhere."""
    return np.True_ if case.known is None else case.known


def _some(places: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int32]:
    if len(places) > _PLACES:
        places = places[np.sort(random.choice(len(places), _PLACES, replace=False))]
    return places.astype(np.int32)
