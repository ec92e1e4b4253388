"""Facts about label maps by hand-made examples."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from crgan.preprocessing.label_facts import SAMPLED_COORDINATES, CodeFacts, take_facts


def example() -> np.ndarray:
    codes = np.zeros((4, 6, 8), np.uint8)
    codes[0, 0, 0] = codes[0, 1, 1] = 1  # joined by a corner: one piece
    codes[3, 4:6, 5:8] = 1  # another, of 6 voxels
    codes[0, 0, 1] = 3  # touches code 1, but is its own piece
    return codes


def test_by_hand() -> None:
    facts, coordinates = take_facts(example(), 4, seed=0)
    assert facts == (
        CodeFacts(code=1, voxels=8, box=((0, 4), (0, 6), (0, 8)), components=2, smallest=2, median=4.0, sampled=8),
        CodeFacts(code=2, voxels=0, box=None, components=0, smallest=None, median=None, sampled=0),
        CodeFacts(code=3, voxels=1, box=((0, 1), (0, 1), (1, 2)), components=1, smallest=1, median=1.0, sampled=1),
    )
    expected = [[0, 0, 0], [0, 1, 1], [3, 4, 5], [3, 4, 6], [3, 4, 7], [3, 5, 5], [3, 5, 6], [3, 5, 7], [0, 0, 1]]
    assert coordinates.dtype == np.int32
    assert coordinates.tolist() == expected


def test_json_and_back() -> None:
    facts, _ = take_facts(example(), 4, seed=0)
    assert tuple(CodeFacts.from_json(json.loads(json.dumps(fact.to_json()))) for fact in facts) == facts


def test_pieces_agree_with_scipy() -> None:
    codes = (np.random.default_rng(0).random((12, 20, 20)) * 1.15).astype(np.uint8) * 2
    codes[np.random.default_rng(1).random(codes.shape) > 0.97] = 1
    facts, _ = take_facts(codes, 3, seed=0)
    for fact in facts:
        pieces, number = ndimage.label(codes == fact.code, np.ones((3, 3, 3)))
        sizes = np.bincount(pieces.ravel())[1:]
        assert (fact.components, fact.smallest, fact.median) == (number, sizes.min(), np.median(sizes))


def test_large_classes_are_sampled_evenly_and_repeatably() -> None:
    codes = np.ones((20, 40, 50), np.uint8)
    codes[10:] = 2
    codes[0, 0, 0] = 0
    facts, coordinates = take_facts(codes, 3, seed=5)
    assert [fact.sampled for fact in facts] == [SAMPLED_COORDINATES] * 2
    first, second = coordinates[:SAMPLED_COORDINATES], coordinates[SAMPLED_COORDINATES:]
    assert (codes[tuple(first.T)] == 1).all()
    assert (codes[tuple(second.T)] == 2).all()
    assert len(np.unique(first, axis=0)) == SAMPLED_COORDINATES
    np.testing.assert_allclose(second.mean(axis=0), [14.5, 19.5, 24.5], rtol=0.02)
    np.testing.assert_array_equal(coordinates, take_facts(codes, 3, seed=5)[1])
    assert not np.array_equal(coordinates, take_facts(codes, 3, seed=6)[1])


@pytest.mark.parametrize("count", [1, 2])
def test_an_empty_label_map(count: int) -> None:
    facts, coordinates = take_facts(np.zeros((2, 3, 4), np.uint8), count, seed=0)
    assert [fact.voxels for fact in facts] == [0] * (count - 1)
    assert coordinates.shape == (0, 3)


def test_ignored_voxels_are_left_out() -> None:
    codes = example()
    codes[1:3] = 255
    (facts, coordinates), (expected, places) = take_facts(codes, 4, seed=0), take_facts(example(), 4, seed=0)
    assert facts == expected
    assert coordinates.tolist() == places.tolist()
