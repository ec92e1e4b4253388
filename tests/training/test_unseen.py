"""What the refiner learns from: errors on the training patients as on new ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from crgan.config import Config
from crgan.training.checkpoint import save_state
from crgan.training.loop import best_path, snapshot_path
from crgan.training.run import train
from crgan.training.unseen import KEPT_AT, as_on_new_patients, folds


class Fitted:
    """A stage whose one weight is the Dice that it reaches on training cases."""

    def __init__(self) -> None:
        self.modules = {"generator": nn.Linear(1, 1, bias=False)}
        self.measured: list[float] = []

    @property
    def weight(self) -> float:
        return round(float(self.modules["generator"].weight.detach()), 4)

    def set(self, value: float) -> Fitted:
        with torch.no_grad():
            self.modules["generator"].weight.fill_(value)
        return self

    def measure(self, cases: list[str]) -> dict[str, float]:
        assert cases == ["some"]
        self.measured.append(self.weight)
        return {"dice": self.weight}


@pytest.fixture
def stage(tmp_path: Path) -> Fitted:
    stage = Fitted()
    for share in KEPT_AT:  # .5 to .9
        save_state(snapshot_path(tmp_path, share), stage.set(share).modules, {}, {"step": 1})
    save_state(best_path(tmp_path), stage.set(0.95).modules, {}, {"step": 2})
    return stage


@pytest.mark.parametrize(
    ("dice", "chosen", "measured"),
    [
        (0.96, 0.95, [0.95]),  # no better on training cases than on new ones: as it is
        (0.86, 0.9, [0.95, 0.9, 0.8]),
        (0.84, 0.8, [0.95, 0.9, 0.8]),
        (0.7, 0.7, [0.95, 0.9, 0.8, 0.7]),
        (0.1, 0.5, [0.95, 0.9, 0.8, 0.7, 0.6, 0.5]),  # none is as bad as that: the least fitted
    ],
)
def test_the_kept_weights_that_are_as_good_as_on_new_patients(
    stage: Fitted, tmp_path: Path, dice: float, chosen: float, measured: list[float]
) -> None:
    with as_on_new_patients(stage, tmp_path, ["some"], dice=dice):
        assert stage.weight == chosen
    assert stage.weight == 0.95
    assert stage.measured == measured


def test_folds_divide_patients_and_not_cases() -> None:
    cases = [SimpleNamespace(patient_id=f"p{number // 2}", number=number) for number in range(10)]
    parts = folds(cases, 2)
    assert [[case.number for case in part] for part in parts] == [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7]]


@pytest.mark.parametrize("errors", ["snapshots", "out-of-fold"])
def test_the_refiner_learns_from_other_errors_and_resumes(
    errors: str, patients: Path, small_config: Callable[..., Config], tmp_path: Path
) -> None:
    config = small_config(f"refinement.errors={errors}", steps=12)
    run = train(patients, tmp_path / "run", config=config)
    others = {"fold0", "fold1"} if errors == "out-of-fold" else set()
    assert {path.name for path in (run / "checkpoints").iterdir()} == {"adversarial", "refinement", "probabilities", "places"} | others
    before = (run / "model" / "refiner.safetensors").read_bytes()
    (run / "model" / "model.json").unlink()
    for path in (run / "checkpoints" / "probabilities").iterdir():  # as if it had been stopped before
        assert np.isfinite(np.load(path)).all()
        path.unlink()
    train(patients, run, config=config, resume=True)
    assert (run / "model" / "refiner.safetensors").read_bytes() == before
