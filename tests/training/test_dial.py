from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from crgan.model import Dial
from crgan.training.dial import choose_dial


class Validated:
    """Stands in for the refinement stage: a Dice for each setting of the dial."""

    def __init__(self, dice: Callable[[float, float], float]) -> None:
        self.dice = dice
        self.asked: list[tuple[float, float]] = []

    def judge(self, *, least: float) -> float:
        return least

    def scores_at(self, judged: float, *, p: float, q: float) -> dict[str, float]:
        assert p >= judged
        self.asked.append((p, q))
        return {"dice": self.dice(p, q), "fnr": 0.0}


@pytest.mark.parametrize(("p", "q"), [(0.3, 0.7), (0.7, 0.3), (0.4, 0.6), (0.5, 0.7)])
def test_the_best_setting_is_found(p: float, q: float) -> None:
    assert choose_dial(Validated(lambda a, b: 1 - abs(a - p) - abs(b - q))) == Dial(p=p, q=q)


def test_the_neutral_setting_stays_where_none_is_better() -> None:
    assert choose_dial(Validated(lambda _p, _q: 0.7)) == Dial(p=0.5, q=0.5)
    assert choose_dial(Validated(lambda p, _q: 0.7 - (p < 0.5))) == Dial(p=0.5, q=0.5)


def test_the_authors_three_directions_are_among_those_tried() -> None:
    stage = Validated(lambda _p, _q: 0.0)
    choose_dial(stage)
    assert {(0.5, 0.5), *product((0.3, 0.7), (0.3, 0.7))} <= {*stage.asked}
