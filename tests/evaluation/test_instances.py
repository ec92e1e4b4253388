from __future__ import annotations

import numpy as np
import pytest

from crgan.evaluation.instances import average_precision, det, mean_average_precision, panoptic_quality, seg
from crgan.evaluation.objects import Meetings, find_meetings


def meet(prediction: str, truth: str) -> Meetings:
    """Rows of one-letter objects; a dot is background."""
    return find_meetings(*(np.array([0 if letter == "." else ord(letter) for letter in row]) for row in (prediction, truth)))


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [
        # SEG, DET, AP at .5, mean AP, PQ
        ("aabb..cc", "xxyy..zz", (1, 1, 1, 1, 1)),
        ("........", "xxyy..zz", (0, 0, 0, 0, 0)),
        ("aabb..cc", "........", (None, None, None, None, None)),
        ("........", "........", (None, None, None, None, None)),
        # Two cells taken for one: it holds all of both (IoU 1/2 each), which costs one split.
        ("aaaa....", "xxyy....", (1 / 2, 1 - 5 / 20, 0, 0, 0)),
        # One of two missed, and a false one elsewhere.
        ("aa....bb", "xxyy....", (1 / 2, 1 - 11 / 20, 1 / 3, 1 / 3, 1 / 2)),
        # Half of an object is not more than half of it.
        ("a.......", "xx......", (0, 0, 0, 0, 0)),
        # Three of four voxels: IoU 3/4 passes the thresholds below it, and not 0.75 itself.
        ("aaa.....", "xxxx....", (3 / 4, 1, 1, 5 / 10, 3 / 4)),
        # So many false ones that beginning from nothing is cheaper.
        ("abcdefghijkl", "...........x", (1, 0, 1 / 12, 1 / 12, 1 / 6.5)),
    ],
)
def test_by_hand(prediction: str, truth: str, expected: tuple[float | None, ...]) -> None:
    meetings = meet(prediction, truth)
    ap = average_precision(meetings, iou=0.5)
    values = (seg(meetings), det(meetings), ap, mean_average_precision(meetings), panoptic_quality(meetings))
    assert values == pytest.approx(expected)


@pytest.mark.parametrize("iou", [0.4, 1.0])
def test_thresholds_at_which_matches_are_not_unique_are_refused(iou: float) -> None:
    with pytest.raises(ValueError, match="unique"):
        average_precision(meet("aa", "xx"), iou=iou)
