"""Training patients as if they were new: what a generator says of them that has fitted them less, or never saw them.

The refiner is to learn the errors that it will meet. A generator's errors on the patients it was fitted to are fewer
than on new ones, and other; what it fits is the longer training lasts the less like them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from crgan.preprocessing.stored import StoredCase
from crgan.training.adversarial import AdversarialStage
from crgan.training.checkpoint import load_state
from crgan.training.loop import best_path, snapshot_path

# Shares of a generator's steps after which its weights are kept.
KEPT_AT = (0.5, 0.6, 0.7, 0.8, 0.9)


@contextmanager
def as_on_new_patients(stage: AdversarialStage, folder: Path, cases: Sequence[StoredCase], *, dice: float) -> Iterator[None]:
    """Within this context the generator has those of its kept weights by which it is as good on training cases as it is on new ones.

    Parameters
    ----------
    stage
        Finished, with its best weights.
    folder
        Of its checkpoints.
    cases
        Some of the training cases, to measure on.
    dice
        What the best weights reach on validation patients.
    """
    best, modules = best_path(folder), stage.modules
    tried: dict[Path, float] = {}
    try:
        for path in (best, *(snapshot_path(folder, share) for share in reversed(KEPT_AT))):
            load_state(path, modules, {})
            tried[path] = stage.measure(cases)["dice"]
            if tried[path] <= dice:
                break
        load_state(min(tried, key=lambda path: abs(tried[path] - dice)), modules, {})
        yield
    finally:
        load_state(best, modules, {})


def folds(cases: Sequence[StoredCase], count: int) -> list[list[StoredCase]]:
    """Divide cases into folds of about as many patients each, all cases of a patient in the same one."""
    patients = sorted({case.patient_id for case in cases})
    number = {patient: index % count for index, patient in enumerate(patients)}
    return [[case for case in cases if number[case.patient_id] == fold] for fold in range(count)]
