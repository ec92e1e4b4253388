from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.morphology import disk

from crgan.cases.instances import encode_instances
from crgan.errors import CrganError
from crgan.sweep import instances
from crgan.sweep.instances import grow_in_frames, grow_instances


def codes_of(*rows: str) -> np.ndarray:
    return np.array([[list(map(int, row)) for row in rows]], np.uint8)


def test_insides_take_the_border_that_is_nearest() -> None:
    codes = codes_of("0000000000", "0211221120", "0000000000")
    grown = grow_instances(codes)
    assert grown.dtype == np.uint16
    assert grown[0, 1].tolist() == [0, 1, 1, 1, 1, 2, 2, 2, 2, 0]


def test_objects_of_a_movie_are_those_of_its_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.concatenate([codes_of("0112110"), codes_of("0000000"), codes_of("0110010")])
    grown = grow_in_frames(codes)
    assert grown.dtype == np.uint16
    assert grown[:, 0].tolist() == [[0, 1, 1, 2, 2, 2, 0], [0] * 7, [0, 3, 3, 0, 0, 4, 0]]
    monkeypatch.setattr(instances, "_MOST_IDS", 3)  # more in all than in any frame
    assert grow_in_frames(codes).dtype == np.int32
    assert np.array_equal(grow_in_frames(codes), grown)


def test_a_border_without_an_inside_is_an_object() -> None:
    assert grow_instances(codes_of("0220110022"))[0, 0].tolist() == [0, 2, 2, 0, 1, 1, 0, 0, 3, 3]


def test_crumbs_belong_to_the_larger_inside_beside_them_unless_they_are_alone() -> None:
    codes = np.zeros((1, 40, 40), np.uint8)
    codes[0, 2:14, 2:14] = codes[0, 2:14, 20:32] = codes[0, 22:38, 2:38] = 1
    codes[0, 8, 14:17] = [2, 2, 1]  # a crumb in reach of the first, across the border
    codes[0, 18, 38] = 1  # a crumb on its own
    grown = grow_instances(codes)
    assert grown.max() == 4
    assert grown[0, 8, 16] == grown[0, 8, 8]
    assert np.array_equal(grown > 0, codes > 0)


def test_touching_cells_go_there_and_back() -> None:
    ids = np.zeros((1, 60, 80), np.uint16)
    for number, (row, column) in enumerate([(20, 20), (20, 37), (36, 28), (35, 60)], start=1):
        window = ids[0, row - 10 : row + 11, column - 10 : column + 11]
        window[(disk(10) > 0) & (window == 0)] = 1000 * number
    back = grow_instances(encode_instances(ids))
    assert back.max() == 4
    for number in (1000, 2000, 3000, 4000):
        found = back == np.bincount(back[ids == number]).argmax()
        assert (found & (ids == number)).sum() / (found | (ids == number)).sum() > 0.97


def test_more_objects_than_16_bits_are_refused() -> None:
    codes = np.zeros((1, 364, 364), np.uint8)
    codes[:, ::2, ::2] = 1
    assert grow_instances(codes[:, :360, :362]).max() == 180 * 181
    many = np.concatenate([codes, np.zeros_like(codes), codes])
    with pytest.raises(CrganError, match=r"more objects than ids[\s\S]*case a[\s\S]*65535 at most[\s\S]*66248"):
        grow_instances(many, where="case a")


@given(arrays.arrays(np.uint8, (2, 5, 6), elements=st.integers(0, 2)))
def test_what_is_marked_stays_marked_and_ids_have_no_gaps(codes: np.ndarray) -> None:
    grown = grow_instances(codes)
    assert np.array_equal(grown > 0, codes > 0)
    assert np.unique(grown[grown > 0]).tolist() == list(range(1, int(grown.max()) + 1))
