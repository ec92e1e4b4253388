"""The setting of the dial that is best on validation patients."""

from __future__ import annotations

from itertools import product

from crgan.model import Dial
from crgan.training.refinement import RefinementStage

_SETTINGS = (0.3, 0.4, 0.5, 0.6, 0.7)


def choose_dial(stage: RefinementStage) -> Dial:
    """Find the (p, q) with the best mean Dice of whole validation volumes; the neutral one where none is better."""
    judged = stage.judge(least=min(_SETTINGS))
    neutral = Dial()

    def dice(dial: Dial) -> float:
        return stage.scores_at(judged, p=dial.p, q=dial.q)["dice"]

    best, best_dice = neutral, dice(neutral)
    for p, q in product(_SETTINGS, _SETTINGS):
        found = dice(Dial(p=p, q=q))
        if found > best_dice:
            best, best_dice = Dial(p=p, q=q), found
    return best
