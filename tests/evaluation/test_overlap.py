from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn import metrics as oracle

from crgan.evaluation.overlap import Overlap, compare

SHAPES = arrays.array_shapes(min_dims=1, max_dims=3, max_side=6)
PAIRS = SHAPES.flatmap(lambda shape: st.tuples(arrays.arrays(bool, shape), arrays.arrays(bool, shape)))


def mask(text: str) -> np.ndarray:
    return np.array([sign == "#" for sign in text])


# prediction, truth: dice, iou, sensitivity, specificity, precision, fnr, fpr
TABLE = [
    ("##..", "##..", (1, 1, 1, 1, 1, 0, 0)),
    ("##..", "..##", (0, 0, 0, 0, 0, 1, 1)),
    ("##....", ".##...", (1 / 2, 1 / 3, 1 / 2, 3 / 4, 1 / 2, 1 / 2, 1 / 4)),
    ("#.........", "####......", (2 / 5, 1 / 4, 1 / 4, 1, 1, 3 / 4, 0)),
    ("####", "#...", (2 / 5, 1 / 4, 1, 0, 1 / 4, 0, 1)),
    ("####", "####", (1, 1, 1, None, 1, 0, None)),  # nothing is not truth
    ("....", "#...", (0, 0, 0, 1, None, 1, 0)),  # nothing predicted: counted as a miss
    ("##..", "....", (None, None, None, 1 / 2, 0, None, 1 / 2)),  # nothing to find
    ("....", "....", (None, None, None, 1, None, None, 0)),
]


@pytest.mark.parametrize(("prediction", "truth", "expected"), TABLE)
def test_by_hand(prediction: str, truth: str, expected: tuple[float | None, ...]) -> None:
    overlap = compare(mask(prediction), mask(truth))
    names = ("dice", "iou", "sensitivity", "specificity", "precision", "fnr", "fpr")
    assert tuple(getattr(overlap, name) for name in names) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("prediction", "truth", "voe", "rvd", "fdr"),
    [
        ("##..", "##..", 0, 0, 0),
        ("####", "#...", 3 / 4, 3, 3 / 4),
        ("#...", "####", 3 / 4, -3 / 4, 0),
        ("....", "#...", 1, -1, None),
        ("##..", "....", None, None, 1),
        ("....", "....", None, None, None),
    ],
)
def test_volume_error_and_false_discoveries_by_hand(
    prediction: str, truth: str, voe: float | None, rvd: float | None, fdr: float | None
) -> None:
    overlap = compare(mask(prediction), mask(truth))
    assert (overlap.voe, overlap.rvd, overlap.fdr) == (voe, rvd, fdr)


def test_only_voxels_of_the_given_mask_count() -> None:
    prediction, truth, body = mask("##.#...."), mask("#.#....."), mask("#####...")
    assert compare(prediction, truth, within=body) == Overlap(true_positives=1, false_positives=2, false_negatives=1, true_negatives=1)
    assert compare(prediction, truth, within=body).fpr == pytest.approx(2 / 3)
    assert compare(prediction, truth).fpr == pytest.approx(2 / 6)


@given(PAIRS)
def test_counts_share_all_voxels_and_agree_with_scikit_learn(pair: tuple[np.ndarray, np.ndarray]) -> None:
    prediction, truth = pair
    overlap = compare(prediction, truth)
    tn, fp, fn, tp = oracle.confusion_matrix(truth.ravel(), prediction.ravel(), labels=[False, True]).ravel()
    assert overlap == Overlap(true_positives=tp, false_positives=fp, false_negatives=fn, true_negatives=tn)
    if truth.any():
        assert overlap.dice == pytest.approx(oracle.f1_score(truth.ravel(), prediction.ravel()))
        assert overlap.iou == pytest.approx(oracle.jaccard_score(truth.ravel(), prediction.ravel()))
        assert overlap.sensitivity == pytest.approx(oracle.recall_score(truth.ravel(), prediction.ravel()))
    if truth.any() and prediction.any():
        assert overlap.precision == pytest.approx(oracle.precision_score(truth.ravel(), prediction.ravel()))


@given(PAIRS)
def test_swapping_prediction_and_truth_swaps_precision_and_sensitivity(pair: tuple[np.ndarray, np.ndarray]) -> None:
    there, back = compare(*pair), compare(*reversed(pair))
    assert there.precision == back.sensitivity
    if pair[0].any() and pair[1].any():
        assert (there.dice, there.iou) == (back.dice, back.iou)


@given(PAIRS)
def test_dice_and_iou_say_the_same(pair: tuple[np.ndarray, np.ndarray]) -> None:
    overlap = compare(*pair)
    if overlap.iou is not None:
        assert overlap.dice == pytest.approx(2 * overlap.iou / (1 + overlap.iou))


@pytest.mark.parametrize(
    ("prediction", "truth"), [(np.zeros((2, 3), bool), np.zeros((3, 2), bool)), (np.zeros(3, np.uint8), np.zeros(3, bool))]
)
def test_unlike_arrays_are_refused(prediction: np.ndarray, truth: np.ndarray) -> None:
    with pytest.raises(ValueError, match="bool and of one shape"):
        compare(prediction, truth)
