"""Which patients are for what; all cases of a patient are on the same side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crgan.cases.case import Dataset
from crgan.cases.splits import hold_out, read_split
from crgan.config import DataSettings
from crgan.errors import fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """Patient ids by purpose.

    Parameters
    ----------
    train
        Fit the weights and the preprocessing.
    validation
        Choose checkpoints and the dial.
    test
        Not read at all while training.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def trained_on(self) -> frozenset[str]:
        """Every patient that training reads."""
        return frozenset((*self.train, *self.validation))

    def to_json(self) -> dict[str, list[str]]:
        """Plain values for a JSON file; the refiner learns from the generator's training patients."""
        return {
            "train": list(self.train),
            "validation": list(self.validation),
            "refinement": list(self.train),
            "calibration": [],
            "test": list(self.test),
        }


def divide(dataset: Dataset, settings: DataSettings, *, seed: int) -> Partition:
    """Divide the labelled patients of a data set.

    Parameters
    ----------
    dataset
        The cases.
    settings
        The split file and fold, if any, how many of the training patients to validate on, and how many to train on.
    seed
        Draws the validation patients, and those to train on where not all are wanted.

    Raises
    ------
    CrganError
        If fewer than two patients are left to train and validate on, or fewer than are wanted, the split file does not
        fit, or there is a fold without a split file.
    """
    if settings.fold is not None and settings.split is None:
        raise fail("A fold was chosen, but no split file.", where=f"--fold {settings.fold}", fix="name the file with --split")
    patients = {case.patient_id for case in dataset.labelled}
    test: set[str] = set()
    if settings.split is not None:
        split = read_split(settings.split, dataset, fold=settings.fold)
        patient_of = {case.case_id: case.patient_id for case in dataset.cases}
        test = {patient_of[case_id] for case_id in split.test}
        patients &= {patient_of[case_id] for case_id in split.train}
    if len(patients) < 2:
        raise fail(
            "There are too few labelled patients to train on.",
            where=dataset.root,
            expected="at least 2, one to train on and one to validate on",
            got=str(len(patients)),
            fix="add patients; if cases of one patient were taken for one, say how they are told apart with --group",
        )
    cases = sum(case.patient_id in patients for case in dataset.labelled)
    # Patients that no validation would look at are better learned from.
    fraction = min(settings.validation, settings.validation_cases / cases)
    rest, held = hold_out(sorted(patients), fraction=fraction, seed=seed)
    return Partition(train=_some(rest, settings.training_patients, dataset, seed=seed), validation=tuple(held), test=tuple(sorted(test)))


def _some(patients: Sequence[str], wanted: int | None, dataset: Dataset, *, seed: int) -> tuple[str, ...]:
    """So many of the patients, all if None; fewer are always among more, so that what more of them bring can be told."""
    if wanted is None:
        return tuple(patients)
    if wanted > len(patients):
        raise fail(
            "There are fewer patients to train on than wanted.",
            where=dataset.root,
            expected=f"data.training_patients up to {len(patients)}",
            got=str(wanted),
            fix="lower data.training_patients, or leave it out",
        )
    drawn = np.random.default_rng([seed, 1]).permutation(len(patients))[:wanted]
    return tuple(patients[number] for number in sorted(drawn.tolist()))
