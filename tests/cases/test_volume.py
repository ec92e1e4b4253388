from __future__ import annotations

import numpy as np
import pytest

from crgan.cases.volume import Geometry, Volume

OBLIQUE = np.array([[0.0, -2.0, 0.0, 5.0], [1.5, 0.0, 0.0, 0.0], [0.0, 0.0, -3.0, 9.0], [0.0, 0.0, 0.0, 1.0]])


def test_spacing_and_orientation_follow_the_affine() -> None:
    geometry = Geometry((4, 5, 6), OBLIQUE)
    assert geometry.spacing_mm == (1.5, 2.0, 3.0)
    assert geometry.orientation == "ALI"


@pytest.mark.parametrize(
    ("shift", "turn", "same"),
    [(0.009, 0.0, True), (0.011, 0.0, False), (0.0, 0.001, True), (0.0, 0.01, False)],
)
def test_grids_match_within_a_hundredth_of_a_millimetre_at_the_corners(shift: float, turn: float, same: bool) -> None:
    moved = OBLIQUE.copy()
    moved[0, 3] += shift
    moved[0, 0] += turn  # the far corner is 3 voxels away
    assert Geometry((4, 5, 6), OBLIQUE).matches(Geometry((4, 5, 6), moved)) is same


def test_grids_of_different_shape_never_match() -> None:
    assert not Geometry((4, 5, 6), OBLIQUE).matches(Geometry((4, 5, 7), OBLIQUE))


@pytest.mark.parametrize("shape", [(4, 5, 6), (1, 4, 5, 7), (1, 1, 4, 5, 6)])
def test_an_array_that_does_not_fit_its_grid_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected \(C, I, J, K\)"):
        Volume(np.zeros(shape), Geometry((4, 5, 6), OBLIQUE))
