from __future__ import annotations

import cc3d
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crgan.cases.instances import encode_instances


def test_two_cells_that_touch_are_parted_by_border() -> None:
    ids = np.zeros((1, 9, 14), np.uint16)
    ids[0, 1:8, 1:7] = 500
    ids[0, 1:8, 7:13] = 3
    rows = ["".join(map(str, row)) for row in encode_instances(ids)[0]]
    assert rows == [
        "00000000000000",
        "02222222222220",
        "02222222222220",
        "02211222211220",
        "02211222211220",
        "02211222211220",
        "02222222222220",
        "02222222222220",
        "00000000000000",
    ]


def test_the_edge_of_the_image_is_no_border() -> None:
    assert (encode_instances(np.ones((1, 5, 5), np.uint8)) == 1).all()


@pytest.mark.parametrize(
    ("rows", "codes"),
    [
        (["0000000", "0111110", "0111110", "0111110", "0000000"], "222222111222222"),  # a border of one pixel
        (["000000", "011110", "000000"], "1111"),  # too narrow for any
        (["000000", "011220", "000000"], "1221"),  # too narrow, but for the border between the two
        (["12"], "11"),  # nothing would be left of either
    ],
)
def test_small_and_narrow_objects_keep_an_inside(rows: list[str], codes: str) -> None:
    ids = np.array([[list(map(int, row)) for row in rows]])
    assert "".join(map(str, encode_instances(ids)[ids > 0])) == codes


def test_across_slices_there_is_border_between_objects_alone() -> None:
    ids = np.zeros((4, 7, 7), np.uint8)
    ids[0:2, 1:6, 1:6] = 1
    ids[2:4, 1:6, 1:6] = 2
    codes = encode_instances(ids)
    assert codes[:, 3, 3].tolist() == [1, 2, 2, 1]


def test_no_border_is_drawn_towards_what_is_not_known() -> None:
    ids = np.ones((1, 3, 8), np.int32)
    ids[0, :, 5:] = -1
    assert encode_instances(ids)[0, 1].tolist() == [1, 1, 1, 2, 2, 0, 0, 0]
    assert encode_instances(ids, unknown=ids < 0)[0, 1].tolist() == [1, 1, 1, 1, 1, 0, 0, 0]
    ids[0, :, 5:] = 7  # an id all the same
    assert encode_instances(ids, unknown=ids == 7)[0, 1].tolist() == [1, 1, 1, 1, 1, 0, 0, 0]


def test_without_objects_there_are_no_codes() -> None:
    assert not encode_instances(np.zeros((2, 3, 4), np.int32)).any()
    assert encode_instances(np.zeros((1, 0, 4), np.int32)).shape == (1, 0, 4)


@given(arrays.arrays(np.uint8, (2, 6, 7), elements=st.integers(0, 3)))
def test_every_object_has_an_inside_and_nothing_else_is_marked(ids: np.ndarray) -> None:
    codes = encode_instances(ids)
    assert np.array_equal(codes > 0, ids > 0)
    for number in set(np.unique(ids)) - {0}:
        assert (codes[ids == number] == 1).any()
        inside = cc3d.connected_components((codes == 1) & (ids == number), connectivity=6).max()
        assert inside <= cc3d.connected_components(ids == number, connectivity=6).max()
