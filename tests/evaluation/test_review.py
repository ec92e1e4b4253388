from __future__ import annotations

import numpy as np
import pytest

from crgan.evaluation.review import Review, review, workload


def line(*values: int) -> np.ndarray:
    """One row of a slice."""
    return np.array(values).reshape(1, 1, -1)


def bits(text: str) -> np.ndarray:
    return line(*map(int, text)) > 0


def test_by_hand() -> None:
    """Three lesions: one found in part, one in the second place, one in none; the first place is a false alarm."""
    truth = bits("1110011000100")
    mask_ = bits("1000000000001")
    ranks = line(0, 0, 3, 0, 0, 2, 0, 0, 1, 0, 0, 0, 0)
    found = review(ranks, mask_, truth)
    assert found.looked.tolist() == [1, 1, 1]
    assert found.missed_voxels == 5
    assert found.recovered.tolist() == [0, 1, 1]
    assert found.found_at.tolist() == [2, 0]


def test_the_first_of_several_places_counts() -> None:
    found = review(line(3, 2, 0, 1), bits("0000"), bits("1100"))
    assert found.found_at.tolist() == [2]


def test_nothing_missed_and_nothing_to_look_at() -> None:
    whole = review(line(0, 1), bits("10"), bits("10"))
    assert (whole.missed_voxels, whole.found_at.size, whole.recovered.tolist()) == (0, 0, [0])
    nowhere = review(line(0, 0), bits("00"), bits("01"))
    assert (nowhere.looked.size, nowhere.found_at.tolist()) == (0, [0])


def test_pictures_have_8_neighbours() -> None:
    found = review(np.array([[1, 0], [0, 0]]), np.array([[False, False], [False, True]]), np.eye(2) > 0)
    assert found.found_at.size == 0  # one lesion, across the corner, which was found
    assert found.recovered.tolist() == [1]


def test_work_and_what_it_brings() -> None:
    reviews = [
        Review(looked=np.array([5, 3]), missed_voxels=10, recovered=np.array([4, 1]), found_at=np.array([2, 0])),
        Review(looked=np.array([7]), missed_voxels=4, recovered=np.array([0]), found_at=np.zeros(0, int)),
        Review(looked=np.zeros(0, int), missed_voxels=0, recovered=np.zeros(0, int), found_at=np.zeros(0, int)),
    ]
    none, one, all_ = (workload(reviews, most=most) for most in (0, 1, 50))
    assert (none.places, none.voxels, none.lesions_found, none.voxels_found) == (0, 0, 0, 0)
    assert (one.places, one.voxels, one.lesions_found, one.lesions_missed) == (pytest.approx(2 / 3), 4, 0, 2)
    assert one.voxels_found == pytest.approx((0.4 + 0) / 2)
    assert (all_.places, all_.voxels, all_.lesions_found) == (1, 5, 1)
    assert all_.voxels_found == pytest.approx(0.25)
    assert workload(reviews[2:], most=1).voxels_found is None


def test_maps_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="masks' shape"):
        review(np.zeros(3, int), bits("000"), bits("000"))
    with pytest.raises(ValueError, match="bool"):
        review(line(0), line(0), bits("0"))
