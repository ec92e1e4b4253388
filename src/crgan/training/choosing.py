"""What is chosen on validation patients once the networks are trained: the dial, and the temperatures of the probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from crgan.cases.labels import LabelScheme
from crgan.evaluation.tally import Counts
from crgan.evaluation.temperature import Temperature, Temperatures, fit_temperature
from crgan.model import Model
from crgan.preprocessing.fingerprint import Fingerprint
from crgan.preprocessing.stored import StoredCase
from crgan.progress import Progress
from crgan.training.dial import find_dial
from crgan.training.judged import Judged, judge

# Experts leave a voxel aside here and there, and a thin structure ends in one slice and goes on two below.
_NEARLY_ALL = 0.9
_ENOUGH_CASES = 5


def choose(model: Model, validation: Sequence[StoredCase], progress: Progress) -> Model:
    """Give a trained model its dial and its temperatures, by whole validation volumes."""
    judged = []
    with progress.task("choosing the dial", len(validation)) as task:
        for case in validation:
            judged.append(judge(model, case))
            task.advance()
    return with_choices(model, judged)


def with_choices(model: Model, judged: Sequence[tuple[Judged, Judged | None]]) -> Model:
    """Choose by what was said of validation cases: by the generator alone, and by the system."""
    labels, alone = model.labels, [generator for generator, _ in judged]
    system = [refined for _, refined in judged if refined is not None]
    whole = whole_targets(model.fingerprint, labels)
    dial = find_dial(alone, labels, refined=False, whole=whole)
    return replace(
        model,
        generator_dial=dial,
        dial=dial if model.refiner is None else find_dial(system, labels, refined=True, whole=whole),
        temperatures=Temperatures(generator=_fit(alone, labels), refiner=_fit(system, labels) if model.refiner is not None else {}),
    )


def whole_targets(fingerprint: Fingerprint, labels: LabelScheme) -> set[str]:
    """The targets that patients have in one connected piece, as organs are and lesions are not, by the labels of the training cases."""
    if not labels.exclusive or labels.instances:
        return set()
    return {
        target
        for target, code in zip(labels.targets, fingerprint.codes, strict=True)
        if code.cases >= _ENOUGH_CASES and code.whole >= _NEARLY_ALL * code.cases
    }


def _fit(cases: Sequence[Judged], labels: LabelScheme) -> Mapping[str, Temperature]:
    owners = list(dict.fromkeys(case.patient for case in cases))
    found = {}
    for number, target in enumerate(labels.targets):
        counts: list[Counts] = [np.sum([case.levels[number] for case in cases if case.patient == owner], axis=0) for owner in owners]
        found[target] = fit_temperature(counts)
    return found
