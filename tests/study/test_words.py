from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from crgan.study.plan import Study, read_study
from crgan.study.record import RECORD, Record, settings_digest
from crgan.study.results import gather
from crgan.study.sweeping import Counts, Sweep
from crgan.study.words import headline, sentences

WriteStudy = Callable[..., Path]


@pytest.fixture
def told(
    write_study: WriteStudy,
    make_record: Callable[..., Record],
    sweep_voxels: Callable[..., Counts],
    grid: tuple[float, ...],
    tmp_path: Path,
) -> Callable[..., str]:
    """What is said of systems of which each finds so many of each test patient's twenty voxels of every target."""
    validation = sweep_voxels((0.9, 0.9), (0.1, 0.1))

    def tell(found: dict[str, list[int]], targets: Sequence[str] = ("x",)) -> str:
        study = read_study(
            write_study(tmp_path / "s.yaml", sets={"a": {"data": "d", "split": "s"}}, systems=list(found), reference=next(iter(found)))
        )
        for job in study.jobs():
            test = found[job.row.label]
            kinds = ("system", "generator") if "+" in job.row.system else ("system",)
            record = make_record(
                {kind: {target: {f"p{n}": 0.5 for n in range(len(test))} for target in targets} for kind in kinds},
                settings=settings_digest(job.config),
            )
            for kind in kinds:
                some = [voxels // (2 if kind == "generator" else 1) for voxels in test]
                patients = {f"p{n}": f"p{n}" for n in range(len(test))}
                counts = {f"p{n}": sweep_voxels([0.95] * k + [0.05] * (20 - k), [0.1] * 20) for n, k in enumerate(some)}
                thresholds = dict.fromkeys(targets, grid)
                for side, of, found_there in (("test", patients, counts), ("validation", {"v": "v"}, {"v": validation})):
                    swept = Sweep(thresholds=thresholds, patients=of, counts=dict.fromkeys(targets, found_there))
                    object.__setattr__(record.rows[kind], side, swept)
            record.write(tmp_path / job.folder / RECORD)
        return sentences(study, gather(study, "a", tmp_path))

    return tell


def test_a_clear_gain_is_told_with_its_size_and_cost(told: Callable[..., str]) -> None:
    said = told({"unet": [8, 9, 10, 11, 12, 10, 9, 11], "unet+refinement": [12, 13, 15, 15, 17, 14, 13, 16]})
    assert said.startswith("8 test patients. unet+refinement, trained for 2.0 minutes. Does it miss less than unet")
    assert "Yes: x FNR 0.500 → 0.281, 44 % less (p = 0.0" in said
    assert "The cost: Dice at best threshold +0." in said
    assert "FPR where matched ±0.000 (x)" in said
    assert "its own generator alone" in said


def test_a_loss_is_told_as_plainly(told: Callable[..., str]) -> None:
    said = told({"unet": [12, 13, 15, 15, 17, 14, 13, 16], "unet+refinement": [8, 9, 10, 11, 12, 10, 9, 11]})
    assert "No, it misses more: x FNR 0.281 → 0.500, 78 % more" in said


def test_chance_is_not_taken_for_a_gain(told: Callable[..., str]) -> None:
    said = told({"unet": [8, 9, 10, 11, 12, 10], "unet+refinement": [9, 8, 11, 10, 13, 9]})
    assert "less than unet, trained for 2.0 minutes, at no more false positives than unet? Not shown" in said


def test_few_patients_are_described_and_not_tested(told: Callable[..., str]) -> None:
    said = told({"unet": [8, 9], "unet+refinement": [16, 16]})
    assert "Too few patients to test (fewer than 6): x FNR 0.575 → 0.200, 65 % less. The cost" in said
    assert "(p" not in said


def test_of_many_targets_the_mean_is_told(told: Callable[..., str]) -> None:
    said = told({"unet": [8, 9], "unet+refinement": [16, 16]}, "abcde")
    assert "Too few patients to test (fewer than 6): on the mean of the targets FNR 0.575 → 0.200, 65 % less; " in said
    assert "less; 5 of the 5 are missed less. " in said
    assert "The cost: Dice at best threshold +0.2" in said
    assert "(mean of the targets); FPR where matched ±0.000 (mean of the targets)." in said
    assert "a FNR" not in said


def test_of_several_targets_one_test_of_their_mean_decides(told: Callable[..., str]) -> None:
    """Of six patients a test can give p = .031 at best, which a correction for two targets would take away."""
    said = told({"unet": [8, 9, 10, 11, 12, 10], "unet+refinement": [12, 13, 15, 15, 17, 14]}, "ab")
    less = "FNR 0.500 → 0.283, 43 % less"
    assert f"Yes: on the mean of the targets {less} (p = 0.031); a {less} (p = 0.062); b {less} (p = 0.062). The cost" in said


def test_it_is_held_against_the_reference_too(told: Callable[..., str]) -> None:
    said = told({"unet": [8, 9], "cgan": [16, 16], "cgan+refinement": [18, 18]})
    assert "less than cgan, trained for 2.0 minutes" in said
    assert "less than unet, trained for 2.0 minutes, at no more false positives than unet? Too few" in said


def test_without_a_refiner_there_is_nothing_to_say(told: Callable[..., str]) -> None:
    assert told({"unet": [8]}).endswith("No system with a refiner was trained, so that nothing can be said of refinement.")


def test_the_main_system_is_no_ablation(write_study: WriteStudy, tmp_path: Path) -> None:
    lesser = {"system": "cgan+refinement", "name": "lesser", "ablation_of": "rnn-cgan+refinement"}
    study: Study = read_study(
        write_study(
            tmp_path / "s.yaml", sets={"a": {"data": "d", "split": "s"}}, systems=["unet+refinement", "rnn-cgan+refinement", lesser]
        )
    )
    row = headline(study, type("Found", (), {"name": "a"})())
    assert row is not None
    assert row.label == "rnn-cgan+refinement"


def test_of_next_to_nothing_missed_no_share_is_told(told: Callable[..., str]) -> None:
    said = told({"unet": [20, 20], "unet+refinement": [19, 20]})
    assert "x FNR 0.000 → 0.025. The cost" in said
