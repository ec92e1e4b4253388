"""The mean over windows and planes, held against sums over the whole volume at once."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crgan.config import Plane
from crgan.sequences.planes import as_slices
from crgan.sweep.averaging import PlaneMean
from crgan.sweep.sweep import inside
from crgan.sweep.windows import Window, covering_windows

PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
TILE = (4, 5)


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float16)


def test_windows_that_share_a_slice_are_averaged_by_hand() -> None:
    mean = PlaneMean(zeros(1, 5, 4, 5))
    windows = covering_windows((5, 4, 5), length=3, tile=TILE)
    assert [(window.start, window.stop) for window in windows] == [(0, 3), (2, 5)]
    mean.add(
        "axial", TILE, windows, ((window, np.full((1, 3, 4, 5), value, np.float32)) for window, value in zip(windows, (1, 2), strict=True))
    )
    assert mean.values[0, :, 0, 0].tolist() == [1, 1, 1.5, 2, 2]
    assert (mean.planes == 1).all()


def test_where_nobody_looks_all_stays_as_it_was() -> None:
    values = np.full((2, 3, 9, 9), 0.25, np.float16)
    mean = PlaneMean(values)
    mean.add("axial", TILE, [], [])
    assert not mean.planes.any()
    window = Window(1, 2, 3, 6)  # reaches over the border
    mean.add("axial", TILE, [window], [(window, np.ones((2, 1, 4, 3), np.float32))])
    looked = np.zeros((3, 9, 9), bool)
    looked[1, 3:7, 6:9] = True
    assert mean.values is values
    assert (values[:, looked] == 1).all()
    assert (values[:, ~looked] == 0.25).all()
    np.testing.assert_array_equal(mean.planes > 0, looked)


@given(st.data())
def test_all_windows_of_a_plane_and_all_planes_weigh_the_same(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 11)] * 3))
    random = np.random.default_rng(data.draw(st.integers(0, 9)))
    start = random.random((2, *shape)).astype(np.float16)
    mean = PlaneMean(start.copy())
    total, planes = np.zeros((2, *shape)), np.zeros(shape)
    for plane in data.draw(st.lists(st.sampled_from(PLANES), min_size=1, max_size=3, unique=True)):
        slices = as_slices(np.zeros(shape), plane).shape
        every = covering_windows(slices, length=data.draw(st.integers(1, 4)), tile=TILE)
        windows = sorted(data.draw(st.lists(st.sampled_from(every), unique=True)))
        results, sums, looks = [], np.zeros((2, *slices)), np.zeros(slices)
        for window in windows:
            part = slice(window.start, window.stop), *inside(window, TILE, slices[-2:])
            found = random.random(sums[:, *part].shape).astype(np.float32)
            results.append((window, found))
            sums[:, *part] += found
            looks[part] += 1
        mean.add(plane, TILE, windows, iter(results))
        as_slices(total, plane)[...] += np.divide(sums, looks, out=np.zeros_like(sums), where=looks > 0)
        as_slices(planes, plane)[...] += looks > 0
    np.testing.assert_array_equal(mean.planes, planes)
    expected = np.where(planes > 0, total / np.maximum(planes, 1), start)
    np.testing.assert_allclose(mean.values.astype(float), expected, rtol=0, atol=2e-3)


def test_only_slices_that_windows_still_reach_are_held() -> None:
    import tracemalloc

    shape = (400, 40, 50)
    windows = [Window(start, start + 2, 0, 0) for start in range(399)]
    mean = PlaneMean(zeros(1, *shape))
    block = np.ones((1, 2, 40, 50), np.float32)
    tracemalloc.start()
    mean.add("axial", (40, 50), windows, zip(windows, itertools.repeat(block), strict=False))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (mean.values == 1).all()
    assert peak < 12 * block.nbytes  # the sums of all slices would be 200
