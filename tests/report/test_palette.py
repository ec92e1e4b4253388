from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from crgan.report.palette import FALSE_ALARM, MISSED, TARGETS, target_colour

# How the world looks without the long-wave and without the middle-wave cones (Viénot, Brettel and Mollon 1999), in linear RGB.
PROTANOPE = np.array([[0.11238, 0.88762, 0.0], [0.11238, 0.88762, 0.0], [0.00401, -0.00401, 1.0]])
DEUTERANOPE = np.array([[0.29275, 0.70725, 0.0], [0.29275, 0.70725, 0.0], [-0.02234, 0.02234, 1.0]])


@pytest.mark.parametrize("vision", [np.eye(3), PROTANOPE, DEUTERANOPE])
def test_colours_of_a_picture_can_be_told_apart(vision: np.ndarray) -> None:
    seen = {colour: vision @ np.array(to_rgb(colour)) ** 2.2 for colour in (*TARGETS[:3], MISSED, FALSE_ALARM)}
    for first, second in combinations(seen, 2):
        assert np.linalg.norm(seen[first] - seen[second]) > 0.13, (first, second)


def test_colours_begin_again_after_the_last() -> None:
    assert target_colour(0) == target_colour(len(TARGETS)) == TARGETS[0]
    assert len(set(TARGETS)) == len(TARGETS)
