from __future__ import annotations

import re
from pathlib import Path

import pytest

from crgan.evaluation.metrics import DISTANCES, INSTANCES, LESIONS, OVERLAP, Choices
from crgan.evaluation.page import MOST_ROWS, write_page
from crgan.evaluation.scores import Scores

NAMES = (*OVERLAP, *DISTANCES, "nsd", *LESIONS, "truth_mm3", "false_positive_mm3")


def metrics(dice: float | None) -> dict[str, float | None]:
    values = dict.fromkeys(NAMES, dice)
    values["fnr"] = None if dice is None else 1 - dice
    values |= {"lesions": 4, "lesions_missed": 1, "lesion_false_alarms": 2}
    return values | {"truth_mm3": 1234.5, "false_positive_mm3": 0.0}


def page(tmp_path: Path, dice: dict[str, float | None]) -> str:
    scores = Scores.of({case: {"WT": metrics(value)} for case, value in dice.items()}, patients={case: case for case in dice})
    write_page(tmp_path / "report.html", scores, masks=Path("m"), labels=Path("l"), choices=Choices())
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_worst_case_is_on_top_and_undefined_ones_are_last(tmp_path: Path) -> None:
    text = page(tmp_path, {"good": 0.9, "none": None, "bad": 0.1, "fair": 0.5})
    assert re.findall(r'<th scope="row" class="name">(good|none|bad|fair)</th>', text) == ["bad", "fair", "good", "none"]


def test_summary_says_what_was_measured(tmp_path: Path) -> None:
    text = page(tmp_path, {"a": 0.9, "b": 0.7})
    assert "2 cases of 2 patients" in text
    assert "WT has a mean Dice of 0.800 and misses 20 % of its volume and 2 of 8 lesions, with 4 false alarms." in text
    assert "1,234" in text  # mm³


def test_target_that_never_occurs_is_said_to(tmp_path: Path) -> None:
    text = page(tmp_path, {"a": None})
    assert "1 case of 1 patient held" in text
    assert "WT occurs in no case" in text


@pytest.mark.parametrize("count", [MOST_ROWS, MOST_ROWS + 5])
def test_long_tables_are_cut_and_say_so(tmp_path: Path, count: int) -> None:
    text = page(tmp_path, {f"case{i}": i / count for i in range(count)})
    assert len(re.findall(r">case\d+<", text)) == MOST_ROWS
    assert ("all of them are in scores.csv" in text) == (count > MOST_ROWS)


def test_lesions_and_objects_have_a_table_where_they_were_measured(tmp_path: Path) -> None:
    assert "a false alarm is a connected part" in page(tmp_path, {"a": 0.9})
    scores = Scores.of({"a": {"cell": dict.fromkeys((*OVERLAP, *INSTANCES), 0.5)}}, patients={"a": "a"})
    write_page(tmp_path / "report.html", scores, masks=Path("m"), labels=Path("l"), choices=Choices(without=("distances", "lesions")))
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "panoptic quality" in text
    assert "false alarm" not in text
    assert "HD95 mm</th>" not in text
