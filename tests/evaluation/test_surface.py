from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import ndimage
from scipy.spatial.distance import cdist

from crgan.evaluation.surface import bounding_box, surface_distances

MASKS = arrays.arrays(bool, (5, 6, 4))
SPACINGS = st.tuples(*[st.floats(0.3, 5)] * 3)


def points(*voxels: tuple[int, ...], shape: tuple[int, ...] = (12, 12, 12)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for voxel in voxels:
        mask[voxel] = True
    return mask


def blobs(count: int, shape: tuple[int, int, int] = (14, 18, 22)) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[float, float, float]]]:
    rng = np.random.default_rng(0)
    for _ in range(count):
        pair = [ndimage.gaussian_filter(rng.standard_normal(shape), 2.2) > 0.08 for _ in range(2)]
        yield pair[0], pair[1], tuple(rng.uniform(0.5, 4, 3))


@pytest.mark.parametrize(
    ("prediction", "truth", "spacing_mm", "expected"),
    [
        # One voxel each: every measure is their distance.
        (points((2, 2, 2)), points((2, 2, 2)), (1, 1, 1), (0, 0, 0)),
        (points((2, 2, 2)), points((2, 2, 6)), (1, 1, 1), (4, 4, 4)),
        (points((2, 2, 2)), points((2, 5, 6)), (9, 1, 1), (5, 5, 5)),
        (points((2, 2, 2)), points((4, 5, 2)), (2, 1, 9), (5, 5, 5)),
        # Distances 0 to the truth, and 0 and 4 to the prediction: percentile 95 of (0, 4) is 3.8; mean of (0, 0, 4).
        (points((2, 2, 2)), points((2, 2, 2), (2, 2, 6)), (1, 1, 1), (4, 3.8, 4 / 3)),
        # 2-D: a 3 × 3 square has 8 border pixels, its middle is none; a ring of 8 pixels is the same surface.
        (np.pad(np.ones((3, 3), bool), 3), np.pad(np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool), 3), (1, 1), (0, 0, 0.0)),
    ],
)
def test_by_hand(prediction: np.ndarray, truth: np.ndarray, spacing_mm: tuple[float, ...], expected: tuple[float, ...]) -> None:
    distances = surface_distances(prediction, truth, spacing_mm=spacing_mm)
    assert distances is not None
    assert (distances.hausdorff_mm, distances.hd95_mm, distances.assd_mm) == pytest.approx(expected)


def test_surface_dice_by_hand() -> None:
    # Three voxels in a row against the same row two further: distances 2, 1, 0 from either side.
    distances = surface_distances(points(*[(2, 2, z) for z in (2, 3, 4)]), points(*[(2, 2, z) for z in (4, 5, 6)]), spacing_mm=(1, 1, 0.1))
    assert distances is not None
    assert [distances.nsd(tolerance) for tolerance in (0, 0.1, 0.15, 0.2, 9)] == pytest.approx([1 / 3, 2 / 3, 2 / 3, 1, 1])
    assert distances.mssd_mm == pytest.approx(0.2)


@given(MASKS)
def test_the_box_is_the_smallest_in_any_order_of_memory(mask: np.ndarray) -> None:
    assume(mask.any())
    (expected,) = ndimage.find_objects(mask.astype(np.uint8))
    assert bounding_box(mask) == bounding_box(np.asfortranarray(mask)) == bounding_box(mask[:, ::-1][:, ::-1]) == expected


def test_the_hole_of_a_ring_has_a_surface_of_its_own() -> None:
    square = np.pad(np.ones((5, 5), bool), 2)
    ring = square.copy()
    ring[4, 4] = False
    distances = surface_distances(ring, square, spacing_mm=(1, 1))
    assert distances is not None
    # The four pixels beside the hole are border in the ring only; the square's border is 1 away from each.
    assert np.sort(distances.to_truth).tolist() == [0] * 16 + [1] * 4
    assert distances.to_prediction.tolist() == [0] * 16
    assert distances.assd_mm == pytest.approx(4 / 36)


def test_beyond_the_grid_is_outside() -> None:
    full = np.ones((4, 4, 4), bool)
    distances = surface_distances(full, full, spacing_mm=(1, 1, 1))
    assert distances is not None
    assert distances.to_truth.size == 4**3 - 2**3


@pytest.mark.parametrize(("prediction", "truth"), [("", "x"), ("x", ""), ("", "")])
def test_an_empty_mask_has_no_surface(prediction: str, truth: str) -> None:
    masks = [points((1, 1, 1)) if sign else points() for sign in (prediction, truth)]
    assert surface_distances(*masks, spacing_mm=(1, 1, 1)) is None


@given(MASKS, MASKS, SPACINGS)
@settings(max_examples=60)
def test_agrees_with_all_pairs_of_border_voxels(prediction: np.ndarray, truth: np.ndarray, spacing_mm: tuple[float, float, float]) -> None:
    assume(prediction.any() and truth.any())

    def border_mm(mask: np.ndarray) -> np.ndarray:
        padded = np.pad(mask, 1)
        inner = padded[1:-1, 1:-1, 1:-1].copy()
        for axis in range(3):
            for shift in (-1, 1):
                inner &= np.roll(padded, shift, axis)[1:-1, 1:-1, 1:-1]
        return np.argwhere(mask & ~inner) * spacing_mm

    apart = cdist(border_mm(prediction), border_mm(truth))
    distances = surface_distances(prediction, truth, spacing_mm=spacing_mm)
    assert distances is not None
    assert np.sort(distances.to_truth) == pytest.approx(np.sort(apart.min(axis=1)), rel=1e-4, abs=1e-6)
    assert np.sort(distances.to_prediction) == pytest.approx(np.sort(apart.min(axis=0)), rel=1e-4, abs=1e-6)


@given(MASKS, MASKS, SPACINGS)
@settings(max_examples=40)
def test_symmetry_order_and_units(prediction: np.ndarray, truth: np.ndarray, spacing_mm: tuple[float, float, float]) -> None:
    assume(prediction.any() and truth.any())
    there, back, doubled = (
        surface_distances(*masks, spacing_mm=spacing)
        for masks, spacing in (
            ((prediction, truth), spacing_mm),
            ((truth, prediction), spacing_mm),
            ((prediction, truth), [2 * edge for edge in spacing_mm]),
        )
    )
    assert there is not None
    assert back is not None
    assert doubled is not None
    for name in ("hausdorff_mm", "hd95_mm", "assd_mm"):
        assert getattr(there, name) == getattr(back, name)
        assert getattr(doubled, name) == pytest.approx(2 * getattr(there, name), rel=1e-5)
    assert there.hausdorff_mm >= there.hd95_mm
    assert there.hausdorff_mm >= there.assd_mm


def test_agrees_with_medpy_and_monai() -> None:
    import torch
    from medpy.metric import binary as medpy
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    for prediction, truth, spacing_mm in blobs(8):
        distances = surface_distances(prediction, truth, spacing_mm=spacing_mm)
        assert distances is not None
        assert distances.hausdorff_mm == pytest.approx(medpy.hd(prediction, truth, spacing_mm), rel=1e-5)
        tensors = [torch.from_numpy(mask)[None, None] for mask in (prediction, truth)]
        options = {"include_background": True, "spacing": list(spacing_mm)}
        assert distances.hausdorff_mm == pytest.approx(float(compute_hausdorff_distance(*tensors, **options)), rel=1e-5)
        assert distances.hd95_mm == pytest.approx(float(compute_hausdorff_distance(*tensors, percentile=95, **options)), rel=1e-5)
        assert distances.assd_mm == pytest.approx(float(compute_average_surface_distance(*tensors, symmetric=True, **options)), rel=1e-5)


def test_slice_agrees_with_monai_in_two_dimensions_wherever_its_axis_stands() -> None:
    import torch
    from monai.metrics import compute_hausdorff_distance

    for prediction, truth, spacing_mm in blobs(3, (1, 24, 30)):
        tensors = [torch.from_numpy(mask)[None] for mask in (prediction, truth)]
        expected = float(compute_hausdorff_distance(*tensors, include_background=True, percentile=95, spacing=list(spacing_mm[1:])))
        for axis in range(3):
            turned = [np.moveaxis(mask, 0, axis) for mask in (prediction, truth)]
            spacing = list(spacing_mm[1:])
            spacing.insert(axis, spacing_mm[0])
            distances = surface_distances(*turned, spacing_mm=spacing)
            assert distances is not None
            assert distances.hd95_mm == pytest.approx(expected, rel=1e-5)


def test_is_within_a_voxel_of_surface_distance() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import surface_distance

    for prediction, truth, _ in blobs(4):
        spacing_mm = (1.0, 1.0, 1.0)
        distances = surface_distances(prediction, truth, spacing_mm=spacing_mm)
        assert distances is not None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = surface_distance.compute_surface_distances(truth, prediction, spacing_mm)
        assert distances.hausdorff_mm == pytest.approx(surface_distance.compute_robust_hausdorff(theirs, 100), abs=1.75)
        assert distances.hd95_mm == pytest.approx(surface_distance.compute_robust_hausdorff(theirs, 95), abs=1.75)


@pytest.mark.parametrize("spacing_mm", [(1, 1), (1, 1, 1, 1), (1, 0, 1), (1, -1, 1)])
def test_spacing_that_does_not_fit_is_refused(spacing_mm: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="spacing_mm"):
        surface_distances(points((1, 1, 1)), points((1, 1, 1)), spacing_mm=spacing_mm)
