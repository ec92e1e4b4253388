from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage

from crgan.evaluation.nearest import _shells, distances_mm

EDGES = st.sampled_from([0.05, 0.3, 1.0, 2.5, 10.0])


@given(arrays.arrays(bool, (4, 5, 6)), arrays.arrays(bool, (4, 5, 6)), st.tuples(EDGES, EDGES, EDGES))
@settings(max_examples=80)
def test_is_the_distance_transform(border: np.ndarray, other: np.ndarray, spacing_mm: tuple[float, float, float]) -> None:
    assume(other.any())
    expected = ndimage.distance_transform_edt(~other, sampling=spacing_mm)[border]
    assert np.sort(distances_mm(border, other, spacing_mm=spacing_mm)) == pytest.approx(np.sort(expected), abs=1e-12)


def test_far_voxels_find_theirs_too() -> None:
    border, other = np.zeros((2, 90, 90), bool)
    border[1, 1] = border[89, 88] = border[40, 40] = True
    other[40, 41] = other[89, 0] = True
    # (40, 40) beside (40, 41); (1, 1) is nearest to (40, 41), and (89, 88) to the same: 49 down and 47 across.
    expected = [1, np.hypot(39, 40), np.hypot(49, 47)]
    assert np.sort(distances_mm(border, other, spacing_mm=(1, 1))) == pytest.approx(expected)


@pytest.mark.parametrize("spacing_mm", [(1, 1, 1), (1, 1), (0.05, 0.05, 10), (3, 0.7, 0.7), (2.0,)])
def test_shells_are_complete_and_in_order(spacing_mm: tuple[float, ...]) -> None:
    shells, reach = _shells(tuple(float(edge) for edge in spacing_mm))
    lengths = [length for length, _ in shells]
    assert lengths == sorted(lengths)
    assert 20 < sum(len(steps) for _, steps in shells) < 1300
    for length, steps in shells:
        assert np.sqrt(((steps * spacing_mm) ** 2).sum(axis=1)) == pytest.approx(length)
    # Nothing nearer than the last shell lies outside the box that was looked at.
    assert min((reach + 1) * np.array(spacing_mm)) > lengths[-1]
