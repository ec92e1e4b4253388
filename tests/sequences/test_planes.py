"""Planes are views of one volume."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from crgan.config import Plane
from crgan.sequences.planes import as_slice_index, as_slices, axes_of

PLANES: tuple[Plane, ...] = get_args(Plane)


@pytest.mark.parametrize(
    ("plane", "shape", "index"), [("axial", (2, 3, 4), (0, 1, 2)), ("coronal", (3, 2, 4), (1, 0, 2)), ("sagittal", (4, 2, 3), (2, 0, 1))]
)
def test_which_axis_is_sliced(plane: Plane, shape: tuple[int, int, int], index: tuple[int, int, int]) -> None:
    volume = np.arange(24).reshape(2, 3, 4)
    assert as_slices(volume, plane).shape == shape
    assert tuple(as_slice_index(np.array([0, 1, 2]), plane)) == index


@pytest.mark.parametrize("plane", PLANES)
def test_an_index_finds_in_the_slices_what_it_found_in_the_volume(plane: Plane) -> None:
    volume = np.arange(60).reshape(3, 4, 5)
    slices = as_slices(volume, plane)
    for place in np.ndindex(volume.shape):
        assert slices[tuple(as_slice_index(np.array(place), plane))] == volume[place]


@pytest.mark.parametrize("plane", PLANES)
def test_axes_are_named_in_the_order_of_the_slices(plane: Plane) -> None:
    volume = np.empty((2, 3, 4))
    assert as_slices(volume, plane).shape == tuple({"z": 2, "y": 3, "x": 4}[axis] for axis in axes_of(plane))


@pytest.mark.parametrize("plane", PLANES)
def test_slices_are_views_so_that_what_is_written_to_them_lands_in_the_volume(plane: Plane) -> None:
    volume = np.zeros((2, 3, 4, 5))
    slices = as_slices(volume, plane)
    slices[1] = np.arange(60).reshape(slices.shape[1:])
    assert np.shares_memory(slices, volume)
    assert not volume[0].any()
    np.testing.assert_array_equal(np.sort(volume[1], axis=None), np.arange(60))
    np.testing.assert_array_equal(as_slices(volume[1], plane), slices[1])


@pytest.mark.parametrize("plane", PLANES)
def test_many_indices_at_once(plane: Plane) -> None:
    index = np.arange(24).reshape(2, 4, 3)
    expected = [[as_slice_index(one, plane) for one in some] for some in index]
    np.testing.assert_array_equal(as_slice_index(index, plane), expected)
