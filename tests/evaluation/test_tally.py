from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crgan.evaluation.tally import VALUES, tally
from crgan.sweep.decision import compose

SHAPE = (3, 5)
VALUE = st.one_of(st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]), st.floats(0, 1, width=16))
SETTING = st.one_of(st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]), st.floats(0, 1))


def test_every_half_precision_number_has_its_level() -> None:
    assert VALUES[0] == 0
    assert VALUES[-1] == 1
    assert (np.diff(VALUES) > 0).all()


def test_by_hand() -> None:
    probability = np.array([0.9, 0.6, 0.4, 0.2, 0.0], np.float16)
    truth = np.array([True, False, True, True, False])
    decided = np.array([True, True, False, False, False])
    counted = tally(probability, truth, decided=decided)
    assert counted.positives == 3
    true, false = counted.marked([0.5, 0.3, 0.1, 0.5, 0.0], [0.5, 0.5, 0.5, 0.3, 0.05])
    assert true.tolist() == [1, 2, 3, 1, 2]  # at q = .05 even .9 is thrown out, at p = 0 all that was left out is in
    assert false.tolist() == [1, 1, 1, 0, 1]


@given(
    hnp.arrays(np.float16, SHAPE, elements=VALUE),
    hnp.arrays(np.bool_, SHAPE),
    hnp.arrays(np.bool_, SHAPE),
    hnp.arrays(np.bool_, SHAPE),
    st.lists(st.tuples(SETTING, SETTING), min_size=1, max_size=5),
)
def test_is_what_the_decision_gives(
    probability: np.ndarray, truth: np.ndarray, decided: np.ndarray, within: np.ndarray, settings: list[tuple[float, float]]
) -> None:
    p, q = zip(*settings, strict=True)
    true, false = tally(probability, truth, decided=decided, within=within).marked(p, q)
    values = probability.astype(np.float32)
    for place, (at_p, at_q) in enumerate(settings):
        missed, added = np.where(decided, 0, values), np.where(decided, 1 - values, 0)
        # Left out voxels are never removed, nor taken in ones added, but at a p of 0: there both fire, and the decision stays.
        mask = np.where(decided, ~(added > np.float32(at_q)), missed >= np.float32(at_p))
        assert (true[place], false[place]) == ((mask & truth & within).sum(), (mask & ~truth & within).sum())
        if np.float32(at_p) > 0:
            assert (compose(decided, missed, added, p=np.float32(at_p), q=np.float32(at_q)) == mask).all()


def test_images_add_up() -> None:
    random = np.random.default_rng(0)
    parts = [(random.random((4, 4)).astype(np.float16), random.random((4, 4)) > 0.5, random.random((4, 4)) > 0.5) for _ in range(2)]
    one, two = (tally(values, truth, decided=decided) for values, truth, decided in parts)
    values, truth, decided = (np.stack(arrays) for arrays in zip(*parts, strict=True))
    assert ((one + two).counts == tally(values, truth, decided=decided).counts).all()


def test_masks_of_another_shape_are_refused() -> None:
    mask = np.zeros((2, 2), bool)
    with pytest.raises(ValueError, match="one shape"):
        tally(np.zeros(4), mask, decided=mask)
    with pytest.raises(ValueError, match="bool"):
        tally(np.zeros((2, 2)), mask.astype(np.uint8), decided=mask)
