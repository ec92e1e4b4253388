from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crgan.cases.canonical import canonical_spacing, from_canonical, to_canonical
from crgan.cases.volume import Geometry, Volume

ORIENTATIONS = ["".join(signs) for axes in itertools.permutations(["RL", "AP", "SI"]) for signs in itertools.product(*axes)]


def volume_in(orientation: str, *, shape: tuple[int, int, int] = (3, 4, 5), tilt: float = 0.0) -> Volume:
    """A ramp on a grid whose axes run to ``orientation``, 1, 2 and 3 mm apart, tilted by ``tilt`` radians."""
    directions = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt(orientation), shape)[:3, :3]
    turn = np.array([[np.cos(tilt), -np.sin(tilt), 0], [np.sin(tilt), np.cos(tilt), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.linalg.inv(directions) * [1.0, 2.0, 3.0]
    array = np.arange(2 * np.prod(shape), dtype=np.int16).reshape(2, *shape)
    return Volume(array, Geometry(shape, affine))


def test_all_orientations_are_tried() -> None:
    assert len(set(ORIENTATIONS)) == 48
    assert {volume_in(orientation).geometry.orientation for orientation in ORIENTATIONS} == set(ORIENTATIONS)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_axes_run_up_front_and_right(orientation: str, tilt: float) -> None:
    volume = volume_in(orientation, tilt=tilt)
    array, spacing_mm = to_canonical(volume)
    # nibabel turns to (X, Y, Z) in RAS: an independent way to the same voxels.
    oracle = nib.as_closest_canonical(nib.Nifti1Image(np.moveaxis(volume.array, 0, -1), volume.geometry.affine))
    assert np.array_equal(array, np.asarray(oracle.dataobj).transpose(3, 2, 1, 0))
    assert spacing_mm == pytest.approx(oracle.header.get_zooms()[2::-1], rel=1e-6)
    assert spacing_mm == canonical_spacing(volume.geometry)
    assert array.flags.c_contiguous
    assert np.array_equal(from_canonical(array, volume.geometry), volume.array)


@given(st.lists(st.floats(-1, 1), min_size=9, max_size=9), st.tuples(*[st.integers(1, 4)] * 3), st.integers(1, 2))
def test_sheared_grids_go_there_and_back(entries: list[float], shape: tuple[int, int, int], channels: int) -> None:
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(entries, (3, 3)) + 1.5 * np.eye(3)[:, [2, 0, 1]]
    if abs(np.linalg.det(affine)) < 1e-3:
        return
    array = np.random.default_rng(0).integers(0, 100, (channels, *shape))
    geometry = Geometry(shape, affine)
    there, _ = to_canonical(Volume(array, geometry))
    assert np.array_equal(from_canonical(there, geometry), array)


def test_pictures_are_not_turned() -> None:
    geometry = Geometry((2, 3, 1), volume_in("SAL").geometry.affine, dimensions=2)
    array = np.arange(6).reshape(1, 2, 3, 1)
    working, spacing_mm = to_canonical(Volume(array, geometry))
    assert working.tolist() == [[[[0, 1, 2], [3, 4, 5]]]]
    assert spacing_mm == pytest.approx((3.0, 1.0, 2.0))
    assert np.array_equal(from_canonical(working, geometry), array)


def test_nothing_is_copied_where_the_file_is_in_order() -> None:
    array = np.asfortranarray(np.zeros((4, 5, 6), np.float32))[None]
    working, _ = to_canonical(Volume(array, Geometry((4, 5, 6), np.eye(4))))
    assert np.shares_memory(working, array)
