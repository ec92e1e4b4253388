from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crgan.evaluation.scores import Scores
from crgan.study.plan import read_study
from crgan.study.results import gather

WriteStudy = Callable[..., Path]
SET = {"data": "patients", "split": "split.json"}


def put(folder: Path, dice: dict[str, float | None]) -> None:
    cases = {case: {"lesion": {"dice": value, "fnr": None if value is None else 1 - value}} for case, value in dice.items()}
    Scores.of(cases, patients={case: case[0] for case in dice}).write_json(folder / "scores.json")


def test_seeds_are_averaged_case_by_case(write_study: WriteStudy, tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path / "s.yaml", sets={"a": SET}, systems=["unet"], seeds=[0, 1]))
    put(tmp_path / "a/unet/seed0/scores", {"x1": 0.4, "y1": 0.8, "z1": None})
    put(tmp_path / "a/unet/seed1/scores", {"x1": 0.6, "y1": 1.0, "z1": 0.5})
    found = gather(study, "a", tmp_path)
    scores = found.rows["unet"]
    assert {case: targets["lesion"]["dice"] for case, targets in scores.cases.items()} == pytest.approx({"x1": 0.5, "y1": 0.9, "z1": None})
    assert scores.summary["lesion"]["dice"].mean == pytest.approx(0.7)
    assert found.comparison is None


def test_folds_are_put_together(write_study: WriteStudy, tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path / "s.yaml", sets={"a": {**SET, "folds": [0, 1]}}, systems=["unet", "cgan"]))
    for system, gain in (("unet", 0.0), ("cgan", 0.1)):
        put(tmp_path / f"a/{system}/seed0-fold0/scores", {"x1": 0.4 + gain, "x2": 0.5 + gain})
        put(tmp_path / f"a/{system}/seed0-fold1/scores", {"y1": 0.6 + gain})
    found = gather(study, "a", tmp_path)
    assert [*found.rows["cgan"].cases] == ["x1", "x2", "y1"]
    assert found.comparison is not None
    assert found.comparison.patients == 2
    (dice,) = [difference for difference in found.comparison.differences if difference.metric == "dice"]
    assert dice.paired.difference == pytest.approx(0.1)


def test_a_shared_generator_is_the_row_of_the_system_without_refiner(write_study: WriteStudy, tmp_path: Path) -> None:
    systems = ["unet", "unet+refinement"]
    study = read_study(write_study(tmp_path / "s.yaml", sets={"a": SET}, systems=systems, share_generators=True))
    put(tmp_path / "a/unet+refinement/seed0/scores", {"x1": 0.9})
    put(tmp_path / "a/unet+refinement/seed0/scores-generator", {"x1": 0.7})
    found = gather(study, "a", tmp_path)
    assert {name: scores.cases["x1"]["lesion"]["dice"] for name, scores in found.rows.items()} == {"unet": 0.7, "unet+refinement": 0.9}
