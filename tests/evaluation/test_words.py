from __future__ import annotations

from collections.abc import Callable

from crgan.evaluation.evidence import Evaluation
from crgan.evaluation.failures import find_failures
from crgan.evaluation.words import lead, points

Make = Callable[..., Evaluation]


def test_each_target_is_told_in_sentences(evaluation: Make) -> None:
    text = points(evaluation({"a": 0.9, "b": 0.7}))["WT"]
    assert text.startswith("On average 20 % (n = 2) of it was missed, and 20 % of what was marked was wrong. Mean Dice 0.800.")
    assert "Of 8 lesions 6 were found and 2 missed, in 2 cases; the mean share found in a case is 80 %." in text
    assert text.endswith("There were 4 false alarms, in 2 cases.")


def test_intervals_and_n_stand_where_there_are_any(evaluation: Make) -> None:
    text = points(evaluation({"a": 0.9, "b": 0.7, "c": 0.8, "d": None}))["WT"]
    assert "of it was missed" in text
    assert "n = 3)" in text
    assert text.count("n = 3") == 1  # the reader knows it then
    assert " to " in text.split("Mean Dice")[1]
    assert "It occurs in 3 of 4 cases." in text


def test_target_that_never_occurs_is_said_to(evaluation: Make) -> None:
    assert points(evaluation({"a": None}))["WT"] == "Occurs in no case; marked in 0 cases."


def test_what_was_missed_altogether_is_said_first(evaluation: Make) -> None:
    missed = evaluation({"a": 0.0}).scores.cases["a"]["WT"] | {"sensitivity": 0.0, "fdr": None, "precision": None}
    made = evaluation({"a": {"WT": missed}, "b": 0.9})
    assert "In 1 case all of it was missed." in points(made)["WT"]
    assert "nothing was marked" in points(evaluation({"a": {"WT": missed}}))["WT"]
    text = lead(made, find_failures(made))
    assert text.startswith("2 cases of 2 patients held against the experts' labels. In 2 of them")
    assert "The worst is a (WT: nothing marked" in text
    assert "There are no intervals: 2 patients" in text


def test_patients_are_counted_and_not_cases(evaluation: Make) -> None:
    made = evaluation({"a1": 0.9, "a2": 0.8}, patients={"a1": "Ann", "a2": "Ann"})
    assert lead(made, []).startswith("2 cases of 1 patient held against the experts' labels. In none of them")
    assert "In brackets stand" in lead(evaluation(dict.fromkeys("abc", 0.5)), [])
