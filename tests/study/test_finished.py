"""What of a study is over, before all of it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crgan.cli import app
from crgan.errors import CrganError
from crgan.study.finished import compare_finished, finished_part
from crgan.study.plan import Study, read_study
from crgan.study.record import RECORD, Record, settings_digest

WriteStudy = Callable[..., Path]
MakeRecord = Callable[..., Record]
SET = {"data": "patients", "split": "split.json"}


def finish(study: Study, out: Path, make_record: MakeRecord, *places: str) -> None:
    """Write the records of jobs, named by their folders, as if they were over."""
    jobs = {job.folder.as_posix(): job for job in study.jobs()}
    for place in places:
        rows = {kind: {"lesion": {"x_1": 0.5, "y_1": 0.7}} for kind in ("system", "generator")}
        make_record(rows, settings=settings_digest(jobs[place].config)).write(out / place / RECORD)


def folders(study: Study | None) -> list[str]:
    return [] if study is None else [job.folder.as_posix() for job in study.jobs()]


def test_a_seed_is_over_where_all_of_its_folds_are(write_study: WriteStudy, make_record: MakeRecord, tmp_path: Path) -> None:
    sets = {"a": {**SET, "folds": [0, 1]}, "b": SET}
    study = read_study(write_study(tmp_path / "s.yaml", sets=sets, systems=["unet", "cgan"], seeds=[0, 1]))
    finish(study, tmp_path, make_record, "a/unet/seed0-fold0", "a/unet/seed0-fold1", "a/unet/seed1-fold0", "a/cgan/seed0-fold1")
    part, left_out = finished_part(study, tmp_path)
    assert folders(part) == ["a/unet/seed0-fold0", "a/unet/seed0-fold1"]
    assert [job.folder.as_posix() for job in left_out] == [place for place in folders(study) if place not in folders(part)]


def test_the_whole_of_a_finished_study_is_over(write_study: WriteStudy, make_record: MakeRecord, tmp_path: Path) -> None:
    systems = [{"system": "unet", "seeds": [0, 1]}, "unet+refinement"]
    sets = {"a": {**SET, "training_patients": [3]}, "b": {**SET, "seeds": [4]}, "c": {**SET, "seeds": {"unet": [7]}}}
    study = read_study(write_study(tmp_path / "s.yaml", sets=sets, systems=systems))
    finish(study, tmp_path, make_record, *folders(study))
    part, left_out = finished_part(study, tmp_path)
    assert folders(part) == folders(study)
    assert left_out == []


def test_numbers_of_training_patients_wait_for_all_systems(write_study: WriteStudy, make_record: MakeRecord, tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path / "s.yaml", sets={"a": {**SET, "training_patients": [2, 3]}}, systems=["unet", "cgan"]))
    both = [f"a/{system}/seed0" for system in ("unet", "cgan")]
    finish(study, tmp_path, make_record, *both, "a/unet/seed0-patients2", *(f"{place}-patients3" for place in both))
    part, _ = finished_part(study, tmp_path)
    assert folders(part) == [both[0], f"{both[0]}-patients3", both[1], f"{both[1]}-patients3"]


def test_a_shared_generator_is_over_with_the_system_that_it_is_of(write_study: WriteStudy, make_record: MakeRecord, tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path / "s.yaml", sets={"a": SET}, share_generators=True))
    finish(study, tmp_path, make_record, "a/unet+refinement/seed0")
    (results,), left_out = compare_finished(study, tmp_path)
    assert [*results.rows] == ["unet", "unet+refinement"]
    assert left_out == []


def test_what_is_over_is_compared_and_the_page_names_what_is_not(write_study: WriteStudy, make_record: MakeRecord, tmp_path: Path) -> None:
    systems = [{"system": "unet", "seeds": [0, 1]}, "unet+refinement", "cgan"]
    study = read_study(write_study(tmp_path / "s.yaml", sets={"a": SET, "b": SET}, systems=systems))
    finish(study, tmp_path, make_record, "a/unet/seed1", "a/unet+refinement/seed0")
    (results,), left_out = compare_finished(study, tmp_path)
    assert [*results.rows] == ["unet", "unet+refinement, its generator alone", "unet+refinement"]
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert [job.folder.as_posix() for job in left_out] == ["a/unet/seed0", "a/cgan/seed0", *folders(study)[4:]]
    assert "a/unet/seed0, a/cgan/seed0, b/unet/seed0" in page


def test_of_nothing_there_is_no_page(write_study: WriteStudy, tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path / "s.yaml", sets={"a": SET}))
    with pytest.raises(CrganError, match="No training of the study is over"):
        compare_finished(study, tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_the_command_tells_how_much_is_left_out(write_study: WriteStudy, make_record: MakeRecord, tmp_path: Path) -> None:
    plan = write_study(tmp_path / "s.yaml", sets={"a": SET})
    finish(read_study(plan), tmp_path, make_record, "a/unet/seed0")
    result = CliRunner().invoke(app, ["study", str(plan), "--out", str(tmp_path), "--finished"])
    assert result.exit_code == 0, result.output
    assert "Not finished and left out: 1 of 2 trainings" in result.output


@pytest.mark.parametrize("option", [("--jobs", "2"), ("--scheduler", "tcp://127.0.0.1:1")])
def test_nothing_is_trained_side_by_side_if_nothing_is_trained(tmp_path: Path, option: tuple[str, str]) -> None:
    result = CliRunner().invoke(app, ["study", "study.yaml", "--out", str(tmp_path), "--finished", *option])
    assert result.exit_code == 2
    assert "leave one of them out" in result.output
