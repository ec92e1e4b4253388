from __future__ import annotations

import numpy as np
import pytest

from crgan.evaluation.metrics import BRATS_WORST_MM, DISTANCES, OVERLAP, Empty, measure

NOTHING = np.zeros((8, 8, 8), bool)
SOMETHING = NOTHING.copy()
SOMETHING[2:4, 2:4, 2:4] = True
ELSEWHERE = np.roll(SOMETHING, 3, axis=2)


@pytest.mark.parametrize(
    ("prediction", "truth", "empty", "dice", "fnr", "hd95_mm", "false_positive_mm3"),
    [
        (SOMETHING, SOMETHING, "null", 1, 0, 0, 0),
        (SOMETHING, SOMETHING, "brats", 1, 0, 0, 0),
        (ELSEWHERE, SOMETHING, "null", 0, 1, 1.5, 8 * 3),
        (ELSEWHERE, SOMETHING, "brats", 0, 1, 1.5, 8 * 3),
        # Prediction empty: a miss that counts, but no surface to measure to.
        (NOTHING, SOMETHING, "null", 0, 1, None, 0),
        (NOTHING, SOMETHING, "brats", 0, 1, BRATS_WORST_MM, 0),
        # Truth empty: nothing to find; only what was marked counts.
        (SOMETHING, NOTHING, "null", None, None, None, 8 * 3),
        (SOMETHING, NOTHING, "brats", 0, None, BRATS_WORST_MM, 8 * 3),
        (NOTHING, NOTHING, "null", None, None, None, 0),
        (NOTHING, NOTHING, "brats", 1, None, 0, 0),
    ],
)
def test_conventions(
    prediction: np.ndarray,
    truth: np.ndarray,
    empty: Empty,
    dice: float | None,
    fnr: float | None,
    hd95_mm: float | None,
    false_positive_mm3: float,
) -> None:
    metrics = measure(prediction, truth, spacing_mm=(2, 3, 0.5), empty=empty)
    assert (metrics["dice"], metrics["fnr"], metrics["false_positive_mm3"]) == (dice, fnr, false_positive_mm3)
    assert metrics["hd95_mm"] == pytest.approx(hd95_mm)
    assert metrics["truth_mm3"] == truth.sum() * 3


def test_every_figure_is_there_in_every_case() -> None:
    for prediction in (NOTHING, SOMETHING):
        for truth in (NOTHING, SOMETHING):
            for empty in ("null", "brats"):
                names = list(measure(prediction, truth, spacing_mm=(1, 1, 1), empty=empty))
                assert names == [*OVERLAP, *DISTANCES, "truth_mm3", "false_positive_mm3"]


def test_false_positive_rate_in_the_foreground() -> None:
    foreground = np.zeros_like(NOTHING)
    foreground[1:5, 1:5, 1:5] = True
    marked = SOMETHING.copy()
    marked[1, 1, 1] = marked[7, 7, 7] = True
    metrics = measure(marked, SOMETHING, spacing_mm=(1, 1, 1), foreground=foreground)
    assert metrics["fpr_foreground"] == pytest.approx(1 / (64 - 8))
    assert metrics["fpr"] == pytest.approx(2 / (512 - 8))


def test_what_is_not_known_enters_no_figure() -> None:
    known = np.zeros(SOMETHING.shape, bool)
    known[:, :5, :5] = True
    clutter = SOMETHING | ~known  # everything that nobody annotated was marked
    expected = measure(SOMETHING[:, :5, :5], SOMETHING[:, :5, :5], spacing_mm=(2, 3, 0.5))
    assert measure(clutter, SOMETHING, spacing_mm=(2, 3, 0.5), within=known) == expected
    body = np.ones(SOMETHING.shape, bool)
    assert measure(clutter, SOMETHING, spacing_mm=(2, 3, 0.5), within=known, foreground=body)["fpr_foreground"] == 0
    assert measure(clutter, SOMETHING, spacing_mm=(2, 3, 0.5), foreground=body)["fpr_foreground"] > 0.5
