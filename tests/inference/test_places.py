from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from crgan.cases.volume import Geometry
from crgan.inference.places import Place, find_places

SHAPE = (8, 9, 10)
# Axes to L, A and S, voxels of 2 × 1 × 3 mm, off the origin.
AFFINE = np.array([[-2.0, 0, 0, 50], [0, 1, 0, -20], [0, 0, 3, 7], [0, 0, 0, 1]])
GRID = Geometry(shape=SHAPE, affine=AFFINE)
NOTHING = np.zeros((1, *SHAPE), bool)


def one(
    *blobs: tuple[tuple[slice, ...] | tuple[int, ...], float], marked: tuple[slice, ...] | None = None, **settings: object
) -> tuple[list[Place], np.ndarray]:
    """Places of a single target."""
    probabilities, mask = np.zeros((1, *SHAPE), np.float32), NOTHING.copy()
    for where, value in blobs:
        probabilities[0][where] = value
    if marked is not None:
        mask[0][marked] = True
        probabilities[0][marked] = 0.9
    return find_places(probabilities, mask, ["lesion"], GRID, exclusive=True, **settings)


def test_by_hand() -> None:
    far, near, mark = np.s_[6:8, 7:9, 8:10], np.s_[3, 2:5, 2], np.s_[0, 2:5, 2]
    (first, second), ranks = one((far, 0.4), (near, 0.6), ((7, 8, 9), 0.5), marked=mark)
    assert (first.rank, first.voxels, first.volume_mm3) == (1, 8, 48)  # 8 voxels of 6 mm³
    assert first.expected_mm3 == pytest.approx((7 * 0.4 + 0.5) * 6)
    assert (first.probability, first.mean_probability) == pytest.approx((0.5, 3.3 / 8))
    assert first.diameter_mm == pytest.approx((6 * 48 / np.pi) ** (1 / 3))
    assert first.distance_mm == pytest.approx(np.sqrt(12**2 + 3**2 + 18**2))  # from (6, 7, 8) to (0, 4, 2)
    assert (second.voxel, second.position_mm) == ((3, 3, 2), (44, -17, 13))
    assert (second.distance_mm, second.at_border) == (6, False)
    assert second.volume_mm3 == 18
    assert {int(rank): int((ranks == rank).sum()) for rank in np.unique(ranks)} == {0: ranks.size - 11, 1: 8, 2: 3}
    assert (ranks[far] == 1).all()


def test_what_touches_a_mark_comes_last_however_large() -> None:
    """Its outline is in doubt, not its being there."""
    (small, large), ranks = one((np.s_[4:7, 4:8, 4:8], 0.45), (np.s_[0, 0, 0], 0.2), marked=np.s_[3, 3, 3])
    assert (small.voxels, small.at_border) == (1, False)
    assert (large.voxels, large.at_border) == (48, True)  # by a corner
    assert ranks[0, 0, 0] == 1


def test_low_probabilities_and_what_is_marked_are_no_places() -> None:
    assert one((np.s_[:2], 0.09))[0] == []
    places, ranks = one(marked=np.s_[2:4, 2:4, 2:4])
    assert places == []
    assert not ranks.any()
    assert one((np.s_[:2], 0.09), least=0.05)[0][0].voxels == 180


def test_without_a_mark_there_is_no_distance() -> None:
    (place,), _ = one((np.s_[0, 0, 0], 0.5))
    assert place.distance_mm is None
    assert json.loads(json.dumps(place.to_json(), allow_nan=False))["distance_mm"] is None
    assert place.to_json()["position_mm"] == [50.0, -20.0, 7.0]


def test_only_the_first_places_are_kept() -> None:
    places, ranks = one(*(((2 * i, 0, 0), 0.2 + i / 10) for i in range(4)), most=2)
    assert [place.voxel for place in places] == [(6, 0, 0), (4, 0, 0)]
    assert (ranks > 0).sum() == 2


def test_a_lesion_missed_as_a_whole_is_one_place() -> None:
    """Nested regions: inside, only where the region around was marked."""
    probabilities, masks = np.zeros((2, *SHAPE), np.float32), np.zeros((2, *SHAPE), bool)
    probabilities[0][1:4, 1:4, 1:4] = 0.4
    probabilities[1][2, 2, 2] = 0.3  # in the lesion that was missed
    masks[0][5:8, 5:8, 5:8] = True
    probabilities[1][6, 6, 6] = 0.2  # in one that was marked
    places, _ = find_places(probabilities, masks, ["whole", "core"], GRID, exclusive=False)
    assert [(place.target, place.voxels) for place in places] == [("whole", 27), ("core", 1)]
    assert places[1].distance_mm is None  # no core is marked


def test_of_classes_the_likeliest_has_the_voxel() -> None:
    probabilities, masks = np.zeros((2, *SHAPE), np.float32), np.zeros((2, *SHAPE), bool)
    probabilities[:, 1, 1, 1], probabilities[:, 1, 1, 2] = (0.3, 0.2), (0.2, 0.3)
    masks[0][5:8, 5:8, 5:8] = True
    probabilities[:, 6, 6, 6] = (0.6, 0.3)  # a cancer that was taken for the organ around it
    places, ranks = find_places(probabilities, masks, ["organ", "cancer"], GRID, exclusive=True)
    assert {(place.target, place.voxel) for place in places} == {("organ", (1, 1, 1)), ("cancer", (1, 1, 2)), ("cancer", (6, 6, 6))}
    assert (ranks > 0).sum() == 3


def test_a_picture_has_discs() -> None:
    grid = Geometry(shape=(5, 6, 1), affine=np.diag([0.5, 0.5, 1.0, 1.0]), dimensions=2)
    probabilities = np.zeros((1, 5, 6, 1), np.float32)
    probabilities[0, 1:3, 1:3] = 0.5
    (place,), _ = find_places(probabilities, probabilities > 1, ["cell"], grid, exclusive=True)
    assert place.diameter_mm == pytest.approx(np.sqrt(4 / np.pi))  # of 1 mm²


@given(
    hnp.arrays(np.float32, (2, 3, 5, 6), elements=st.sampled_from([0.0, 0.05, 0.2, 0.4])),
    hnp.arrays(np.bool_, (2, 3, 5, 6), elements=st.sampled_from([False, False, True])),
    st.booleans(),
)
def test_places_hold_every_voxel_in_doubt_once_and_distances_are_right(
    probabilities: np.ndarray, masks: np.ndarray, exclusive: bool
) -> None:
    if not exclusive:
        masks = np.logical_or.accumulate(masks[::-1], axis=0)[::-1]
    grid = Geometry(shape=(3, 5, 6), affine=np.diag([1.0, 2.0, 0.5, 1.0]))
    places, ranks = find_places(probabilities, masks, ["a", "b"], grid, exclusive=exclusive, most=1000)
    assert [place.rank for place in places] == [*range(1, len(places) + 1)]
    doubt = np.where(masks, 0, probabilities)
    if not exclusive:
        doubt[1][~masks[0]] = 0
    assert ((ranks > 0) == (doubt.max(axis=0) >= 0.1)).all()
    for place in places:
        number = ["a", "b"].index(place.target)
        inside = ranks == place.rank
        assert inside[place.voxel]
        assert inside.sum() == place.voxels
        assert place.expected_mm3 == pytest.approx(float(doubt[number][inside].sum()), rel=1e-4)
        if masks[number].any():
            expected = ndimage.distance_transform_edt(~masks[number], sampling=(1, 2, 0.5))[inside].min()
            assert place.distance_mm == pytest.approx(expected)
        assert place.at_border == (ndimage.binary_dilation(masks[number], np.ones((3, 3, 3))) & inside).any()
    keys = [(place.at_border, -place.expected_mm3) for place in places]
    assert all(one[0] < other[0] or (one[0] == other[0] and one[1] <= other[1] + 1e-6) for one, other in pairwise(keys))
