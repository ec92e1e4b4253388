from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from crgan.errors import CrganError, Problem, fail


def test_a_problem_tells_what_is_known_of_it() -> None:
    problem = Problem(what="The image is constant.", where=Path("a.nii.gz"), expected="an image", got="0 everywhere", fix="export it again")
    assert str(problem).splitlines() == [
        "The image is constant.",
        "  where:    a.nii.gz",
        "  expected: an image",
        "  got:      0 everywhere",
        "  fix:      export it again",
    ]
    assert str(Problem(what="Nothing.")) == "Nothing."
    assert str(Problem(what="Empty text is told.", got="")).splitlines()[1] == "  got:      "


def test_problems_are_errors_unless_said_otherwise() -> None:
    assert Problem(what="x").severity == "error"


def test_an_error_holds_one_or_several_problems() -> None:
    first, second = Problem(what="one"), Problem(what="two", fix="mend")
    assert CrganError(first).problems == (first,)
    error = CrganError([first, second])
    assert error.problems == (first, second)
    assert str(error) == "one\ntwo\n  fix:      mend"


def test_an_error_comes_whole_out_of_a_worker_process() -> None:
    error = CrganError([Problem(what="one", where=Path("a")), Problem(what="two")])
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert again.problems == error.problems
    assert str(again) == str(error)


def test_fail_makes_the_error_that_is_raised() -> None:
    def refuse() -> None:
        raise fail("No.", where="--out", expected="a", got="b", fix="c")

    with pytest.raises(CrganError) as caught:
        refuse()
    assert caught.value.problems == (Problem(what="No.", where="--out", expected="a", got="b", fix="c"),)
