"""A study of two systems on small patients, with scores that are made up where only tables are looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml

from crgan.evaluation.scores import Scores
from crgan.study.dial_sweep import DIAL, DialSweep
from crgan.study.record import GENERATOR, Measured, Record
from crgan.study.sweeping import Counts, Sweep

SMALL = [
    *("generator.widths=[4,8,8]", "refiner.widths=[4,8,8]", "generator.groups=2", "refiner.groups=2", "validations=1", "batch.length=3"),
]


@pytest.fixture(scope="session")
def write_study() -> Callable[..., Path]:
    def write(path: Path, **values: object) -> Path:
        standard = {"steps": 4, "threads": 1, "systems": ["unet", "unet+refinement"], "set": SMALL}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({name: value for name, value in (standard | values).items() if value is not None}), encoding="utf-8")
        return path

    return write


GRID = tuple(number / 40 for number in range(1, 40))


@pytest.fixture(scope="session")
def grid() -> tuple[float, ...]:
    """Thresholds from .025 to .975."""
    return GRID


@pytest.fixture(scope="session")
def sweep_voxels() -> Callable[[Sequence[float], Sequence[float]], Counts]:
    """Count voxels of the truth and all others, with these probabilities, one by one."""
    edges = (-np.inf, *GRID, np.inf)

    def count(true: Sequence[float], other: Sequence[float]) -> Counts:
        first, second = (tuple(sum(low <= value < high for value in values) for low, high in pairwise(edges)) for values in (true, other))
        return first, second

    return count


@pytest.fixture(scope="session")
def make_record(sweep_voxels: Callable[..., Counts]) -> Callable[..., Record]:
    """Make a record whose rows have a Dice for each case and target, and voxels of the probabilities given.

    ``rows`` has for each kind: Dice by target and case; ``voxels`` the probabilities of the truth and of all else by target,
    the same for every case, of the validation patients ``v0``, ``v1`` and of the test cases.
    """

    def make(
        rows: Mapping[str, Mapping[str, Mapping[str, float | None]]],
        *,
        settings: str,
        voxels: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
        minutes: float = 2.0,
        trained_on: int = 5,
    ) -> Record:
        measured = {}
        for kind, dice in rows.items():
            targets = list(dice)
            cases = list(dice[targets[0]])
            figures = {
                case: {
                    target: {"dice": dice[target][case], "fnr": None if dice[target][case] is None else 1 - dice[target][case]}
                    for target in targets
                }
                for case in cases
            }
            seen = voxels or dict.fromkeys(targets, ((0.9, 0.8, 0.3), (0.7, 0.2, 0.1, 0.1)))
            counts = {target: sweep_voxels(*seen[target]) for target in targets}
            measured[kind] = Measured(
                scores=Scores.of(figures, patients={case: case.split("_")[0] for case in cases}),
                validation=Sweep(
                    thresholds=dict.fromkeys(targets, GRID),
                    patients={"v0": "v0", "v1": "v1"},
                    counts={target: dict.fromkeys(("v0", "v1"), counts[target]) for target in targets},
                ),
                test=Sweep(
                    thresholds=dict.fromkeys(targets, GRID),
                    patients={case: case.split("_")[0] for case in cases},
                    counts={target: dict.fromkeys(cases, counts[target]) for target in targets},
                ),
            )
        grid = [[0.5] * len(DIAL) for _ in DIAL]
        return Record(
            settings=settings,
            trained_on=trained_on,
            minutes=minutes,
            journal=[
                {
                    "stage": stage,
                    "step": "4",
                    "seconds": f"{30 * minutes}",
                    "loss": "0.5",
                    "judge": "",
                    "deceive": "",
                    "dice": "0.6",
                    "fnr": "0.3",
                }
                for stage in ("adversarial", "refinement")[: len(rows)]
            ],
            rows=measured,
            dial=dict.fromkeys(targets, (0.4, 0.6)),
            dial_sweep=DialSweep(dice=dict.fromkeys(targets, grid), fnr=dict.fromkeys(targets, grid)) if GENERATOR in rows else None,
            versions={"crgan": "0"},
        )

    return make
