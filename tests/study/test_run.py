from __future__ import annotations

import csv
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from crgan.errors import CrganError
from crgan.study import job as job_module
from crgan.study.plan import read_study
from crgan.study.run import run_study

WriteStudy = Callable[..., Path]


@pytest.fixture(scope="module")
def plan(patients: Path, write_study: WriteStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    (folder / "split.json").write_text(json.dumps({"train": ["p0", "p1"], "test": ["p2", "p3"]}), encoding="utf-8")
    return write_study(folder / "study.yaml", sets={"balls": {"data": str(patients), "split": "split.json"}})


@pytest.fixture(scope="module")
def finished(plan: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "study"
    run_study(read_study(plan), out)
    return out


def times(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and "seed0" in str(path)}


def test_every_system_is_scored_on_the_test_patients_alone(finished: Path) -> None:
    for kind in ("unet/seed0/scores", "unet+refinement/seed0/scores", "unet+refinement/seed0/scores-generator"):
        assert [*json.loads((finished / "balls" / kind / "scores.json").read_text())["cases"]] == ["p2", "p3"]
    trained_on = json.loads((finished / "balls/unet/seed0/run/data.json").read_text())["patients"]
    assert sorted(trained_on["train"] + trained_on["validation"]) == ["p0", "p1"]


def test_tables_hold_what_was_scored(finished: Path) -> None:
    rows = list(csv.DictReader((finished / "tables.csv").read_text(encoding="utf-8").splitlines()))
    systems = list(dict.fromkeys(row["system"] for row in rows))
    assert systems == ["unet", "unet+refinement, its generator alone", "unet+refinement"]
    scored = json.loads((finished / "balls/unet/seed0/scores/scores.json").read_text())["summary"]
    (dice,) = [row for row in rows if (row["system"], row["target"], row["metric"]) == ("unet", next(iter(scored)), "dice")]
    assert float(dice["mean"]) == pytest.approx(scored[dice["target"]]["dice"]["mean"], rel=1e-4)
    markdown = (finished / "tables.md").read_text(encoding="utf-8")
    assert "**balls: Dice**" in markdown
    assert all(f"| {system} | " in markdown for system in systems)
    latex = (finished / "tables.tex").read_text(encoding="utf-8")
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == markdown.count("**balls")
    page = (finished / "report.html").read_text(encoding="utf-8")
    assert "balls: differences" in page
    assert "balls: patient by patient" in page
    assert "data:image/png" in page
    assert json.loads((finished / "comparison.json").read_text())["balls"]["systems"] == systems


def test_what_is_left_of_a_job_is_one_record_and_its_masks(finished: Path) -> None:
    folder = finished / "balls/unet+refinement/seed0"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("masks", "masks-generator", "overlays.png", "result.json", "run", "scores", "scores-generator")
    ]
    assert not [*folder.rglob("maps"), *folder.rglob("*probability*")]
    record = json.loads((folder / "result.json").read_text())
    assert [*record["rows"]] == ["system", "generator"]
    assert [*record["rows"]["system"]["test"]["patients"]] == ["p2", "p3"]
    trained = json.loads((folder / "run/data.json").read_text())["patients"]
    assert [*record["rows"]["system"]["validation"]["patients"]] == trained["validation"]
    assert record["trained_on"] == len(trained["train"])
    assert str(finished) not in (folder / "result.json").read_text()


def test_records_are_enough_to_go_on_elsewhere(plan: Path, finished: Path, tmp_path: Path) -> None:
    for record in finished.rglob("result.json"):
        place = tmp_path / record.relative_to(finished)
        place.parent.mkdir(parents=True)
        place.write_bytes(record.read_bytes())
    run_study(read_study(plan), tmp_path)
    assert (tmp_path / "tables.csv").read_bytes() == (finished / "tables.csv").read_bytes()
    assert not [*tmp_path.rglob("run")]


def test_figures_lie_beside_the_page(finished: Path) -> None:
    names = {path.name for path in (finished / "figures").iterdir()}
    assert {"balls-training.svg", "balls-fnr-fpr.png", "balls-dial.svg", "balls-spread.png"} <= names
    assert {"balls-unet-patients.png", "balls-unet+refinement-patients.png"} <= names


@pytest.mark.slow
def test_a_generator_is_trained_once_for_systems_that_differ_in_the_refiner(
    plan: Path, patients: Path, write_study: WriteStudy, tmp_path: Path
) -> None:
    ablated = {
        "name": "from scratch",
        "system": "unet+refinement",
        "set": ["refinement.warm_start=false"],
        "ablation_of": "unet+refinement",
    }
    sets = {"balls": {"data": str(patients), "split": str(plan.parent / "split.json"), "training_patients": [1]}}
    study = read_study(write_study(tmp_path / "s.yaml", sets=sets, systems=["unet+refinement", ablated]))
    with ThreadPoolExecutor(2) as executor:
        (found,) = run_study(study, tmp_path / "out", executor=executor)
    runs = [tmp_path / "out/balls" / name / "seed0/run/model" for name in ("unet+refinement", "from-scratch")]
    assert len({(run / "generator.safetensors").read_bytes() for run in runs}) == 1
    assert len({(run / "refiner.safetensors").read_bytes() for run in runs}) == 2
    assert [*found.rows] == ["unet+refinement, its generator alone", "unet+refinement", "from scratch"]
    markdown = (tmp_path / "out/tables.md").read_text(encoding="utf-8")
    assert "**balls: ablations**" in markdown
    assert "| from scratch | unet+refinement | " in markdown
    assert "**balls: Dice and FNR against the number of training patients**" in markdown
    assert (tmp_path / "out/figures/balls-patients.svg").exists()


def test_what_is_over_is_not_done_again(plan: Path, finished: Path) -> None:
    before = times(finished)
    run_study(read_study(plan), finished)
    assert times(finished) == before


@pytest.mark.slow
def test_a_study_that_was_stopped_goes_on(plan: Path, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "study"
    monkeypatch.setattr(job_module, "evaluate", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        run_study(read_study(plan), out)
    monkeypatch.undo()
    weights = (out / "balls/unet/seed0/run/model/generator.safetensors").stat().st_mtime_ns
    run_study(read_study(plan), out)
    assert (out / "balls/unet/seed0/run/model/generator.safetensors").stat().st_mtime_ns == weights
    assert (out / "tables.csv").read_bytes() == (finished / "tables.csv").read_bytes()


@pytest.mark.slow
def test_side_by_side_gives_the_same(plan: Path, finished: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as executor:
        run_study(read_study(plan), tmp_path / "study", executor=executor)
    assert (tmp_path / "study" / "tables.csv").read_bytes() == (finished / "tables.csv").read_bytes()


def test_a_job_that_fails_is_told_and_the_others_are_done(patients: Path, write_study: WriteStudy, tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text(json.dumps({"train": ["p0", "p1"], "test": ["p2"]}), encoding="utf-8")
    sets = {"gone": {"data": "nowhere", "split": "split.json"}, "there": {"data": str(patients), "split": "split.json"}}
    study = read_study(write_study(tmp_path / "s.yaml", sets=sets, systems=["unet"]))
    with pytest.raises(CrganError, match="gone/unet/seed0: There is no such folder"):
        run_study(study, tmp_path / "out")
    assert (tmp_path / "out/there/unet/seed0/scores/scores.json").exists()
    assert not (tmp_path / "out/report.html").exists()
