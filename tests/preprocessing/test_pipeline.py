"""Fit, apply and the way back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from crgan.errors import CrganError
from crgan.preprocessing.bias_field import correct_bias_field
from crgan.preprocessing.equalisation import equalise_slices
from crgan.preprocessing.hu_window import clip_to_window
from crgan.preprocessing.landmarks import standardise
from crgan.preprocessing.pipeline import Pipeline
from crgan.preprocessing.prepared import PreparedGeometry
from crgan.preprocessing.settings import PreprocessingSettings
from crgan.preprocessing.steps import cut_to_foreground
from crgan.preprocessing.zscore import IntensityStatistics, Kind, patient_scalings


def pipeline(*, modalities: tuple[str, ...] = ("T1",), spacing_mm: tuple[float, float, float] | None = None, **settings: Any) -> Pipeline:
    return Pipeline(
        settings=PreprocessingSettings(**settings),
        modalities=modalities,
        kinds=("mr",) * len(modalities),
        spacing_mm=spacing_mm,
        intensities=(None,) * len(modalities),
        landmarks=(None,) * len(modalities),
    )


def noise_in_a_box(shape: tuple[int, int, int] = (12, 16, 20)) -> np.ndarray:
    image = np.full((1, *shape), 7.0, np.float32)
    image[0, 3:9, 4:12, 5:15] = np.random.default_rng(0).normal(100, 20, (6, 8, 10))
    return image


def test_crops_to_the_foreground_with_a_margin_and_normalises_it() -> None:
    image = noise_in_a_box()
    codes = np.zeros(image.shape[1:], np.uint8)
    codes[5, 6, 7] = 2
    prepared = pipeline().apply(image, (2, 1, 1), label=codes)
    assert prepared.geometry == PreparedGeometry(
        shape=(10, 12, 14),
        spacing_mm=(2, 1, 1),
        box=(slice(1, 11), slice(2, 14), slice(3, 17)),
        original_shape=(12, 16, 20),
        original_spacing_mm=(2, 1, 1),
    )
    assert prepared.image.dtype == np.float32
    inside = prepared.image[0, 2:8, 2:10, 2:12]
    assert inside.mean() == pytest.approx(0, abs=1e-5)
    assert inside.std() == pytest.approx(1, abs=1e-5)
    assert np.count_nonzero(prepared.image) == inside.size  # background is 0
    assert prepared.label is not None
    assert prepared.label.dtype == np.uint8
    assert np.argwhere(prepared.label == 2).tolist() == [[4, 4, 4]]


def test_the_box_holds_the_foreground_of_every_modality() -> None:
    image = np.zeros((2, 10, 10, 30), np.float32)
    image[0, 4:6, 4:6, 4:6] = 1 + np.arange(8).reshape(2, 2, 2)
    image[1, 4:6, 4:6, 20:22] = 1 + np.arange(8).reshape(2, 2, 2)
    prepared = pipeline(modalities=("A", "B")).apply(image, (1, 1, 1))
    assert prepared.geometry.box == (slice(2, 8), slice(2, 8), slice(2, 24))


def test_cropping_can_be_left_out() -> None:
    prepared = pipeline(crop_to_foreground=False).apply(noise_in_a_box(), (1, 1, 1))
    assert prepared.image.shape == (1, 12, 16, 20)
    assert not prepared.image[0, 0].any()


def test_resamples_to_the_target_spacing() -> None:
    prepared = pipeline(spacing_mm=(1, 1, 2)).apply(noise_in_a_box(), (3, 1.0005, 1))
    assert prepared.geometry.shape == prepared.image.shape[1:] == (30, 12, 7)
    np.testing.assert_allclose(prepared.geometry.spacing_mm, (1, 1.0005, 2))


def test_tells_the_spacing_that_the_array_really_has() -> None:
    prepared = pipeline(spacing_mm=(1, 1, 1), crop_to_foreground=False).apply(np.random.default_rng(0).random((1, 3, 5, 5)), (1.5, 1, 1))
    assert prepared.geometry.shape == (4, 5, 5)  # 4.5 mm
    assert prepared.geometry.spacing_mm == (1.125, 1, 1)


def test_pooled_normalisation_keeps_the_modalities_apart() -> None:
    image = np.random.default_rng(0).normal(size=(2, 8, 8, 8)) + np.array([0, 5]).reshape(2, 1, 1, 1)
    apart = pipeline(modalities=("A", "B"), normalisation="pooled").apply(image, (1, 1, 1)).image
    assert apart[1].mean() - apart[0].mean() > 1
    alone = pipeline(modalities=("A", "B")).apply(image, (1, 1, 1)).image
    assert alone[1].mean() - alone[0].mean() == pytest.approx(0, abs=1e-5)


def test_ct_channels_use_the_training_set() -> None:
    fitted = Pipeline(
        settings=PreprocessingSettings(),
        modalities=("PET", "CT"),
        kinds=("mr", "ct"),
        spacing_mm=None,
        intensities=(None, IntensityStatistics(low=-100, high=300, mean=100, std=100)),
        landmarks=(None, None),
    )
    image = np.random.default_rng(0).uniform(-1000, 1000, (2, 6, 6, 6))
    prepared = fitted.apply(image, (1, 1, 1)).image
    np.testing.assert_allclose(prepared[1], (image[1].clip(-100, 300) - 100) / 100, atol=1e-5)
    assert prepared[0].std() == pytest.approx(1, abs=1e-5)


def stepped(kind: Kind, *, landmarks: tuple[float, ...] | None = None, ct: IntensityStatistics | None = None, **settings: Any) -> Pipeline:
    return Pipeline(
        settings=PreprocessingSettings(kind=kind, **settings),
        modalities=("one",),
        kinds=(kind,),
        spacing_mm=None,
        intensities=(ct,),
        landmarks=(landmarks,),
    )


def test_mr_steps_act_in_their_order() -> None:
    image = noise_in_a_box()
    landmarks = tuple(np.linspace(0, 100, 11) ** 1.5)
    box, kept, foreground = cut_to_foreground(image, PreprocessingSettings())
    by_hand = correct_bias_field(kept[0], foreground[0], shrink=2)
    by_hand = standardise(by_hand, foreground[0], landmarks)
    by_hand = equalise_slices(by_hand, foreground[0], method="clahe")
    (scaling,) = patient_scalings(by_hand[None], foreground)
    expected = scaling(by_hand, foreground[0])[None]
    fitted = stepped("mr", landmarks=landmarks, bias_field=True, bias_field_shrink=2, equalisation="clahe")
    prepared = fitted.apply(image, (1, 1, 1))
    assert prepared.geometry.box == box
    np.testing.assert_array_equal(prepared.image, expected)


def test_ct_steps_act_in_their_order() -> None:
    image = np.random.default_rng(0).uniform(-1000, 1000, (1, 3, 8, 8))
    everything = np.ones((3, 8, 8), bool)
    by_hand = equalise_slices(clip_to_window(image[0], (-100, 400)), everything, method="histogram")
    fitted = stepped("ct", ct=IntensityStatistics(low=0, high=1, mean=0.5, std=0.25), window_hu=(-100, 400), equalisation="histogram")
    np.testing.assert_allclose(fitted.apply(image, (1, 1, 1)).image[0], (by_hand - 0.5) / 0.25, atol=1e-5)


@pytest.mark.parametrize("kind", ["mr", "ct"])
@pytest.mark.parametrize("shape", [(4, 9, 9), (1, 12, 12)])
@pytest.mark.parametrize("content", ["constant", "noise"])
def test_every_step_takes_constant_and_flat_images(kind: Kind, shape: tuple[int, int, int], content: str) -> None:
    statistics = IntensityStatistics(low=-100, high=400, mean=100, std=100) if kind == "ct" else None
    steps: dict[str, Any] = {"window_hu": (-100, 400)} if kind == "ct" else {"bias_field": True}
    fitted = stepped(kind, landmarks=None if kind == "ct" else tuple(range(11)), ct=statistics, equalisation="histogram", **steps)
    image = np.full((1, *shape), 30.0) if content == "constant" else np.random.default_rng(0).normal(100, 50, (1, *shape))
    prepared = fitted.apply(image, (1, 1, 1)).image
    assert prepared.shape == (1, *shape)
    assert np.isfinite(prepared).all()
    assert (np.ptp(prepared) > 0) == (content == "noise")


def test_a_constant_image_becomes_zeros_over_its_whole_grid() -> None:
    prepared = pipeline().apply(np.full((1, 4, 5, 6), 3.0), (1, 1, 1))
    assert prepared.image.shape == (1, 4, 5, 6)
    assert not prepared.image.any()


def test_a_single_slice_is_never_resampled_across() -> None:
    image = np.random.default_rng(0).random((1, 1, 8, 8))
    assert pipeline(spacing_mm=(1, 1, 1)).apply(image, (5, 2, 2)).image.shape == (1, 1, 16, 16)


def test_the_input_is_left_alone() -> None:
    image = noise_in_a_box()
    before = image.copy()
    pipeline(spacing_mm=(2, 2, 2)).apply(image, (1, 1, 1))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("image", "spacing", "label", "message"),
    [
        (np.zeros((2, 3, 4, 5)), (1, 1, 1), None, "channels"),
        (np.zeros((3, 4, 5)), (1, 1, 1), None, "channels"),
        (np.zeros((1, 0, 4, 5)), (1, 1, 1), None, "channels"),
        (np.zeros((1, 3, 4, 5)), (1, 1, 1), np.zeros((3, 4, 6), np.uint8), "different shapes"),
        (np.zeros((1, 3, 4, 5)), (1, 0, 1), None, "spacing"),
        (np.zeros((1, 3, 4, 5)), (1, np.nan, 1), None, "spacing"),
        (np.zeros((1, 3, 4, 5)), (1, 1), None, "spacing"),
        (np.full((1, 3, 4, 5), np.nan), (1, 1, 1), None, "NaN or infinite"),
        (np.where(np.arange(60).reshape(1, 3, 4, 5) == 7, -np.inf, 0), (1, 1, 1), None, "NaN or infinite"),
        (np.resize([np.inf, -np.inf, 1], (1, 3, 4, 5)), (1, 1, 1), None, "NaN or infinite"),
    ],
)
def test_unusable_input_is_refused(image: np.ndarray, spacing: tuple[float, ...], label: np.ndarray | None, message: str) -> None:
    with pytest.raises(CrganError, match=message):
        pipeline().apply(image, spacing, label=label)


@pytest.mark.parametrize("target", [None, (2.0, 0.5, 1.0), (0.7, 1.3, 3.0)])
def test_there_and_back_is_aligned(target: tuple[float, float, float] | None) -> None:
    grid = np.meshgrid(np.arange(30), np.arange(40), np.arange(36), indexing="ij")
    blob = np.exp(-sum((axis - centre) ** 2 for axis, centre in zip(grid, (13.4, 22.7, 15.2), strict=True)) / 20)
    image = np.where(blob > 1e-4, 100 * blob, -3)[None]
    fitted = pipeline(spacing_mm=target)
    prepared = fitted.apply(image, (1, 1, 1))
    weight = prepared.image - prepared.image.min()
    back = fitted.restore(weight * (prepared.image != 0), prepared.geometry)[0]
    original = (image[0] + 3) * (image[0] > -3)
    np.testing.assert_allclose(ndimage.center_of_mass(back), ndimage.center_of_mass(original), atol=0.1)


@given(st.integers(0, 3), st.integers(0, 3), st.integers(1, 9), st.integers(1, 30), st.integers(1, 12))
def test_parts_cover_the_box_and_change_not_one_bit(before: int, after: int, inside: int, slab: int, size: int) -> None:
    geometry = PreparedGeometry(
        shape=(size, 4, 5),
        spacing_mm=(1, 1, 1),
        box=(slice(before, before + inside), slice(1, 7), slice(0, 5)),
        original_shape=(before + inside + after, 8, 5),
        original_spacing_mm=(1, 1, 1),
    )
    maps = np.random.default_rng(0).uniform(0.5, 1, (2, size, 4, 5)).astype(np.float32)
    whole = Pipeline.restore(maps, geometry)
    parts = list(Pipeline.restore_parts(maps, geometry, slab_slices=slab))
    assert [index for (z, _, _), _ in parts for index in range(z.start, z.stop)] == list(range(before, before + inside))
    assert max(values.shape[1] for _, values in parts) <= slab
    for part, values in parts:
        np.testing.assert_array_equal(values, whole[:, *part])
    outside = np.ones(geometry.original_shape, bool)
    outside[geometry.box] = False
    assert not whole[:, outside].any()
    assert (whole[:, ~outside] >= 0.499).all()


def test_maps_of_another_size_are_refused() -> None:
    prepared = pipeline().apply(noise_in_a_box(), (1, 1, 1))
    with pytest.raises(ValueError, match="prepared grid"):
        Pipeline.restore(np.zeros((2, 3, 3, 3)), prepared.geometry)


@pytest.mark.parametrize(("largest", "dtype"), [(5e4, np.float16), (7e4, np.float32), (-7e4, np.float32)])
@pytest.mark.parametrize("spacing_mm", [None, (1.0, 1.0, 0.5)])
def test_half_precision_only_where_it_can_hold_the_values(
    largest: float, dtype: type, spacing_mm: tuple[float, float, float] | None
) -> None:
    statistics = IntensityStatistics(low=-1e6, high=1e6, mean=0, std=1)
    fitted = stepped("ct", ct=statistics).model_copy(update={"spacing_mm": spacing_mm})
    image = np.array([0, 1.2345, largest], np.float32).reshape(1, 1, 1, 3)
    compact = fitted.apply(image, (1, 1, 1), compact=True).image
    assert compact.dtype == dtype
    np.testing.assert_allclose(compact.astype(np.float32), fitted.apply(image, (1, 1, 1)).image, rtol=2**-11)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float64])
def test_the_type_of_the_files_voxels_changes_nothing(dtype: type) -> None:
    image = np.rint(noise_in_a_box()).astype(np.float32)
    expected = pipeline().apply(image, (1, 1, 1)).image
    np.testing.assert_array_equal(pipeline().apply(image.astype(dtype), (1, 1, 1)).image, expected)


def test_json_and_back() -> None:
    fitted = Pipeline(
        settings=PreprocessingSettings(spacing_mm=(1, 2, 3), normalisation="pooled", crop_to_foreground=False, kind="ct"),
        modalities=("CT",),
        kinds=("ct",),
        spacing_mm=(1, 2, 3),
        intensities=(IntensityStatistics(low=-1, high=2, mean=0.1, std=0.7),),
        landmarks=((0.0, 1.5, 100.0),),
    )
    assert Pipeline.from_json(json.loads(json.dumps(fitted.to_json(), allow_nan=False))) == fitted
    plain = pipeline()
    assert Pipeline.from_json(json.loads(json.dumps(plain.to_json()))) == plain


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"version": 1}, "version"),
        ({"spacing_mm": [1, 1]}, "spacing_mm"),
        ({"kinds": ["xray"]}, "kinds"),
        ({"extra": 1}, "extra"),
        ({"modalities": ["T1", "T2"]}, "differ in length"),
    ],
)
def test_a_description_of_another_version_or_a_broken_one_is_refused(change: dict[str, Any], where: str) -> None:
    with pytest.raises(CrganError, match=where):
        Pipeline.from_json(pipeline().to_json() | change)


@pytest.mark.parametrize(
    "settings",
    [
        {"spacing_mm": (1, 0, 1)},
        {"spacing_mm": "coarse"},
        {"kind": "us"},
        {"unknown": 1},
        {"window_hu": (400, 100)},
        {"bias_field_shrink": 0},
    ],
)
def test_settings_are_checked(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        PreprocessingSettings(**settings)


def test_geometry_to_json_and_back() -> None:
    geometry = pipeline(spacing_mm=(2, 2, 2)).apply(noise_in_a_box(), (1, 1, 1)).geometry
    assert PreparedGeometry.from_json(json.loads(json.dumps(geometry.to_json()))) == geometry
