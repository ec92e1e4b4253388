from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from crgan.evaluation.scores import Scores

CASES = {
    "p1_a": {"WT": {"dice": 0.5, "hd95_mm": 4.0}, "ET": {"dice": None, "hd95_mm": None}},
    "p1_b": {"WT": {"dice": 0.7, "hd95_mm": None}, "ET": {"dice": 0.25, "hd95_mm": 9.0}},
}


@pytest.fixture
def scores() -> Scores:
    return Scores.of(CASES, patients={"p1_a": "p1", "p1_b": "p1"})


def test_summary_holds_means_of_what_is_defined(scores: Scores) -> None:
    assert scores.to_json()["summary"] == {
        "WT": {
            "dice": {"mean": pytest.approx(0.6), "ci_low": None, "ci_high": None, "n": 2},
            "hd95_mm": {"mean": 4.0, "ci_low": None, "ci_high": None, "n": 1},
        },
        "ET": {
            "dice": {"mean": 0.25, "ci_low": None, "ci_high": None, "n": 1},
            "hd95_mm": {"mean": 9.0, "ci_low": None, "ci_high": None, "n": 1},
        },
    }


def test_json_file_is_the_scores(scores: Scores, tmp_path: Path) -> None:
    scores.write_json(tmp_path / "new" / "scores.json")
    written = json.loads((tmp_path / "new" / "scores.json").read_text())
    assert written == scores.to_json()
    assert written["cases"] == CASES


def test_csv_file_has_a_line_per_case_and_target(scores: Scores, tmp_path: Path) -> None:
    scores.write_csv(tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["case", "target", "dice", "hd95_mm"],
        ["p1_a", "WT", "0.5", "4.0"],
        ["p1_a", "ET", "", ""],
        ["p1_b", "WT", "0.7", ""],
        ["p1_b", "ET", "0.25", "9.0"],
    ]


def test_no_case_gives_an_empty_summary() -> None:
    assert Scores.of({}, patients={}).to_json() == {"cases": {}, "summary": {}, "patients": {}, "settings": {}}


def test_scores_are_read_as_they_were_written(scores: Scores) -> None:
    assert Scores.from_json(json.loads(json.dumps(scores.to_json()))) == scores


def test_scores_of_the_first_version_are_read_with_each_case_a_patient(scores: Scores) -> None:
    old = {name: value for name, value in scores.to_json().items() if name in {"cases", "summary"}}
    assert Scores.from_json(old).patients == {"p1_a": "p1_a", "p1_b": "p1_b"}
