from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from crgan.study.output import write_results
from crgan.study.paper_tables import MEASURED, PRINTED, PaperTable, cell, paper_tables
from crgan.study.plan import Study, read_study
from crgan.study.record import RECORD, Record, settings_digest
from crgan.study.results import gather

WriteStudy = Callable[..., Path]
Fill = Callable[..., Study]


@pytest.fixture
def fill(write_study: WriteStudy, make_record: Callable[..., Record], tmp_path: Path) -> Fill:
    """A study all of whose jobs are over: in every case a target has the Dice given."""

    def make(dice_of: dict[str, float], systems: list[str], **data: object) -> Study:
        sets = {"a": {"data": "patients", "split": "split.json", **data}}
        study = read_study(write_study(tmp_path / "s.yaml", sets=sets, systems=systems))
        for job in study.jobs():
            dice = {target: {f"p{number}_1": value for number in range(3)} for target, value in dice_of.items()}
            rows = {"system": dice, **({"generator": dice} if "+" in job.row.system else {})}
            make_record(rows, settings=settings_digest(job.config)).write(tmp_path / job.folder / RECORD)
        return study

    return make


def tables(study: Study, out: Path) -> list[PaperTable]:
    return paper_tables(study, [gather(study, "a", out)])


def texts(table: PaperTable) -> list[tuple[str, str, list[str]]]:
    return [(row.name, row.source, [cell(row, mean) for mean in row.means]) for row in table.rows]


def test_ours_stand_above_what_was_printed_of_the_same_system(fill: Fill, tmp_path: Path) -> None:
    study = fill({"whole": 0.75, "ET": 0.5}, ["cgan", "unet", "rnn-cgan+refinement"], tables="brain", targets={"WT": "whole"})
    first, second, third = tables(study, tmp_path)
    assert [table.number for table in (first, second, third)] == [1, 2, 3]
    assert first.columns == ["Dice-WT", "Dice-ET", "Dice-TC", "Hdf-WT", "Hdf-ET", "Hdf-TC"]
    lines = texts(first)
    assert lines[:5] == [
        ("RNN-cGAN+Refinement (rnn-cgan+refinement)", MEASURED, ["0.750 [0.750, 0.750]", "0.500 [0.500, 0.500]", *"––––"]),
        ("RNN-cGAN+Refinement", PRINTED, ["0.86", "0.64", "0.73", "7.22", "8.3", "11.04"]),
        ("cGAN (cgan)", MEASURED, ["0.750 [0.750, 0.750]", "0.500 [0.500, 0.500]", *"––––"]),
        ("cGAN", PRINTED, ["0.74", "0.53", "0.61", "12.6", "16.41", "31"]),
        ("unet", MEASURED, ["0.750 [0.750, 0.750]", "0.500 [0.500, 0.500]", *"––––"]),
    ]
    assert [name for name, source, _ in lines if source == PRINTED][-1] == "MIC-DKFZ"
    assert sum(source == PRINTED for _, source, _ in lines) == 13
    assert "WT is whole here" in first.note
    assert texts(second)[0][2][:2] == ["0.250 [0.250, 0.250]", "0.500 [0.500, 0.500]"]
    # A row of the third table is a metric of the whole system; validation patients have no say in it.
    assert texts(third)[:2] == [
        ("Dice", MEASURED, ["–", "–", "–", "0.750 [0.750, 0.750]", "0.500 [0.500, 0.500]", "–"]),
        ("Dice", PRINTED, ["0.86", "0.64", "0.73", "0.85", "0.61", "0.72"]),
    ]
    sensitivity = next(means for name, source, means in texts(third) if (name, source) == ("Sens", MEASURED))
    assert sensitivity[3:] == ["0.750 [0.750, 0.750]", "0.500 [0.500, 0.500]", "–"]


def test_other_targets_than_the_papers_have_a_table_of_their_own(fill: Fill, tmp_path: Path) -> None:
    study = fill({"front": 0.75, "back": 0.5}, ["unet"], tables="brain")
    ours, printed, *_ = tables(study, tmp_path)
    assert ours.columns == ["Dice-front", "Dice-back", "Hdf-front", "Hdf-back"]
    assert texts(ours) == [("unet", MEASURED, ["0.750 [0.750, 0.750]", "0.500 [0.500, 0.500]", "–", "–"])]
    assert {row.source for row in printed.rows} == {PRINTED}


def test_the_liver_tables_are_of_both_targets(fill: Fill, tmp_path: Path) -> None:
    fourth, fifth = tables(fill({"liver": 0.75, "lesion": 0.5}, ["cgan"], tables="liver"), tmp_path)
    assert texts(fourth)[0][2][:2] == ["0.750 [0.750, 0.750]", "0.500 [0.500, 0.500]"]
    measured = [(name, means[0]) for name, source, means in texts(fifth) if source == MEASURED]
    assert measured == [("cGAN (cgan), liver", "40.0 [40.0, 40.0]"), ("cGAN (cgan), lesion", "66.7 [66.7, 66.7]")]


def test_a_single_target_is_the_papers_single_one(fill: Fill, tmp_path: Path) -> None:
    sixth, seventh = tables(fill({"object": 0.75}, ["unet"], tables="cells"), tmp_path)
    assert texts(sixth)[:2] == [
        ("U-Net (unet)", MEASURED, ["–", "–", "0.750 [0.750, 0.750]"]),
        ("U-Net", PRINTED, ["0.92", "–", "–"]),
    ]
    assert texts(seventh)[-1] == ("Greedy", PRINTED, ["0.85", "–", "–", "–", "–"])


def test_they_are_written_in_three_forms(fill: Fill, tmp_path: Path) -> None:
    study = fill({"WT": 0.75}, ["cgan", "unet"], tables="brain")
    write_results(tmp_path, study, [gather(study, "a", tmp_path)])
    rows = list(csv.DictReader((tmp_path / "paper-tables.csv").read_text(encoding="utf-8").splitlines()))
    mine = [row for row in rows if (row["approach"], row["column"], row["table"]) == ("cGAN (cgan)", "Dice-WT", "1")]
    assert [(row["source"], float(row["mean"]), row["n"]) for row in mine] == [(MEASURED, 0.75, "3")]
    assert sum(row["source"] == PRINTED for row in rows if row["table"] == "2") == 6 * 6
    assert "| MIC-DKFZ | printed, other data | 0.89 | 0.73 | 0.79 | 6.9 | 4.5 | 9.4 |" in (tmp_path / "paper-tables.md").read_text()
    latex = (tmp_path / "paper-tables.tex").read_text()
    assert latex.count(r"\begin{tabular}{llrrrrrr}") == 3


def test_without_the_option_nothing_is_filled(fill: Fill, tmp_path: Path) -> None:
    assert tables(fill({"WT": 0.75}, ["cgan"]), tmp_path) == []
