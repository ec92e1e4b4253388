from __future__ import annotations

import re
from pathlib import Path

import pytest

from crgan.evaluation.compare import compare_scores
from crgan.evaluation.compare_page import leaders, pair_charts, write_comparison
from crgan.evaluation.scores import Scores


def scores(shift: float, *, patients: int = 8, cases_each: int = 1) -> Scores:
    cases = {
        f"p{patient}v{visit}": {"WT": {"dice": 0.5 + 0.03 * patient + 0.1 * visit + shift, "fnr": 0.3 - shift, "rvd": shift}}
        for patient in range(patients)
        for visit in range(cases_each)
    }
    return Scores.of(cases, patients={case: case[:2] for case in cases})


def told(**systems: Scores) -> str:
    return leaders(compare_scores(systems))["WT"]


def test_leader_and_runner_up_are_named_with_how_sure_it_is() -> None:
    text = told(unet=scores(0), full=scores(0.1), half=scores(0.05))
    assert "Dice: full is ahead with 0.705, then half with 0.655 (p = 0.0" in text
    assert "FNR: full is ahead with 0.200, then half with 0.250" in text


def test_what_may_be_chance_is_called_so() -> None:
    assert ", which may be chance (p = 1.000)" in told(a=scores(0), b=scores(0))
    assert "too few patients to tell" in told(a=scores(0, patients=2), b=scores(0.1, patients=2))
    assert "too few patients for a test" in told(a=scores(0, patients=4), b=scores(0.1, patients=4))


def test_each_patient_is_a_line_however_many_cases_it_has() -> None:
    (dice,) = pair_charts({"a": scores(0, cases_each=2), "b": scores(0.1, cases_each=2)}, ["dice", "rvd"])  # of rvd no more is better
    (panel,) = dice.panels
    assert sorted(re.findall(r"<title>(p0[^<]*)", panel)) == ["p0, a: 0.55", "p0, b: 0.65"]
    assert "WT: a 0.655, b 0.755" in dice.alt
    assert "higher is better" in dice.caption


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c", "d")])
def test_page_holds_words_lines_differences_and_ranks(tmp_path: Path, names: tuple[str, ...]) -> None:
    systems = {name: scores(0.02 * number) for number, name in enumerate(names)}
    write_comparison(tmp_path / "c.html", systems, compare_scores(systems), settings={"command": "crgan compare a b"})
    page = (tmp_path / "c.html").read_text(encoding="utf-8")
    for words in (f"and {names[-1]} on the same patients", "8 cases of 8 patients", "Patient by patient", "Ranks", "crgan compare a b"):
        assert words in page
    assert page.count("<svg") == 2
