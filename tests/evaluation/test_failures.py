from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from crgan.evaluation.evidence import Evaluation
from crgan.evaluation.failures import find_failures

Make = Callable[..., Evaluation]


def test_reasons_are_told(evaluation: Make) -> None:
    (failure,) = find_failures(evaluation({"a": 0.9}))
    assert failure.case == "a"
    assert failure.reasons == ["WT: 1 of 4 lesions missed (the largest of 5.000 mm), 2 false alarms"]
    (failure,) = find_failures(evaluation({"a": 0.3}))
    assert failure.reasons[0].startswith("WT: 70 % of it missed, 1 of 4 lesions missed")


def test_worst_are_first(evaluation: Make) -> None:
    gone = evaluation({"a": 0.0}).scores.cases["a"]["WT"] | {"sensitivity": 0.0, "precision": 0.0}
    made = evaluation({"fair": 0.9, "poor": 0.4, "gone": {"WT": gone}, "absent": None})
    assert [failure.case for failure in find_failures(made)] == ["gone", "poor", "fair"]
    assert find_failures(made)[0].reasons[0].startswith("WT: what is marked lies elsewhere")


def test_marks_where_nothing_is_are_a_failure(evaluation: Make) -> None:
    marked = evaluation({"a": None}).scores.cases["a"]["WT"] | {"false_positive_mm3": 1500.0}
    (failure,) = find_failures(evaluation({"a": {"WT": marked}}))
    assert failure.reasons == ["WT: 1,500 mm³ marked where there is nothing to find"]
    (failure,) = find_failures(evaluation({"a": {"WT": marked}}, flat=True))
    assert failure.reasons == ["WT: 1,500 pixels marked where there is nothing to find"]


def test_one_lesion_missed_is_told_once(evaluation: Make) -> None:
    gone = evaluation({"a": 0.0}).scores.cases["a"]["WT"] | {"sensitivity": 0.0, "precision": None}
    made = evaluation({"a": {"WT": gone}})
    lesions = made.found["a"].lesions["WT"]
    single = replace(lesions, diameter_mm=np.array([9.0]), found=np.array([False]), dice=np.zeros(1), false_alarms=0)
    made = replace(made, found={"a": replace(made.found["a"], lesions={"WT": single})})
    assert find_failures(made)[0].reasons == ["WT: nothing marked"]
