from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from crgan.config import Config
from crgan.errors import CrganError
from crgan.training.reuse import generator_settings, reuse_generator
from crgan.training.run import train

SmallConfig = Callable[..., Config]


@pytest.fixture(scope="module")
def first(patients: Path, small_config: SmallConfig, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(patients, tmp_path_factory.mktemp("first") / "run", config=small_config(system="unet+refinement"))


def weights(run: Path, name: str) -> bytes:
    return (run / "model" / f"{name}.safetensors").read_bytes()


def test_the_run_ends_as_if_it_had_trained_the_generator_itself(
    first: Path, patients: Path, small_config: SmallConfig, tmp_path: Path
) -> None:
    config = small_config("refinement.warm_start=false", system="unet+refinement")
    reuse_generator(first, tmp_path / "second", config)
    train(patients, tmp_path / "second", config=config, resume=True)
    train(patients, tmp_path / "anew", config=config)
    for name in ("generator", "refiner"):
        assert weights(tmp_path / "second", name) == weights(tmp_path / "anew", name)
    assert weights(tmp_path / "second", "generator") == weights(first, "generator")
    assert weights(tmp_path / "second", "refiner") != weights(first, "refiner")


@pytest.mark.slow
def test_the_minutes_of_the_generator_count(first: Path, patients: Path, small_config: SmallConfig, tmp_path: Path) -> None:
    config = small_config(system="unet+refinement", steps=None, minutes=0.2)
    run = train(patients, tmp_path / "first", config=config)
    journal = run / "metrics.csv"
    rows = list(csv.DictReader(journal.read_text().splitlines()))
    # As if the generator had taken all but two seconds: the refiner gets what is left.
    longer = [{**row, "seconds": "10.0"} if row["stage"] == "adversarial" else row for row in rows]
    with journal.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(longer)
    reuse_generator(run, tmp_path / "second", config)
    train(patients, tmp_path / "second", config=config, resume=True)
    steps = [
        max(int(row["step"]) for row in csv.DictReader((place / "metrics.csv").read_text().splitlines()) if row["stage"] == "refinement")
        for place in (run, tmp_path / "second")
    ]
    assert steps[1] < steps[0]


def test_another_generator_is_refused(first: Path, small_config: SmallConfig, tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="different generators"):
        reuse_generator(first, tmp_path / "second", small_config("patient_wise=false", system="unet+refinement"))


@pytest.mark.parametrize(
    ("override", "same"),
    [
        *(("refiner.groups=3", True), ("refinement.attend=false", True), ("refiner_optimisation.clip=2", True)),
        *(("generator.groups=3", False), ("refinement.errors=out-of-fold", False)),
    ],
)
def test_what_a_generator_depends_on(small_config: SmallConfig, override: str, same: bool) -> None:
    one, other = (generator_settings(small_config(*extra, system="unet+refinement")) for extra in ((), (override,)))
    assert (one == other) is same
    assert generator_settings(small_config(seed=1)) != generator_settings(small_config(seed=2))
