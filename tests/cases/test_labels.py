from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crgan.cases.labels import IGNORED, LabelScheme

CLASSES = LabelScheme(classes={1: "anterior", 4: "posterior"})
TUMOUR = LabelScheme(classes={1: "necrosis", 2: "oedema", 4: "enhancing"}, regions={"WT": (1, 2, 4), "TC": (1, 4), "ET": (4,)})
CELLS = LabelScheme(classes={1: "cell"}, instances=True)
PARTIAL = LabelScheme(classes={1: "rim", 2: "core"}, regions={"whole": (1, 2), "core": (2,)}, ignore=9)


def test_what_there_is_to_segment() -> None:
    assert CLASSES.exclusive
    assert CLASSES.targets == ("anterior", "posterior")
    assert CLASSES.values == (0, 1, 4)
    assert not TUMOUR.exclusive
    assert TUMOUR.targets == ("WT", "TC", "ET")


def test_codes_are_positions_and_undeclared_values_are_background() -> None:
    labels = np.array([0, 1, 2, 4, 250, -3])
    assert CLASSES.encode(labels).tolist() == [0, 1, 0, 2, 0, 0]
    assert CLASSES.encode(labels).dtype == np.uint8


def test_instances_are_learned_as_inside_and_border() -> None:
    assert CELLS.targets == ("cell", "border")
    assert CELLS.exclusive
    ids = np.zeros((1, 7, 8), np.uint16)
    ids[0, 1:6, 1:6] = 60000
    codes = CELLS.encode(ids)
    assert codes.dtype == np.uint8
    assert (codes[0] == 1).sum() == 1  # two pixels of border all around
    assert codes[0, 3, 3] == 1
    assert np.array_equal(codes > 0, ids > 0)
    assert CELLS.table().astype(int).tolist() == [[0, 1, 0], [0, 0, 1]]
    assert np.array_equal(CELLS.decode(CELLS.table()[:, codes]), codes)


def test_instances_can_be_taken_as_one() -> None:
    assert CELLS.as_one() == LabelScheme(classes={1: "cell"})
    assert CELLS.merge(np.array([0, 1, 60000])).tolist() == [0, 1, 1]
    partly = LabelScheme(classes={1: "cell"}, instances=True, ignore=9)
    assert partly.as_one() == LabelScheme(classes={1: "cell"}, ignore=-1)
    assert partly.merge(np.array([0, 8, 9, 10])).tolist() == [0, 1, -1, 1]
    assert partly.encode(np.array([[8, 8, 9]])).tolist() == [[1, 1, 255]]
    assert TUMOUR.as_one() is TUMOUR
    assert TUMOUR.merge(np.array([0, 1, 4])).tolist() == [0, 1, 4]


def test_the_table_tells_which_target_holds_which_code() -> None:
    # columns: background, necrosis, oedema, enhancing
    assert TUMOUR.table().astype(int).tolist() == [[0, 1, 1, 1], [0, 1, 0, 1], [0, 0, 0, 1]]
    assert CLASSES.table().astype(int).tolist() == [[0, 1, 0], [0, 0, 1]]


@pytest.mark.parametrize(
    ("wt", "tc", "et", "value"),
    [(0, 0, 0, 0), (1, 0, 0, 2), (1, 1, 0, 1), (1, 1, 1, 4), (0, 0, 1, 4), (0, 1, 0, 1), (1, 0, 1, 4)],
)
def test_regions_become_label_values(wt: int, tc: int, et: int, value: int) -> None:
    assert TUMOUR.decode(np.array([[wt], [tc], [et]], bool)).tolist() == [value]


@given(st.lists(st.sampled_from([0, 1, 2, 4]), min_size=1, max_size=50))
def test_nested_regions_go_to_masks_and_back(values: list[int]) -> None:
    labels = np.array(values, np.uint8)
    masks = TUMOUR.masks(TUMOUR.encode(labels))
    assert all((outer >= inner).all() for outer, inner in itertools.pairwise(masks))
    assert TUMOUR.decode(masks).tolist() == values


def test_values_above_255_need_16_bits() -> None:
    scheme = LabelScheme(classes={300: "far"})
    assert scheme.decode(np.array([[True, False]])).tolist() == [300, 0]
    assert scheme.decode(np.array([[True, False]])).dtype == np.uint16
    assert CLASSES.decode(np.zeros((2, 3), bool)).dtype == np.uint8


@pytest.mark.parametrize("scheme", [CLASSES, TUMOUR, CELLS, PARTIAL])
def test_json_gives_the_scheme_back(scheme: LabelScheme) -> None:
    assert LabelScheme.from_json(json.loads(json.dumps(scheme.to_json()))) == scheme


def test_ignored_voxels_have_a_code_of_their_own_and_belong_to_no_target() -> None:
    codes = PARTIAL.encode(np.array([0, 1, 2, 9, 255]))
    assert codes.tolist() == [0, 1, 2, IGNORED, 0]  # the value 255 is not the one that was declared
    assert PARTIAL.masks(codes).astype(int).tolist() == [[0, 1, 1, 0, 0], [0, 0, 1, 0, 0]]
    assert [PARTIAL.mask(name, codes).tolist() for name in PARTIAL.targets] == PARTIAL.masks(codes).tolist()
    assert replace(CELLS, ignore=9).encode(np.array([0, 3, 9], np.uint16)).tolist() == [0, 1, IGNORED]
    assert (PARTIAL.values, PARTIAL.declared) == ((0, 1, 2), (0, 1, 2, 9))
    assert CLASSES.declared == CLASSES.values
