from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crgan.evaluation.overlap import compare
from crgan.study.dial_sweep import DIAL, mean_dial, sweep_dial
from crgan.sweep.decision import compose


def predicted(probability: np.ndarray, truth: np.ndarray, **more: object) -> SimpleNamespace:
    """A case of one target, as far as a sweep looks at it."""
    scheme = SimpleNamespace(instances=more.pop("instances", False), exclusive=False)
    maps = {"probability": probability[None], **{name: more.pop(name)[None] for name in ("fn", "fp") if name in more}}
    return SimpleNamespace(
        maps_by_class=maps.__getitem__,
        targets=("x",),
        truth=truth[None],
        judged=np.ones(truth.shape, bool),
        scheme=scheme,
        maps=maps.__getitem__,
        **more,
    )


@given(st.integers(0, 1000))
def test_the_dial_gives_what_equation_7_gives(seed: int) -> None:
    random = np.random.default_rng(seed)
    decided, truth = random.random((2, 3, 4, 5)) < 0.4
    corrected = random.random((3, 4, 5)).astype(np.float32)
    fn, fp = np.where(decided, 0, corrected), np.where(decided, 1 - corrected, 0)
    found = sweep_dial(predicted(decided.astype(np.float32), truth), predicted(corrected, truth, fn=fn, fp=fp))["x"]
    for i, p in enumerate(DIAL):
        for j, q in enumerate(DIAL):
            overlap = compare(compose(decided, fn, fp, p=p, q=q), truth)
            assert found[:, i, j] == pytest.approx([np.nan if v is None else v for v in (overlap.dice, overlap.fnr)], nan_ok=True)


def test_of_instances_the_corrected_probability_is_what_the_dial_turns() -> None:
    truth = np.array([[[True, True, False]]])
    decided = np.array([[[True, False, True]]])
    corrected = np.array([[[1.0, 0.55, 0.35]]], np.float32)  # whole, would be added at p = .5, would be removed at q = .6
    found = sweep_dial(predicted(decided.astype(np.float32), truth), predicted(corrected, truth, instances=True))["x"]
    assert found[0, DIAL.index(0.5), DIAL.index(0.6)] == 1
    assert found[1, DIAL.index(0.6), DIAL.index(0.6)] == 0.5


def test_the_mean_dial_leaves_out_cases_without_the_target() -> None:
    here, gone = np.full((2, 9, 9), 0.25), np.full((2, 9, 9), np.nan)
    mean = mean_dial([{"x": here, "y": gone}, {"x": gone, "y": gone}])
    assert (mean.dice["x"][0][0], mean.fnr["x"][8][8], mean.dice["y"][4][4]) == (0.25, 0.25, None)
