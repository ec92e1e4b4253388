from __future__ import annotations

import numpy as np
import pytest

from crgan.evaluation.metrics import (
    BRATS_WORST_MM,
    DISTANCES,
    INSTANCES,
    LESIONS,
    OVERLAP,
    Choices,
    Empty,
    measure,
    measure_instances,
    size_class,
)

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
    metrics = measure(prediction, truth, spacing_mm=(2, 3, 0.5), choices=Choices(empty=empty))
    assert (metrics["dice"], metrics["fnr"], metrics["false_positive_mm3"]) == (dice, fnr, false_positive_mm3)
    assert metrics["hd95_mm"] == pytest.approx(hd95_mm)
    assert metrics["truth_mm3"] == truth.sum() * 3


@pytest.mark.parametrize(
    ("prediction", "truth", "empty", "nsd", "voe", "rvd", "mssd_mm"),
    [
        (SOMETHING, SOMETHING, "null", 1, 0, 0, 0),
        (NOTHING, SOMETHING, "null", 0, 1, -1, None),
        (NOTHING, SOMETHING, "brats", 0, 1, -1, BRATS_WORST_MM),
        (SOMETHING, NOTHING, "null", None, None, None, None),
        (SOMETHING, NOTHING, "brats", 0, 1, None, BRATS_WORST_MM),
        (NOTHING, NOTHING, "null", None, None, None, None),
        (NOTHING, NOTHING, "brats", 1, 0, None, 0),
    ],
)
def test_conventions_of_further_figures(
    prediction: np.ndarray,
    truth: np.ndarray,
    empty: Empty,
    nsd: float | None,
    voe: float | None,
    rvd: float | None,
    mssd_mm: float | None,
) -> None:
    metrics = measure(prediction, truth, spacing_mm=(1, 1, 1), choices=Choices(empty=empty))
    assert [metrics[name] for name in ("nsd", "voe", "rvd", "mssd_mm")] == [nsd, voe, rvd, mssd_mm]


SIZES = [
    f"{name}_{size}"
    for size in ("under_10mm", "from_10mm")
    for name in ("lesions", "lesions_missed", "lesion_sensitivity", "lesion_dice", "lesion_assd_mm")
]


def test_every_figure_is_there_in_every_case() -> None:
    for prediction in (NOTHING, SOMETHING):
        for truth in (NOTHING, SOMETHING):
            for empty in ("null", "brats"):
                names = list(measure(prediction, truth, spacing_mm=(1, 1, 1), choices=Choices(empty=empty)))
                last = ["truth_mm3", "false_positive_mm3"]
                assert names == [*OVERLAP, "fpr_foreground", *DISTANCES, "nsd", *LESIONS, *SIZES, *last]


def test_groups_can_be_left_out() -> None:
    names = set(measure(SOMETHING, SOMETHING, spacing_mm=(1, 1, 1), choices=Choices(without=("distances", "lesions"))))
    assert names == {*OVERLAP, "fpr_foreground", "truth_mm3", "false_positive_mm3"}


def test_tolerance_and_size_classes_are_chosen() -> None:
    choices = Choices(tolerance_mm=3, lesion_splits_mm=(2, 5))
    metrics = measure(ELSEWHERE, SOMETHING, spacing_mm=(1, 1, 1), choices=choices)
    assert metrics["nsd"] == 1  # three voxels apart
    assert measure(ELSEWHERE, SOMETHING, spacing_mm=(1, 1, 1))["nsd"] == 0
    assert [metrics[f"lesions_{size}"] for size in ("under_2mm", "2_to_5mm", "from_5mm")] == [0, 1, 0]  # a ball of 8 mm³ is 2.5 mm wide
    assert metrics["lesions_missed_2_to_5mm"] == 1
    assert size_class(0, np.inf) == "any_size"


@pytest.mark.parametrize(("splits", "tolerance"), [((10, 5), 1), ((0,), 1), ((5, 5), 1), ((5,), -1), ((5,), float("nan"))])
def test_choices_that_make_no_sense_are_refused(splits: tuple[float, ...], tolerance: float) -> None:
    with pytest.raises(ValueError, match=r"tolerance_mm|lesion_splits_mm"):
        Choices(lesion_splits_mm=splits, tolerance_mm=tolerance)


def test_groups_that_are_not_known_are_refused() -> None:
    with pytest.raises(ValueError, match="got overlap"):
        Choices(without=("overlap",))


def test_objects_are_measured_where_the_truth_is_known() -> None:
    truth = np.array([[1, 1, 0, 2, 2, 0, 3]])
    prediction = np.array([[5, 5, 0, 0, 0, 0, 9]])
    metrics = measure_instances(prediction, truth)
    assert list(metrics) == list(INSTANCES)
    assert metrics["seg"] == pytest.approx(2 / 3)
    assert set(measure_instances(prediction, truth, within=truth != 2).values()) == {1.0}


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
