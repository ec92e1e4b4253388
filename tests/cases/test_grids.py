from __future__ import annotations

import numpy as np
import pytest

from crgan.cases.grids import compare_grids
from crgan.cases.volume import Geometry

REFERENCE = Geometry((4, 5, 6), np.diag([1.0, 1.0, 2.0, 1.0]))


def grid(
    shape: tuple[int, int, int] = (4, 5, 6), spacing: tuple[float, ...] = (1, 1, 2), origin: tuple[float, ...] = (0, 0, 0)
) -> Geometry:
    affine = np.diag([*map(float, spacing), 1.0])
    affine[:3, 3] = origin
    return Geometry(shape, affine)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (grid(), []),
        (grid(origin=(0.4, 0, 0)), []),  # less than half of the 1 mm voxel
        (grid(spacing=(1, 1, 2.0001)), []),
        (grid(origin=(0.6, 0, 0)), [("place", "(0.00, 0.00, 0.00)", "(0.60, 0.00, 0.00)")]),
        (grid(shape=(4, 5, 7)), [("shape", "4 x 5 x 6", "4 x 5 x 7")]),
        (grid(spacing=(1, 1, 1)), [("spacing", "1 x 1 x 2 mm", "1 x 1 x 1 mm")]),
        (grid(spacing=(-1, 1, 2)), [("orientation", "RAS", "LAS")]),
        (
            grid(shape=(4, 4, 6), spacing=(-1, 1, 3)),
            [("shape", "4 x 5 x 6", "4 x 4 x 6"), ("spacing", "1 x 1 x 2 mm", "1 x 1 x 3 mm"), ("orientation", "RAS", "LAS")],
        ),
    ],
)
def test_each_difference_is_told_with_both_values(other: Geometry, expected: list[tuple[str, str, str]]) -> None:
    differences = compare_grids(REFERENCE, other)
    assert [difference.what for difference in differences] == [what for what, _, _ in expected]
    for difference, (_, wanted, got) in zip(differences, expected, strict=True):
        assert wanted in difference.expected
        assert got in difference.got
