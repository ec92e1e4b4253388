"""How large a batch may be: as many groups as the memory of a GPU has room for, found by trying."""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from math import prod

import numpy as np
import torch
from lightning_fabric import Fabric

from crgan.config import Config, NetworkSettings
from crgan.errors import fail
from crgan.networks.build import make_discriminator, make_generator, make_refiner
from crgan.sequences.sampler import TrainingCase
from crgan.training.adversarial import AdversarialStage
from crgan.training.patients import Patients
from crgan.training.refinement import RefinementStage
from crgan.training.stage import Stage

# The rest is for validation, and for what lies free in pieces that are too small.
_MOST_TAKEN = 0.9


def fill_memory(fabric: Fabric, config: Config, patients: Patients) -> Config:
    """Choose how many groups a batch of each network has: the most that fit, and no more than there are patients.

    Parameters
    ----------
    fabric
        For trials and nothing else.
    config
        The run's settings, none left to be derived.
    patients
        Whose batches are tried.

    Raises
    ------
    CrganError
        If a network does not fit with a single group.
    """
    most = len({case.patient_id for case in patients.train})
    for network in ("generator", "refiner")[: 1 + config.has_refiner]:
        groups = largest(partial(_fits, fabric, config, patients, network), most)
        if not groups:
            raise fail(
                f"The {network} does not fit into the GPU's memory, not even with a batch of one group.",
                where=str(fabric.device),
                fix=f"choose smaller {network}.crops, fewer {network}.widths, a smaller batch.sequences or batch.length, "
                "or precision=bf16-mixed",
            )
        config = _with(config, network, groups=groups)
    return config


def largest(fits: Callable[[int], bool], most: int) -> int:
    """Find the largest number from 1 to ``most`` that fits, where all below one that fits do; 0 if none does."""
    good, bad = 0, most + 1
    while bad - good > 1:
        tried = max(1, min(2 * good, (good + bad) // 2))
        if fits(tried):
            good = tried
        else:
            bad = tried
    return good


def require_gpu(fabric: Fabric) -> None:
    """Refuse to look anywhere but on one GPU (``CrganError``): only there does running out of memory leave the process alive."""
    if fabric.device.type != "cuda" or fabric.world_size > 1:
        raise fail(
            "The largest batch that fits is looked for on one GPU.",
            where="batch.find",
            expected="one GPU",
            got=f"{fabric.world_size} × {fabric.device.type}",
            fix="leave it out: on processors larger batches are no faster; for several GPUs find the groups on one, and multiply them",
        )


def _fits(fabric: Fabric, config: Config, patients: Patients, network: str, groups: int) -> bool:
    """Whether a step of a network, with the crop that has the most pixels, leaves some of the memory free."""
    settings: NetworkSettings = getattr(config, network)
    crops = settings.crops or {}
    trial = _with(config, network, groups=groups).model_copy(
        update={"compile": False, "planes": (max(crops, key=lambda p: prod(crops[p])),)}
    )
    try:
        with torch.random.fork_rng(devices=[]):
            _MAKERS[network](fabric, trial, patients).step(1, 1)  # the last of all steps: the discriminator has joined in
    except torch.OutOfMemoryError:
        return False
    finally:
        taken = _taken(fabric.device)
    return taken <= _MOST_TAKEN


def _taken(device: torch.device) -> float:
    """The largest share of a GPU's memory, without what others hold of it, that was taken since this was last asked."""
    gc.collect()
    peak = torch.cuda.max_memory_reserved(device)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    return peak / (torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device))


def _generator_stage(fabric: Fabric, config: Config, patients: Patients) -> Stage:
    sizes = {"modalities": len(patients.pipeline.modalities), "targets": len(patients.labels.targets)}
    cases = [TrainingCase(stored=case) for case in patients.train]
    return AdversarialStage(
        fabric,
        config,
        patients.labels,
        generator=make_generator(config, **sizes, exclusive=patients.labels.exclusive),
        discriminator=make_discriminator(config, **sizes) if config.has_discriminator else None,
        sampler=patients.sampler(config, config.generator, cases, 0),
        validation=(),
    )


def _refiner_stage(fabric: Fabric, config: Config, patients: Patients) -> Stage:
    """A stage before there is a generator: what it says of the patients takes as much memory whatever it is."""
    targets = len(patients.labels.targets)
    channels = targets + config.refinement.discriminator_map
    cases = [TrainingCase(stored=case, probabilities=np.broadcast_to(np.float16(0), (channels, *case.shape))) for case in patients.train]
    return RefinementStage(
        fabric,
        config,
        patients.labels,
        refiner=make_refiner(config, modalities=len(patients.pipeline.modalities), targets=targets),
        sampler=patients.sampler(config, config.refiner, cases, 1),
        validation=(),
    )


_MAKERS: dict[str, Callable[[Fabric, Config, Patients], Stage]] = {"generator": _generator_stage, "refiner": _refiner_stage}


def _with(config: Config, network: str, *, groups: int) -> Config:
    settings: NetworkSettings = getattr(config, network)
    return config.model_copy(update={network: settings.model_copy(update={"groups": groups})})
