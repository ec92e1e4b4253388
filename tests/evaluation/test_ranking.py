from __future__ import annotations

import numpy as np
import pytest

from crgan.evaluation.metrics import Choices, measure
from crgan.evaluation.ranking import is_ranked, lower_is_better, rank_systems

NAMES = [f"p{number}" for number in range(30)]


def test_clear_order_is_stable() -> None:
    rng = np.random.default_rng(0)
    base = rng.random(30)
    values = {name: (base + shift + 0.01 * rng.random(30)).tolist() for name, shift in (("poor", 0), ("good", 0.5), ("fair", 0.2))}
    ranks = rank_systems(values, NAMES, lower_better=False)
    assert [(rank.system, rank.rank, rank.rank_low, rank.rank_high, rank.first) for rank in ranks] == [
        ("good", 1, 1, 1, 1.0),
        ("fair", 2, 2, 2, 0.0),
        ("poor", 3, 3, 3, 0.0),
    ]
    assert [rank.system for rank in rank_systems(values, NAMES, lower_better=True)] == ["poor", "fair", "good"]


def test_a_coin_toss_is_told() -> None:
    rng = np.random.default_rng(2)
    values = {name: rng.normal(0, 1, 30).tolist() for name in "ab"}
    ranks = rank_systems(values, NAMES, lower_better=False)
    assert {(rank.rank_low, rank.rank_high) for rank in ranks} == {(1, 2)}
    assert sum(rank.first or 0 for rank in ranks) == pytest.approx(1)
    assert all(0.05 < (rank.first or 0) < 0.95 for rank in ranks)


def test_equal_systems_share_the_rank() -> None:
    ranks = rank_systems({"a": [0.1, 0.2, 0.3], "b": [0.3, 0.2, 0.1], "c": [0, 0, 0]}, NAMES[:3], lower_better=False)
    assert [(rank.system, rank.rank) for rank in ranks] == [("a", 1), ("b", 1), ("c", 3)]


def test_only_patients_for_whom_all_have_a_value_count_each_once() -> None:
    values = {"a": [1.0, 3.0, None, 5.0], "b": [2.0, 2.0, 0.0, 4.0]}
    ranks = rank_systems(values, ["p", "p", "q", "r"], lower_better=True)
    assert {rank.system: rank.mean for rank in ranks} == {"a": 3.5, "b": 3.0}
    assert {(rank.n, rank.first) for rank in ranks} == {(2, None)}  # two patients tell nothing of stability
    assert rank_systems({"a": [None], "b": [1.0]}, ["p"], lower_better=True) == []


def test_every_metric_has_a_direction_or_none() -> None:
    mask = np.ones((4, 4), bool)
    names = [*measure(mask, mask, spacing_mm=(1, 1), choices=Choices(lesion_splits_mm=(5, 10))), "seg", "det", "pq", "ap_50"]
    lower = {name for name in names if is_ranked(name) and lower_is_better(name)}
    higher = {name for name in names if is_ranked(name) and not lower_is_better(name)}
    sizes = ("under_5mm", "5_to_10mm", "from_10mm")
    assert lower == {
        *("fnr", "fpr", "fpr_foreground", "voe", "fdr", "hausdorff_mm", "hd95_mm", "assd_mm", "mssd_mm"),
        *("lesions_missed", "lesion_false_alarms", "false_positive_mm3"),
        *(f"{name}_{size}" for size in sizes for name in ("lesions_missed", "lesion_assd_mm")),
    }
    assert set(names) - lower - higher == {"rvd", "truth_mm3", "lesions", *(f"lesions_{size}" for size in sizes)}
