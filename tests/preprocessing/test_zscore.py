"""Normalisation by hand-computed tables, and what constant images give."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crgan.preprocessing import zscore
from crgan.preprocessing.zscore import IntensityStatistics, ct_scaling, fit_intensities, guess_kind, patient_scalings


def normalise_patient(image: np.ndarray, foreground: np.ndarray, *, pooled: bool = False) -> np.ndarray:
    scalings = patient_scalings(image, foreground, pooled=pooled)
    return np.stack([scaling(channel, own) for scaling, channel, own in zip(scalings, image, foreground, strict=True)])


def normalise_ct(image: np.ndarray, statistics: IntensityStatistics) -> np.ndarray:
    return ct_scaling(statistics)(image, np.ones(image.shape, bool))


def channels(*values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)[:, None, None]


def test_each_modality_by_its_own_foreground() -> None:
    image = channels([-1, -1, 2, 4], [0, 10, 20, 30])
    foreground = channels([0, 0, 1, 1], [0, 1, 1, 1]).astype(bool)
    root = np.sqrt(1.5)  # values 10, 20, 30: mean 20, standard deviation sqrt(200 / 3)
    expected = channels([0, 0, -1, 1], [0, -root, 0, root])
    np.testing.assert_allclose(normalise_patient(image, foreground), expected, rtol=1e-6)


def test_pooled_over_all_modalities() -> None:
    image = channels([-1, 1, 3], [0, 5, 7])
    foreground = channels([0, 1, 1], [0, 1, 1]).astype(bool)
    # 1, 3, 5, 7: mean 4, variance 5
    expected = channels([0, -3, -1], [0, 1, 3]) / np.sqrt(5)
    np.testing.assert_allclose(normalise_patient(image, foreground, pooled=True), expected, rtol=1e-6)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("value", [0.0, 3.0, 123456.789, 1e-20])
def test_a_constant_image_becomes_zeros(pooled: bool, whole: bool, value: float) -> None:
    image = np.full((2, 3, 4, 5), value, np.float32)
    result = normalise_patient(image, np.full(image.shape, whole), pooled=pooled)
    assert result.dtype == np.float32
    assert not result.any()


def test_a_binary_image_is_not_lost() -> None:
    image = channels([0, 0, 0, 1])
    result = normalise_patient(image, image > 0)
    np.testing.assert_allclose(result, channels([-1, -1, -1, 3]) / np.sqrt(3), rtol=1e-6)


def test_large_offsets_cost_no_precision() -> None:
    noise = np.random.default_rng(0).normal(size=(1, 10, 20, 20))
    image = (60000 + 10 * noise).astype(np.float32)
    result = normalise_patient(image, np.ones(image.shape, bool))
    assert abs(float(result.mean())) < 1e-3
    assert abs(float(result.std()) - 1) < 1e-3


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).normal(5, 2, (2, 4, 5, 6)).astype(np.float32)
    foreground = image > 4
    whole = normalise_patient(image, foreground)
    monkeypatch.setattr(zscore, "_BLOCK", 7)
    np.testing.assert_allclose(normalise_patient(image, foreground), whole, rtol=1e-6)


@given(
    hnp.arrays(np.float32, (2, 2, 3, 3), elements=st.floats(-1000, 1000, width=32)),
    hnp.arrays(np.bool_, (2, 2, 3, 3)),
    st.booleans(),
)
def test_never_nan_and_background_is_zero(image: np.ndarray, foreground: np.ndarray, pooled: bool) -> None:
    result = normalise_patient(image, foreground, pooled=pooled)
    assert np.isfinite(result).all()
    for group in [[0, 1]] if pooled else [[0], [1]]:
        voxels = image[group][foreground[group]].astype(np.float64)
        if voxels.size and voxels.std() > 1e-3 * max(1, np.abs(voxels).max()):
            assert not result[group][~foreground[group]].any()
            np.testing.assert_allclose(result[group][foreground[group]], (voxels - voxels.mean()) / voxels.std(), atol=1e-3)


def test_ct_statistics_by_hand() -> None:
    statistics = fit_intensities([np.arange(0, 501), np.arange(501, 1001)])  # 0 … 1000 in two cases
    assert statistics.low == pytest.approx(5)
    assert statistics.high == pytest.approx(995)
    clipped = np.array([5] * 6 + list(range(6, 995)) + [995] * 6)
    assert statistics.mean == pytest.approx(500)
    assert statistics.std == pytest.approx(clipped.std())


def test_ct_is_clipped_and_air_is_kept() -> None:
    statistics = IntensityStatistics(low=-100, high=300, mean=100, std=50)
    result = normalise_ct(np.array([-1000, -100, 100, 150, 3000], np.int16), statistics)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, [-4, -4, 0, 1, 4])


def test_ct_statistics_of_one_value_give_zeros() -> None:
    statistics = fit_intensities([np.full(10, 40.0)])
    assert not normalise_ct(np.array([-1000.0, 40, 90]), statistics).any()


@pytest.mark.parametrize("samples", [[], [np.empty(0)]])
def test_ct_statistics_need_a_voxel(samples: list[np.ndarray]) -> None:
    with pytest.raises(ValueError, match="at least one voxel"):
        fit_intensities(samples)


def test_normalising_leaves_the_input_alone() -> None:
    image = np.random.default_rng(0).normal(size=(1, 2, 3, 4)).astype(np.float32)
    before = image.copy()
    normalise_patient(image, np.ones(image.shape, bool))
    normalise_ct(image, IntensityStatistics(low=-1, high=1, mean=0, std=1))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize(
    ("name", "kind"),
    [("CT", "ct"), ("ct", "ct"), ("liver_CT_1", "ct"), ("ct-portal", "ct"), ("MRI", "mr"), ("T1", "mr"), ("contrast", "mr"), ("red", "mr")],
)
def test_kind_is_guessed_from_the_name(name: str, kind: str) -> None:
    assert guess_kind(name) == kind
