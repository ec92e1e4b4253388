from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from crgan.cases.alignment import align, can_be_aligned, choose_reference, shared
from crgan.cases.formats.pictures import picture_geometry
from crgan.cases.volume import Geometry, Volume

RAS_TO_LPS = np.diag([-1.0, -1, 1, 1])


def grid(shape: tuple[int, int, int], spacing: tuple[float, float, float], origin: tuple[float, float, float] = (0, 0, 0)) -> Geometry:
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = origin
    return Geometry(shape, affine)


def turned(geometry: Geometry, degrees: float) -> Geometry:
    angle = np.deg2rad(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return Geometry(geometry.shape, turn @ geometry.affine)


def as_itk(array: np.ndarray, geometry: Geometry) -> sitk.Image:
    image = sitk.GetImageFromArray(array.transpose(2, 1, 0))
    affine = RAS_TO_LPS @ geometry.affine
    image.SetSpacing(geometry.spacing_mm)
    image.SetDirection((affine[:3, :3] / geometry.spacing_mm).ravel().tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    return image


@pytest.mark.parametrize("degrees", [0.0, 7.0])
def test_agrees_with_simpleitk(degrees: float) -> None:
    random = np.random.default_rng(0)
    source = turned(grid((20, 22, 9), (1.0, 1.0, 2.0), (-3, -4, -2)), degrees)
    target = grid((14, 13, 9), (0.9, 1.1, 1.3), (0, 0, 0))
    array = random.normal(size=(2, *source.shape)).astype(np.float32)
    found = align(Volume(array, source), target)
    assert found.geometry is target
    assert found.array.dtype == np.float32
    for channel, values in zip(found.array, array, strict=True):
        expected = sitk.Resample(
            as_itk(values, source),
            as_itk(np.zeros(target.shape, np.float32), target),
            sitk.Transform(),
            sitk.sitkLinear,
            float(values.min()),
        )
        assert np.allclose(channel, sitk.GetArrayFromImage(expected).transpose(2, 1, 0), atol=1e-4)


def test_a_grid_of_larger_voxels_gets_averages() -> None:
    checkers = (np.indices((40, 40, 4)).sum(axis=0) % 2).astype(np.float32)[None]
    found = align(Volume(checkers, grid((40, 40, 4), (1, 1, 1))), grid((8, 8, 4), (5, 5, 1), (2, 2, 0)))
    assert np.abs(found.array - 0.5).max() <= 0.5 / 25 + 1e-6


def test_beyond_the_volume_stands_its_lowest_value() -> None:
    array = np.arange(1.0, 28).reshape(1, 3, 3, 3)
    found = align(Volume(array, grid((3, 3, 3), (1, 1, 1))), grid((5, 3, 3), (1, 1, 1), (-1, 0, 0)))
    assert np.array_equal(found.array[0, 1:4], array[0])
    assert (found.array[0, [0, 4]] == 1).all()


def test_what_two_grids_share() -> None:
    one = grid((10, 10, 10), (1, 1, 1))
    assert shared(one, one) == 1
    assert shared(one, grid((10, 10, 10), (1, 1, 1), (5, 0, 0))) == pytest.approx(0.5)
    assert shared(one, grid((20, 20, 20), (1, 1, 1))) == 1
    assert shared(grid((20, 20, 20), (1, 1, 1)), one) == pytest.approx(1 / 8, abs=0.03)
    assert shared(one, grid((10, 10, 10), (1, 1, 1), (50, 0, 0))) == 0


def test_which_grids_can_be_aligned() -> None:
    one = grid((10, 10, 10), (1, 1, 1))
    assert can_be_aligned(one, grid((40, 40, 3), (0.3, 0.3, 3)))
    assert can_be_aligned(one, grid((40, 40, 40), (1, 1, 1), (-10, -10, -10)))
    assert not can_be_aligned(one, grid((10, 10, 10), (1, 1, 1), (8, 0, 0)))
    assert not can_be_aligned(picture_geometry(10, 10), picture_geometry(10, 11))


def test_the_label_chooses_the_grid() -> None:
    one, two = grid((10, 10, 10), (1, 1, 1)), grid((5, 5, 5), (2, 2, 2))
    assert choose_reference([one, two, two], two) == 1
    assert choose_reference([one, two], None) == 0
    assert choose_reference([one, two], grid((7, 7, 7), (1, 1, 1))) == 0
