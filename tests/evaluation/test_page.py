from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from crgan.evaluation.calibration import reliability
from crgan.evaluation.evidence import Evaluation
from crgan.evaluation.metrics import INSTANCES, OVERLAP, Choices
from crgan.evaluation.page import MOST_FAILURES, MOST_ROWS, write_page

Make = Callable[..., Evaluation]


@pytest.fixture
def page(tmp_path: Path) -> Callable[[Evaluation], str]:
    def write(made: Evaluation) -> str:
        write_page(tmp_path / "report.html", made, settings={"command": "crgan evaluate m l"})
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return write


def table(text: str, caption: str) -> str:
    return re.search(rf"<caption>{re.escape(caption)}</caption>.*?</table>", text, re.DOTALL)[0]


def test_worst_case_is_on_top_and_undefined_ones_are_last(page, evaluation: Make) -> None:
    text = table(page(evaluation({"good": 0.9, "none": None, "bad": 0.1, "fair": 0.5})), "Every case, the lowest Dice first")
    assert re.findall(r">(good|none|bad|fair)<", text) == ["bad", "fair", "good", "none"]
    assert "1,234" in text  # mm³


@pytest.mark.parametrize("count", [MOST_ROWS, MOST_ROWS + 5])
def test_long_tables_are_cut_and_say_so(page, evaluation: Make, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("crgan.evaluation.pictures.MOST_SLICES", 0)
    text = page(evaluation({f"case{i}": i / count for i in range(count)}))
    assert len(re.findall(r">case\d+<", table(text, "Every case, the lowest Dice first"))) == MOST_ROWS
    assert len(re.findall(r">case\d+<", table(text, "The worst first"))) == MOST_FAILURES
    assert ("all of them are in scores.csv" in text) == (count > MOST_ROWS)
    assert f"{count - 3} further cases are not pictured" in text


def test_lesions_and_objects_have_a_table_where_they_were_measured(page, evaluation: Make) -> None:
    assert "a false alarm is a connected part" in page(evaluation({"a": 0.9}))
    made = {"a": {"cell": dict.fromkeys((*OVERLAP, *INSTANCES, "false_positive_mm3"), 0.5)}}
    text = page(evaluation(made, choices=Choices(without=("distances", "lesions"))))
    assert "panoptic quality" in text
    assert "false alarm is" not in text
    assert "HD95 mm</th>" not in text
    assert "Lesions by size" not in text


def test_lesions_are_counted_by_size(page, evaluation: Make) -> None:
    text = page(evaluation({"a": 0.9, "b": None}))
    rows = re.findall(r'class="name">(under 10 mm|from 10 mm)</th>\s*<td>(\d+)</td>\s*<td>(\d+)</td>', table(text, "Lesions by size"))
    assert rows == [("under 10 mm", "2", "2"), ("from 10 mm", "2", "2")]


def test_links_lead_to_pictures_that_are_there(page, evaluation: Make) -> None:
    text = page(evaluation({f"p{i}": i / 10 for i in range(9)}))
    wanted = set(re.findall(r'href="#(case-\d+)"', text))
    assert wanted
    assert wanted <= set(re.findall(r'id="(case-\d+)"', text))


def test_failures_name_the_patient_where_it_is_not_the_case(page, evaluation: Make) -> None:
    text = page(evaluation({"a1": 0.9, "a2": 0.8}, patients={"a1": "Ann", "a2": "Ann"}))
    assert table(text, "The worst first").count(">Ann<") == 2
    assert "patient</th>" not in page(evaluation({"a1": 0.9}))


def test_where_nothing_failed_there_is_no_list_of_failures(page, evaluation: Make) -> None:
    made = evaluation({"a": 0.9})
    scored = made.found["a"]
    metrics = {"WT": scored.metrics["WT"] | {"lesions_missed": 0, "lesion_false_alarms": 0}}
    perfect = replace(scored.lesions["WT"], found=np.ones(4, bool), false_alarms=0)
    fine = replace(evaluation({"a": metrics}), found={"a": replace(scored, metrics=metrics, lesions={"WT": perfect})})
    text = page(fine)
    assert "Failures" not in text
    assert "In none of them" in text


def test_probabilities_have_a_curve_and_say_where_they_were_counted(page, evaluation: Make) -> None:
    assert "Are the probabilities right" not in page(evaluation({"a": 0.9}))
    made = evaluation({"a": {"WT": dict(evaluation({"a": 0.9}).scores.cases["a"]["WT"], ece=0.25, brier=0.125)}})
    found = {"a": replace(made.found["a"], reliability={"WT": reliability(np.array([0.1, 0.9]), np.array([False, True]))})}
    text = page(replace(made, found=found))
    assert "given 0.10 true in 0.00, given 0.90 true in 1.00" in text
    assert "within the box around truth and mask" in text


def test_what_it_takes_to_make_it_again_is_told(page, evaluation: Make) -> None:
    text = page(evaluation({"a": 0.9}))
    for word in ("crgan evaluate m l", "tolerance of NSD", "numpy ", "Python 3.", "UTC", "BCa"):
        assert word in text


def test_headings_are_in_order(page, evaluation: Make) -> None:
    levels = [int(level) for level in re.findall(r"<h(\d)", page(evaluation({"a": 0.9, "b": 0.2})))]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
