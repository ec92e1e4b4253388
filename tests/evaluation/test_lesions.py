from __future__ import annotations

import numpy as np
import pytest

from crgan.evaluation.lesions import compare_lesions

SPACING = (1.0, 1.0, 1.0)


def boxes(*places: tuple[slice, slice, slice]) -> np.ndarray:
    mask = np.zeros((16, 16, 16), bool)
    for place in places:
        mask[place] = True
    return mask


SMALL = (slice(1, 3), slice(1, 3), slice(1, 3))
LARGE = (slice(6, 12), slice(6, 12), slice(6, 12))
CORNER = (slice(14, 16), slice(14, 16), slice(0, 2))


def test_by_hand() -> None:
    half = (LARGE[0], LARGE[1], slice(6, 9))
    lesions = compare_lesions(boxes(half, CORNER), boxes(SMALL, LARGE), spacing_mm=SPACING)
    assert lesions.found.tolist() == [False, True]
    assert (lesions.count, lesions.missed, lesions.marks, lesions.false_alarms) == (2, 1, 2, 1)
    assert (lesions.sensitivity, lesions.precision, lesions.f1) == (0.5, 0.5, 0.5)
    assert lesions.dice.tolist() == pytest.approx([0, 2 / 3])
    assert lesions.diameter_mm == pytest.approx([(6 * 8 / np.pi) ** (1 / 3), (6 * 216 / np.pi) ** (1 / 3)])
    assert lesions.mean_dice == pytest.approx(1 / 3)
    assert np.isnan(lesions.assd_mm[0])
    assert lesions.mean_assd_mm == lesions.assd_mm[1] > 0


@pytest.mark.parametrize(
    ("prediction", "truth", "expected"),
    [
        # sensitivity, precision, f1, missed, false alarms, mean Dice, mean distance
        (boxes(SMALL), boxes(SMALL), (1, 1, 1, 0, 0, 1, 0)),
        (boxes(), boxes(SMALL, LARGE), (0, None, 0, 2, 0, 0, None)),
        (boxes(CORNER), boxes(SMALL), (0, 0, 0, 1, 1, 0, None)),
        (boxes(SMALL, LARGE), boxes(), (None, 0, None, 0, 2, None, None)),
        (boxes(), boxes(), (None, None, None, 0, 0, None, None)),
    ],
)
def test_empty_masks(prediction: np.ndarray, truth: np.ndarray, expected: tuple[float | None, ...]) -> None:
    lesions = compare_lesions(prediction, truth, spacing_mm=SPACING)
    found = (
        lesions.sensitivity,
        lesions.precision,
        lesions.f1,
        lesions.missed,
        lesions.false_alarms,
        lesions.mean_dice,
        lesions.mean_assd_mm,
    )
    assert found == expected


def test_sizes_divide_the_lesions_and_not_the_marks() -> None:
    lesions = compare_lesions(boxes(LARGE, CORNER), boxes(SMALL, LARGE), spacing_mm=(2, 2, 2))
    small, large = lesions.of_size(0, 10), lesions.of_size(10, np.inf)
    assert (small.count, small.missed, small.sensitivity, small.mean_dice, small.mean_assd_mm) == (1, 1, 0, 0, None)
    assert (large.count, large.missed, large.sensitivity, large.mean_dice, large.mean_assd_mm) == (1, 0, 1, 1, 0)
    assert small.false_alarms == large.false_alarms == 1


def test_a_mark_over_two_lesions_finds_both_but_neither_well() -> None:
    truth = boxes((slice(2, 4), slice(2, 4), slice(2, 4)), (slice(2, 4), slice(2, 4), slice(6, 8)))
    bridge = boxes((slice(2, 4), slice(2, 4), slice(2, 8)))
    lesions = compare_lesions(bridge, truth, spacing_mm=SPACING)
    assert lesions.found.all()
    assert lesions.dice.tolist() == pytest.approx([2 * 8 / (8 + 16)] * 2)  # the other lesion's voxels do not count against it
    assert np.isnan(lesions.assd_mm).all()  # the bridge's surface is that of neither
    assert lesions.mean_assd_mm is None


def test_lesions_that_touch_by_a_corner_are_one() -> None:
    diagonal = np.eye(6, dtype=bool)
    assert compare_lesions(diagonal, diagonal, spacing_mm=(1, 1)).count == 1
    assert compare_lesions(diagonal, diagonal, spacing_mm=(1, 1)).diameter_mm[0] == pytest.approx(np.sqrt(4 * 6 / np.pi))


def test_a_lesion_of_one_slice_in_a_volume_is_a_body() -> None:
    plate = boxes((slice(8, 9), slice(4, 9), slice(4, 9)))
    hollow = plate.copy()
    hollow[8, 5:8, 5:8] = False
    lesions = compare_lesions(hollow, plate, spacing_mm=SPACING)
    assert lesions.assd_mm[0] == pytest.approx((8 * 1 + 1 * 2) / (25 + 16))  # the hole's voxels are border of the plate too
