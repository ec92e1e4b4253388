from __future__ import annotations

import numpy as np

from crgan.cases.phantom.brain_tissue import _without_holes, draw_anatomy
from crgan.cases.phantom.shapes import Grid


def cube(half_mm: float, spacing_mm: float) -> Grid:
    axis = np.arange(-half_mm, half_mm + spacing_mm / 2, spacing_mm, dtype=np.float32)
    return Grid((axis, axis, axis), (spacing_mm,) * 3)


def test_tissues_share_every_voxel() -> None:
    anatomy = draw_anatomy(cube(90, 6), np.random.default_rng(0), mass_centre=(30, 0, 20), mass_mm=15)
    assert np.allclose(anatomy.tissue.sum(axis=0), 1, atol=1e-5)
    assert anatomy.tissue.min() >= -1e-6
    volumes = [float((share * anatomy.head).sum()) * 6**3 / 1e6 for share in anatomy.tissue]
    # Litres of fluid, grey and white matter of grown people, generously.
    for volume, (low, high) in zip(volumes, ((0.1, 0.7), (0.45, 1.0), (0.45, 1.0)), strict=True):
        assert low < volume < high
    assert (anatomy.tissue[0][anatomy.ventricle_mm < -3] > 0.8).all()
    assert anatomy.vessels.min() >= 0
    assert anatomy.vessels.max() <= 1


def test_a_mass_pushes_the_ventricle_beside_it_away() -> None:
    grid = cube(80, 2.5)
    x = grid.axes[2][None, None, :]
    near = (x > 0) & (np.abs(grid.axes[1]) < 15)[None, :, None] & (grid.axes[0] > 8)[:, None, None]  # the body of the right ventricle

    def middle(mass_mm: float) -> float:
        anatomy = draw_anatomy(grid, np.random.default_rng(4), mass_centre=(36, 0, 18), mass_mm=mass_mm)
        inside = (anatomy.ventricle_mm < 0) & near
        return float((x * inside).sum() / inside.sum())

    assert middle(24) < middle(0.01) - 1


def test_a_hole_is_filled_and_a_bay_is_not() -> None:
    mask = np.ones((5, 6, 7), bool)
    mask[2, 2, 2] = mask[0, 3, 3] = mask[1, 3, 3] = False
    filled = _without_holes(mask)
    assert filled[2, 2, 2]
    assert not filled[0, 3, 3]
    assert not filled[1, 3, 3]
