"""How well a label agrees with its image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from crgan.cases.checks.pairing import agreement, take_probe, turned_places
from crgan.cases.regions import marked_box


def probe_of(codes: np.ndarray):
    box = marked_box(codes)
    return take_probe(codes[box], box, codes.shape)


@pytest.fixture
def codes() -> np.ndarray:
    labels = np.zeros((20, 22, 24), np.uint8)
    labels[2:9, 3:10, 4:11] = 1
    labels[4:7, 5:8, 6:9] = 2
    return labels


def test_places_lie_in_the_label_and_just_outside(codes: np.ndarray) -> None:
    probe = probe_of(codes)
    assert probe is not None
    assert np.array_equal(codes[tuple(probe.places.T)], probe.groups)
    outside = probe.places[probe.groups == 0]
    assert ((outside >= [0, 1, 2]) & (outside <= [10, 11, 12])).all()
    assert set(probe.groups) == {0, 1, 2}


def test_places_beyond_the_image_do_not_count() -> None:
    labels = np.zeros((12, 12, 12), np.uint8)
    labels[:6, :, :] = 1
    probe = probe_of(labels)
    assert probe is not None
    assert set(probe.places[probe.groups == 0][:, 0]) == {6, 7}


@pytest.mark.parametrize("size", [0, 4])
def test_small_labels_say_nothing(size: int) -> None:
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[:size, :size, :size] = 1
    assert probe_of(labels) is None


def test_a_label_that_fills_the_image_has_no_outside() -> None:
    assert probe_of(np.ones((9, 9, 9), np.uint8)) is None


def test_agreement_is_one_for_equal_parts_and_near_zero_for_noise(codes: np.ndarray) -> None:
    probe = probe_of(codes)
    assert probe is not None
    image = codes.astype(np.float32)
    noise = np.random.default_rng(0).normal(size=codes.shape)
    assert agreement([image], probe)[0] == pytest.approx(1)
    assert agreement([noise], probe)[0] < 0.02
    assert agreement([noise, image], probe)[0] == pytest.approx(1)  # the channel that shows it counts
    assert agreement([np.zeros_like(image)], probe)[0] == 0
    ranks = agreement([image], probe)[1][0]
    assert ranks[0] < ranks[1] < ranks[2]


def test_agreement_is_that_of_kruskal_and_wallis(codes: np.ndarray) -> None:
    probe = probe_of(codes)
    assert probe is not None
    image = np.round(codes + np.random.default_rng(0).normal(size=codes.shape), 1)  # with ties
    values = image[tuple(probe.places.T)]
    statistic = stats.kruskal(*(values[probe.groups == group] for group in (0, 1, 2))).statistic
    assert agreement([image], probe)[0] == pytest.approx(statistic / (values.size - 1))


def test_a_turned_label_agrees_once_it_is_turned_back(codes: np.ndarray) -> None:
    probe = probe_of(codes[:, ::-1])
    assert probe is not None
    image = codes.astype(np.float32)
    fits = {how: agreement([image], probe, places)[0] for how, places in turned_places(probe).items()}
    assert max(fits, key=lambda how: fits[how]) == "reversed along its second axis"
    assert set(fits) == {f"reversed along its {axis} axis" for axis in ("first", "second", "third")}


def test_a_picture_may_have_rows_and_columns_exchanged() -> None:
    labels = np.zeros((30, 30, 1), np.uint8)
    labels[3:15, 5:25] = 1
    probe = probe_of(labels)
    assert probe is not None
    turned = turned_places(probe)
    assert set(turned) == {
        "reversed along its first axis",
        "reversed along its second axis",
        "stored with rows and columns exchanged",
    }
    places = turned["stored with rows and columns exchanged"]
    assert agreement([labels.swapaxes(0, 1)], probe, places)[0] == pytest.approx(1)
