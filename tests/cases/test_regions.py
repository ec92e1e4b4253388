"""Pieces and holes, counted by hand and by another library."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from crgan.cases.labels import LabelScheme
from crgan.cases.regions import marked_box, summarise_targets
from crgan.cases.schemes import count_values

CLASSES = LabelScheme(classes={1: "a", 2: "b"})
NESTED = LabelScheme(classes={1: "rim", 2: "core"}, regions={"whole": (1, 2), "core": (2,)})


def summarise(labels: np.ndarray, scheme: LabelScheme):
    return summarise_targets(scheme.encode(labels[marked_box(labels)]), count_values(labels), scheme)


def cube() -> np.ndarray:
    labels = np.zeros((9, 9, 9), np.uint8)
    labels[1:6, 1:6, 1:6] = 1
    return labels


def test_pieces_touch_at_corners_and_classes_are_apart() -> None:
    labels = np.zeros((6, 6, 6), np.uint8)
    labels[0, 0, 0] = labels[1, 1, 1] = 1  # one piece across a corner
    labels[4, 4, 4] = 1
    labels[1, 1, 2] = 2  # touches, but is another class
    a, b = summarise(labels, CLASSES)
    assert (a.name, a.voxels, a.lesions) == ("a", 3, (2, 1))
    assert (b.name, b.voxels, b.lesions) == ("b", 1, (1,))


def test_regions_are_pieces_of_their_union() -> None:
    labels = cube()
    labels[3, 3, 3] = 2
    whole, core = summarise(labels, NESTED)
    assert (whole.lesions, core.lesions) == ((125,), (1,))
    assert (whole.holes, core.holes) == (0, 0)


@pytest.mark.parametrize("scheme", [CLASSES, NESTED])
def test_holes_belong_to_the_target_that_encloses_them(scheme: LabelScheme) -> None:
    labels = cube()
    labels[2:4, 3, 3] = 0
    assert [target.holes for target in summarise(labels, scheme)] == [2, 0]
    labels[labels == 1] = 2  # with regions it is a hole in both; the innermost has it
    assert [target.holes for target in summarise(labels, scheme)] == [0, 2]


def test_a_hole_between_two_classes_is_one_of_their_region_only() -> None:
    labels = cube()
    labels[4:6, 1:6, 1:6] = 2
    labels[3, 3, 3] = 0
    assert [target.holes for target in summarise(labels, CLASSES)] == [0, 0]
    assert [target.holes for target in summarise(labels, NESTED)] == [1, 0]


def test_an_open_bay_is_no_hole() -> None:
    labels = cube()
    labels[3, 3, 3:] = 0
    assert summarise(labels, CLASSES)[0].holes == 0


def test_pictures_have_eight_neighbours_and_holes_of_four() -> None:
    labels = np.zeros((9, 9, 1), np.uint8)
    labels[1:6, 1:6] = 1
    labels[3, 3] = 0
    labels[6, 6] = 1
    (a, _) = summarise(labels, CLASSES)
    assert (a.lesions, a.holes) == ((25,), 1)


def test_a_line_of_voxels_and_nothing_at_all() -> None:
    labels = np.zeros((5, 6, 7), np.uint8)
    assert [(target.voxels, target.lesions, target.holes) for target in summarise(labels, CLASSES)] == [(0, (), 0)] * 2
    labels[2, 3, 1:5] = 1
    assert summarise(labels, CLASSES)[0].lesions == (4,)


def test_instances_are_counted_by_their_ids() -> None:
    labels = np.zeros((8, 8, 1), np.uint16)
    labels[:2], labels[2], labels[7, 0] = 7, 9, 300
    (cell,) = summarise(labels, LabelScheme(classes={1: "cell"}, instances=True))
    assert (cell.name, cell.voxels, cell.lesions, cell.holes) == ("cell", 25, (16, 8, 1), 0)


def test_random_maps_agree_with_scipy() -> None:
    random = np.random.default_rng(3)
    for _ in range(5):
        labels = (ndimage.gaussian_filter(random.normal(size=(14, 15, 16)), 1) > 0.1).astype(np.uint8)
        (target,) = summarise(labels, LabelScheme(classes={1: "a"}))
        pieces, number = ndimage.label(labels, np.ones((3, 3, 3)))
        assert sorted(target.lesions) == sorted(ndimage.sum_labels(labels, pieces, range(1, number + 1)))
        assert target.holes == int((ndimage.binary_fill_holes(labels) & (labels == 0)).sum())


def test_what_is_to_be_ignored_is_neither_a_piece_nor_the_rim_of_a_hole() -> None:
    labels = cube()
    labels[3, 3, 3] = 0
    labels[3, 3, 4] = 9
    labels[8, 8, 8] = 9
    for scheme in (replace(CLASSES, ignore=9), replace(NESTED, ignore=9)):
        first, _ = summarise(labels, scheme)
        assert (first.voxels, first.lesions, first.holes) == (123, (123,), 0)
    (cell,) = summarise(labels, LabelScheme(classes={1: "cell"}, instances=True, ignore=9))
    assert cell.lesions == (123,)
