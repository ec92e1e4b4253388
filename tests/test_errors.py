"""Errors say everything, also after they came from another process."""

from __future__ import annotations

import pickle

import pytest

from crgan.errors import CrganError, Problem, fail


def test_says_what_where_expected_got_and_fix() -> None:
    error = fail("Too small.", where="a.nii", expected="3", got="2", fix="enlarge it")
    assert str(error) == "Too small.\n  where:    a.nii\n  expected: 3\n  got:      2\n  fix:      enlarge it"


def test_says_nothing_about_what_is_not_known() -> None:
    assert str(fail("Too small.")) == "Too small."


@pytest.mark.parametrize("count", [0, 1, 3])
def test_survives_the_way_from_a_worker_process(count: int) -> None:
    error = CrganError([Problem(what=f"problem {number}", where="here") for number in range(count)])
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - made above
    assert str(back) == str(error)
    assert back.problems == error.problems
