from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crgan.errors import CrganError
from crgan.study.plan import generator_sources, read_study

WriteStudy = Callable[..., Path]
SPLIT = {"data": "patients", "split": "split.json"}


def test_every_system_seed_and_fold_is_a_job(write_study: WriteStudy, tmp_path: Path) -> None:
    path = write_study(
        tmp_path / "s.yaml",
        sets={"a": {**SPLIT, "folds": [0, 1]}, "b": {"data": "x", "images": "y", "labels": "z", "minutes": 2}},
        systems=["unet", {"system": "cgan", "name": "without noise, twice", "seeds": [3], "set": ["noise_channel=false"]}],
        seeds=[0, 7],
    )
    jobs = list(read_study(path).jobs())
    assert [str(job.folder) for job in jobs] == [
        *("a/unet/seed0-fold0", "a/unet/seed0-fold1", "a/unet/seed7-fold0", "a/unet/seed7-fold1"),
        *("a/without-noise-twice/seed3-fold0", "a/without-noise-twice/seed3-fold1"),
        *("b/unet/seed0", "b/unet/seed7", "b/without-noise-twice/seed3"),
    ]
    assert (jobs[0].config.steps, jobs[0].config.minutes, jobs[0].config.data.fold) == (4, None, 0)
    assert (jobs[-1].config.steps, jobs[-1].config.minutes, jobs[-1].config.seed) == (None, 2, 3)
    assert jobs[0].config.data.split == (tmp_path / "split.json").resolve()
    assert jobs[4].config.system == "cgan"


def test_shared_generators_are_trained_once(write_study: WriteStudy, tmp_path: Path) -> None:
    systems = ["unet", "unet+refinement", "cgan", {"system": "rnn-unet+refinement", "set": ["patient_wise=false"]}, "rnn-unet"]
    study = read_study(write_study(tmp_path / "s.yaml", sets={"a": SPLIT}, systems=systems, share_generators=True))
    assert [job.row.system for job in study.jobs()] == ["unet+refinement", "cgan", "rnn-unet+refinement", "rnn-unet"]


def test_systems_that_differ_in_the_refiner_alone_share_a_generator(write_study: WriteStudy, tmp_path: Path) -> None:
    systems = [
        "unet",
        "unet+refinement",
        {"system": "unet+refinement", "name": "colder", "set": ["refinement.warm_start=false", "refiner_optimisation.dice=0"]},
        {"system": "unet+refinement", "name": "other norm", "set": ["patient_wise=false"]},
        {"system": "unet+refinement", "name": "longer", "set": ["generator_share=0.5"]},
        "cgan+refinement",
    ]
    jobs = list(read_study(write_study(tmp_path / "s.yaml", sets={"a": SPLIT, "b": SPLIT}, systems=systems, seeds=[0, 1])).jobs())
    found = {str(job): str(source.folder) for job, source in generator_sources(jobs).items()}
    assert found == {f"{name}/colder/seed{seed}": f"{name}/unet+refinement/seed{seed}" for name in "ab" for seed in (0, 1)}


def test_a_set_may_have_systems_and_seeds_and_numbers_of_patients_of_its_own(write_study: WriteStudy, tmp_path: Path) -> None:
    sets = {
        "a": {**SPLIT, "systems": ["cgan"], "seeds": [5]},
        "b": {**SPLIT, "training_patients": [4]},
        "c": {**SPLIT, "seeds": {"cgan": [3, 2]}},
    }
    study = read_study(write_study(tmp_path / "s.yaml", sets=sets, systems=["unet", {"system": "cgan", "seeds": [1]}]))
    jobs = list(study.jobs())
    assert [str(job.folder) for job in jobs] == [
        *("a/cgan/seed5", "b/unet/seed0", "b/unet/seed0-patients4", "b/cgan/seed1", "b/cgan/seed1-patients4"),
        *("c/unet/seed0", "c/cgan/seed3", "c/cgan/seed2"),
    ]
    assert [job.config.data.training_patients for job in jobs[:5]] == [None, None, 4, None, 4]
    assert [study.reference_of(name) for name in "abc"] == ["cgan", "unet", "unet"]


@pytest.mark.parametrize(
    ("values", "where", "expected"),
    [
        ({"sets": {}}, "sets", "at least 1 item"),
        ({"sets": {"a": {"data": "x"}}}, "sets.a", "either split, or images and labels"),
        ({"sets": {"a": {"data": "x", "images": "y"}}}, "sets.a", "either split, or images and labels"),
        ({"sets": {"a": {**SPLIT, "images": "y", "labels": "z"}}}, "sets.a", "either split, or images and labels"),
        ({"sets": {"a": {"data": "x", "images": "y", "labels": "z", "folds": [0]}}}, "sets.a", "folds only with split"),
        ({"sets": {"a": SPLIT}, "systems": ["vnet"]}, "systems.0.system", "one of unet"),
        ({"sets": {"a": SPLIT}, "systems": ["unet", "unet"]}, "study", "a name each"),
        ({"sets": {"a": SPLIT}, "steps": None}, "study", "minutes or steps"),
        ({"sets": {"a": SPLIT}, "minutes": 3}, "study", "minutes or steps"),
        ({"sets": {"a": {**SPLIT, "systems": ["cgan"]}}}, "study", "not cgan in sets.a.systems"),
        ({"sets": {"a": {**SPLIT, "seeds": {"cgan": [1]}}}}, "study", "not cgan in sets.a.seeds"),
        ({"sets": {"a": {**SPLIT, "seeds": {"unet": []}}}}, "sets.a.seeds.by system.unet", "at least 1 item"),
        ({"sets": {"a": {**SPLIT, "seeds": 3}}}, "sets.a.seeds.of all", "a valid tuple"),
        ({"sets": {"a": SPLIT}, "reference": "cgan"}, "study", "not cgan in reference"),
        ({"sets": {"a": SPLIT}, "systems": [{"system": "unet", "ablation_of": "vnet"}]}, "study", "not vnet in ablation_of of unet"),
        ({"sets": {"a": {**SPLIT, "tables": "heart"}}}, "sets.a.tables", "'brain', 'liver' or 'cells'"),
        ({"sets": {"a": {**SPLIT, "targets": {"WT": "x"}}}}, "sets.a", "targets only with tables"),
        ({"sets": {"a": SPLIT}, "sede": 3}, "sede", "Extra inputs are not permitted"),
    ],
)
def test_mistakes_are_told_with_their_place(write_study: WriteStudy, tmp_path: Path, values: dict, where: str, expected: str) -> None:
    with pytest.raises(CrganError) as error:
        read_study(write_study(tmp_path / "s.yaml", **values))
    problem = error.value.problems[0]
    assert str(problem.where).endswith(f", {where}")
    assert expected in str(problem.expected)


def test_a_setting_that_does_not_fit_is_told_before_anything_is_trained(write_study: WriteStudy, tmp_path: Path) -> None:
    systems = [{"system": "unet", "set": ["generator.depth=3"]}]
    with pytest.raises(CrganError, match=r"generator\.depth"):
        read_study(write_study(tmp_path / "s.yaml", sets={"a": SPLIT}, systems=systems))


@pytest.mark.parametrize(("text", "said"), [("sets: [", "not valid YAML"), ("- a", "not a mapping"), (None, "could not be read")])
def test_a_file_that_is_no_study(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "s.yaml"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    with pytest.raises(CrganError, match=said):
        read_study(path)


@pytest.mark.parametrize(("name", "jobs"), [("study", 57), ("training_patients", 8)])
def test_the_studies_that_come_along_can_be_read(repository: Path, name: str, jobs: int) -> None:
    study = read_study(repository / "benchmarks" / f"{name}.yaml")
    assert len([*study.jobs()]) == jobs
