from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crgan.errors import CrganError
from crgan.study.plan import Study, read_study
from crgan.study.record import RECORD, Record, settings_digest
from crgan.study.results import gather

WriteStudy = Callable[..., Path]
MakeRecord = Callable[..., Record]
SET = {"data": "patients", "split": "split.json"}


def put(make_record: MakeRecord, study: Study, out: Path, place: str, rows: dict[str, dict[str, float | None]], **more: object) -> None:
    """Write the record of a job, named by its folder, as if it were over."""
    (job,) = [job for job in study.jobs() if str(job.folder) == place]
    dice = {kind: {"lesion": cases} for kind, cases in rows.items()}
    make_record(dice, settings=settings_digest(job.config), **more).write(out / place / RECORD)


def test_seeds_are_averaged_case_by_case(write_study: WriteStudy, make_record: MakeRecord, tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path / "s.yaml", sets={"a": SET}, systems=["unet"], seeds=[0, 1]))
    put(make_record, study, tmp_path, "a/unet/seed0", {"system": {"x_1": 0.4, "y_1": 0.8, "z_1": None}})
    put(make_record, study, tmp_path, "a/unet/seed1", {"system": {"x_1": 0.6, "y_1": 1.0, "z_1": 0.5}})
    found = gather(study, "a", tmp_path)
    scores = found.rows["unet"]
    dice = {case: targets["lesion"]["dice"] for case, targets in scores.cases.items()}
    assert dice == pytest.approx({"x_1": 0.5, "y_1": 0.9, "z_1": None})
    assert scores.summary["lesion"]["dice"].mean == pytest.approx(0.7)
    assert found.comparison is found.fair_comparison is None
    assert [*found.fair["unet"].cases] == ["x", "y", "z"]


def test_folds_are_put_together(write_study: WriteStudy, make_record: MakeRecord, tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path / "s.yaml", sets={"a": {**SET, "folds": [0, 1]}}, systems=["unet", "cgan"]))
    for system, gain in (("unet", 0.0), ("cgan", 0.1)):
        put(make_record, study, tmp_path, f"a/{system}/seed0-fold0", {"system": {"x_1": 0.4 + gain, "x_2": 0.5 + gain}})
        put(make_record, study, tmp_path, f"a/{system}/seed0-fold1", {"system": {"y_1": 0.6 + gain}})
    found = gather(study, "a", tmp_path)
    assert [*found.rows["cgan"].cases] == ["x_1", "x_2", "y_1"]
    assert found.comparison is not None
    assert found.comparison.patients == 2
    (dice,) = [difference for difference in found.comparison.differences if difference.metric == "dice"]
    assert dice.paired.difference == pytest.approx(0.1)
    assert found.fair_comparison is not None
    assert {difference.paired.difference for difference in found.fair_comparison.differences} == {0.0}


def test_systems_are_compared_over_the_seeds_that_both_have(write_study: WriteStudy, make_record: MakeRecord, tmp_path: Path) -> None:
    systems = [{"system": "unet", "seeds": [0, 1]}, {"system": "cgan", "seeds": [1, 2]}, {"system": "rnn-unet", "seeds": [3]}]
    study = read_study(write_study(tmp_path / "s.yaml", sets={"a": SET}, systems=systems))
    hard, easy = ([0.9, 0.1], [0.5, 0.2, 0.2, 0.2]), ([0.9, 0.8], [0.5, 0.2, 0.2, 0.2])
    both = [("unet/seed0", 0.1, hard), ("unet/seed1", 0.5, easy), ("cgan/seed1", 0.6, easy), ("cgan/seed2", 0.9, hard)]
    for place, dice, voxels in (*both, ("rnn-unet/seed3", 0.4, easy)):
        put(make_record, study, tmp_path, f"a/{place}", {"system": {"x_1": dice}}, voxels={"lesion": voxels})
    found = gather(study, "a", tmp_path)
    assert [found.rows[name].cases["x_1"]["lesion"]["dice"] for name in found.rows] == pytest.approx([0.3, 0.75, 0.4])
    (shared,) = found.comparison.between("unet", "cgan", "dice")
    assert (shared.first_mean, shared.second_mean, shared.paired.difference) == pytest.approx((0.5, 0.6, 0.1))
    (none_shared,) = found.comparison.between("unet", "rnn-unet", "dice")
    assert (none_shared.first_mean, none_shared.second_mean) == pytest.approx((0.3, 0.4))
    (points,) = found.fair_comparison.between("unet", "cgan", "fnr_matched")
    assert found.fair["unet"].cases["x"]["lesion"]["fnr_matched"] == found.fair["cgan"].cases["x"]["lesion"]["fnr_matched"] == 0.25
    assert (points.first_mean, points.second_mean) == (0, 0)


def test_a_generator_alone_is_a_row_and_held_to_the_reference(write_study: WriteStudy, make_record: MakeRecord, tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path / "s.yaml", sets={"a": SET}, systems=["cgan+refinement", "cgan"], reference="cgan"))
    put(make_record, study, tmp_path, "a/cgan+refinement/seed0", {"system": {"x_1": 0.9}, "generator": {"x_1": 0.7}})
    put(make_record, study, tmp_path, "a/cgan/seed0", {"system": {"x_1": 0.8}})
    found = gather(study, "a", tmp_path)
    assert [*found.rows] == ["cgan+refinement, its generator alone", "cgan+refinement", "cgan"]
    assert found.reference == "cgan"
    assert {name: scores.cases["x_1"]["lesion"]["dice"] for name, scores in found.rows.items()} == dict(
        zip(found.rows, (0.7, 0.9, 0.8), strict=True)
    )


def test_a_shared_generator_is_the_row_of_the_system_without_refiner(
    write_study: WriteStudy, make_record: MakeRecord, tmp_path: Path
) -> None:
    systems = ["unet", "unet+refinement"]
    study = read_study(write_study(tmp_path / "s.yaml", sets={"a": SET}, systems=systems, share_generators=True))
    put(make_record, study, tmp_path, "a/unet+refinement/seed0", {"system": {"x_1": 0.9}, "generator": {"x_1": 0.7}})
    found = gather(study, "a", tmp_path)
    assert {name: scores.cases["x_1"]["lesion"]["dice"] for name, scores in found.rows.items()} == {"unet": 0.7, "unet+refinement": 0.9}


def test_fewer_training_patients_are_told_apart(write_study: WriteStudy, make_record: MakeRecord, tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path / "s.yaml", sets={"a": {**SET, "training_patients": [3, 2]}}, systems=["unet"]))
    for place, patients, dice in (("seed0", 9, 0.8), ("seed0-patients3", 3, 0.6), ("seed0-patients2", 2, 0.5)):
        put(make_record, study, tmp_path, f"a/unet/{place}", {"system": {"x_1": dice}}, trained_on=patients)
    found = gather(study, "a", tmp_path)
    assert found.rows["unet"].cases["x_1"]["lesion"]["dice"] == 0.8
    assert [(count, scores.cases["x_1"]["lesion"]["dice"]) for count, scores in found.fewer["unet"].items()] == [
        (2, 0.5),
        (3, 0.6),
        (9, 0.8),
    ]


def test_results_of_other_settings_are_refused(write_study: WriteStudy, make_record: MakeRecord, tmp_path: Path) -> None:
    study = read_study(write_study(tmp_path / "s.yaml", sets={"a": SET}, systems=["unet"]))
    put(make_record, study, tmp_path, "a/unet/seed0", {"system": {"x_1": 0.4}})
    longer = read_study(write_study(tmp_path / "s.yaml", sets={"a": SET}, systems=["unet"], steps=5))
    with pytest.raises(CrganError, match="other settings"):
        gather(longer, "a", tmp_path)
