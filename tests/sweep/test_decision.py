"""The decision rule (paper, Eq. 7) by hand-computed tables, for exclusive classes and for nested regions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crgan.networks.composition import corrected_logits, hard_decision
from crgan.sweep.decision import against_rivals, compose, decide_corrected, least_marked, settle
from crgan.sweep.volumes import decide

SHARES = st.sampled_from([0.0, 0.1, 0.25, 0.3, 0.5, 0.7, 0.75, 0.8, 1.0])
DIALS = st.tuples(SHARES, SHARES)


def column(*values: float) -> np.ndarray:
    """One voxel, the targets along the first axis."""
    return np.array(values, np.float32).reshape(-1, 1)


def bits(mask: np.ndarray) -> str:
    return "".join(str(int(value)) for value in mask.ravel())


# --- one target ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decided", "fn_fires", "fp_fires", "final"),
    [
        (0, 0, 0, 0),
        (0, 0, 1, 0),  # nothing to remove
        (0, 1, 0, 1),  # what was missed is added
        (0, 1, 1, 0),  # both fire: the decision stays
        (1, 0, 0, 1),
        (1, 0, 1, 0),  # what was added wrongly is removed
        (1, 1, 0, 1),  # nothing to add
        (1, 1, 1, 1),  # both fire: the decision stays
    ],
)
def test_all_combinations(decided: int, fn_fires: int, fp_fires: int, final: int) -> None:
    masks = [np.array([0.9 if fires else 0.1]) for fires in (fn_fires, fp_fires)]
    assert compose(np.array([decided]) > 0, *masks, p=0.5, q=0.5).tolist() == [bool(final)]


@pytest.mark.parametrize(
    ("missed", "p", "added"),
    [(0.5, 0.5, True), (0.25, 0.25, True), (0.24, 0.25, False), (0.0, 0.0, True), (0.75, 1.0, False), (1.0, 1.0, True)],
)
def test_a_voxel_is_added_from_p_on(missed: float, p: float, added: bool) -> None:
    assert compose(np.array([False]), np.array([missed]), np.array([0.0]), p=p, q=0.5).tolist() == [added]


@pytest.mark.parametrize(
    ("wrong", "q", "kept"),
    [(0.5, 0.5, True), (0.51, 0.5, False), (0.25, 0.25, True), (1.0, 1.0, True), (0.0, 0.0, True), (0.01, 0.0, False)],
)
def test_a_voxel_is_removed_only_above_q(wrong: float, q: float, kept: bool) -> None:
    assert compose(np.array([True]), np.array([0.0]), np.array([wrong]), p=0.5, q=q).tolist() == [kept]


@given(hnp.arrays(np.bool_, (4,)), hnp.arrays(np.float32, (4,), elements=SHARES), hnp.arrays(np.float32, (4,), elements=SHARES), DIALS)
def test_is_the_equation(decided: np.ndarray, missed: np.ndarray, added: np.ndarray, dial: tuple[float, float]) -> None:
    p, q = dial
    expected = [min(max(int(d) - int(fp > q) + int(fn >= p), 0), 1) for d, fn, fp in zip(decided, missed, added, strict=True)]
    assert compose(decided, missed, added, p=p, q=q).astype(int).tolist() == expected


# --- several targets -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("masks", "corrected", "final"),
    [
        ("000", (0.4, 0.4, 0.4), "000"),  # none in: background
        ("010", (0.9, 0.1, 0.9), "010"),  # one in: it wins, whatever the others say
        ("110", (0.6, 0.7, 0.9), "010"),  # two in: the largest, of those that are in
        ("101", (0.8, 0.9, 0.3), "100"),
        ("111", (0.5, 0.5, 0.5), "100"),  # of equals the first
        ("011", (0.9, 0.5, 0.5), "010"),
        ("111", (0.0, 0.0, 0.0), "100"),
        ("001", (0.0, 0.0, 0.0), "001"),
    ],
)
def test_exclusive_classes_by_hand(masks: str, corrected: tuple[float, float, float], final: str) -> None:
    decided = np.array([[bit == "1"] for bit in masks])
    assert bits(settle(decided, column(*corrected), exclusive=True)) == final


@pytest.mark.parametrize(
    ("masks", "final"),
    [("000", "000"), ("100", "100"), ("010", "110"), ("001", "111"), ("110", "110"), ("101", "111"), ("011", "111"), ("111", "111")],
)
def test_nested_regions_by_hand(masks: str, final: str) -> None:
    decided = np.array([[bit == "1"] for bit in masks])
    assert bits(settle(decided, column(0.2, 0.9, 0.4), exclusive=False)) == final


# G's decision, the refiner's FN and FP for each of two targets, and what comes of them at (p, q) = (0.5, 0.5).
CORRECTIONS = [
    # decided, FN, FP, exclusive classes, nested regions
    ("10", (0.0, 0.2), (0.1, 0.0), "10", "10"),  # nothing fires
    ("10", (0.0, 0.6), (0.9, 0.0), "01", "11"),  # removed here, added there
    ("10", (0.0, 0.6), (0.2, 0.0), "10", "11"),  # both in: P* is .8 and .6
    ("10", (0.0, 0.9), (0.2, 0.0), "01", "11"),  # both in: P* is .8 and .9
    ("01", (0.9, 0.0), (0.0, 0.6), "10", "10"),
    ("01", (0.4, 0.0), (0.0, 0.6), "00", "00"),  # removed, and nothing added
    ("00", (0.5, 0.4), (0.0, 0.0), "10", "10"),
    ("00", (0.5, 0.5), (0.0, 0.0), "10", "11"),  # a tie
    ("01", (0.5, 0.0), (0.0, 0.5), "10", "11"),  # a tie of what is added and what is just not removed
    ("00", (0.4, 0.4), (0.0, 0.0), "00", "00"),
]


@pytest.mark.parametrize(("decided", "missed", "added", "exclusive", "nested"), CORRECTIONS)
def test_the_whole_decision_by_hand(
    decided: str, missed: tuple[float, float], added: tuple[float, float], exclusive: str, nested: str
) -> None:
    d = np.array([[bit == "1"] for bit in decided])
    corrected = d * (1 - column(*added)) + ~d * column(*missed)
    assert bits(decide_corrected(d, corrected, p=0.5, q=0.5, exclusive=True)) == exclusive
    assert bits(decide_corrected(d, corrected, p=0.5, q=0.5, exclusive=False)) == nested


@pytest.mark.parametrize(
    ("p", "q", "final"),
    # P* of four targets: two that G took in, FP = .6 and .2; two that it left out, FN = .6 and .35.
    [(0.5, 0.5, "0110"), (0.3, 0.8, "1111"), (0.8, 0.3, "0100"), (0.0, 1.0, "1111"), (1.0, 0.0, "0000")],
)
def test_the_dial_by_hand(p: float, q: float, final: str) -> None:
    decided = np.array([[True], [True], [False], [False]])
    corrected = column(0.4, 0.8, 0.6, 0.35)
    found = compose(decided, np.where(decided, 0, corrected), np.where(decided, 1 - corrected, 0), p=p, q=q)
    assert bits(found) == final


# --- properties ----------------------------------------------------------------------------------------------------

VOXELS = (3, 6)


@given(hnp.arrays(np.bool_, VOXELS), hnp.arrays(np.float16, VOXELS, elements=SHARES), DIALS, DIALS, st.booleans())
def test_more_sensitive_dials_mark_more(
    decided: np.ndarray, corrected: np.ndarray, one: tuple[float, float], other: tuple[float, float], exclusive: bool
) -> None:
    cautious = decide_corrected(decided, corrected, p=max(one[0], other[0]), q=min(one[1], other[1]), exclusive=exclusive)
    sensitive = decide_corrected(decided, corrected, p=min(one[0], other[0]), q=max(one[1], other[1]), exclusive=exclusive)
    if exclusive:  # classes may take voxels from each other, but not from the foreground
        cautious, sensitive = cautious.any(axis=0), sensitive.any(axis=0)
    assert not (cautious & ~sensitive).any()


@given(hnp.arrays(np.bool_, VOXELS), hnp.arrays(np.float16, VOXELS, elements=SHARES), DIALS)
def test_exclusive_classes_exclude_each_other_and_nested_regions_are_nested(
    decided: np.ndarray, corrected: np.ndarray, dial: tuple[float, float]
) -> None:
    p, q = dial
    assert (decide_corrected(decided, corrected, p=p, q=q, exclusive=True).sum(axis=0) <= 1).all()
    outer_first = decide_corrected(decided, corrected, p=p, q=q, exclusive=False).astype(int)
    assert (np.diff(outer_first, axis=0) <= 0).all()


@given(hnp.arrays(np.bool_, VOXELS), st.booleans())
def test_where_the_refiner_finds_no_error_the_decision_stays(decided: np.ndarray, exclusive: bool) -> None:
    consistent = settle(decided, decided.astype(np.float32), exclusive=exclusive)
    kept = decide_corrected(consistent, consistent.astype(np.float16), p=0.3, q=0.7, exclusive=exclusive)
    np.testing.assert_array_equal(kept, consistent)


@given(
    hnp.arrays(np.bool_, (2, 3, 3)),
    hnp.arrays(np.float32, (4, 3, 3), elements=st.sampled_from([-2.0, -0.25, 0.0, 0.5, 3.0])),
    st.booleans(),
)
def test_what_torch_composes_numpy_decides(decided: np.ndarray, errors: np.ndarray, exclusive: bool) -> None:
    """Eq. 7 on the refiner's two masks, and the decision from the one corrected probability that is kept of them."""
    missed, added = (1 / (1 + np.exp(-part)) for part in np.split(errors, 2))
    corrected = corrected_logits(torch.from_numpy(decided), torch.from_numpy(errors)).sigmoid().numpy()
    both = settle(compose(decided, np.where(decided, 0, missed), np.where(decided, added, 0), p=0.4, q=0.6), corrected, exclusive=exclusive)
    np.testing.assert_array_equal(decide_corrected(decided, corrected, p=0.4, q=0.6, exclusive=exclusive), both)


@given(hnp.arrays(np.float32, (3, 4, 4), elements=st.sampled_from([0.0, 0.125, 0.25, 0.375, 0.5, 0.75])))
def test_torch_and_numpy_choose_the_same_of_exclusive_classes(probabilities: np.ndarray) -> None:
    torchs = hard_decision(torch.from_numpy(probabilities), exclusive=True).numpy()
    numpys = settle(probabilities > 1 - probabilities.sum(axis=0), probabilities, exclusive=True)
    np.testing.assert_array_equal(torchs, numpys)


def test_no_voxels_give_no_voxels() -> None:
    for exclusive in (False, True):
        assert decide_corrected(np.zeros((2, 0), bool), np.zeros((2, 0)), p=0.5, q=0.5, exclusive=exclusive).shape == (2, 0)


# --- a generator without a refiner ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probabilities", "shares"),
    [
        ((0.6, 0.1), (2 / 3, 1 / 7)),  # background .3: .6 against .3, .1 against .6
        ((0.4, 0.3), (4 / 7, 3 / 7)),  # background .3
        ((0.2, 0.1), (2 / 9, 1 / 8)),  # background .7 is the rival of both
        ((1.0, 0.0), (1.0, 0.0)),
        ((0.0, 0.0), (0.0, 0.0)),
    ],
)
def test_classes_are_held_against_their_strongest_rival(probabilities: tuple[float, float], shares: tuple[float, float]) -> None:
    values = column(*probabilities)
    decided = hard_decision(torch.from_numpy(values)[..., None], exclusive=True)[..., 0].numpy()
    assert against_rivals(values, decided, exclusive=True).ravel() == pytest.approx(shares)
    assert against_rivals(values, decided, exclusive=False) is values


@given(hnp.arrays(np.float16, (4, 30), elements=st.floats(0, 1, width=16)))
def test_the_neutral_dial_leaves_the_generators_decision_as_it_is(raw: np.ndarray) -> None:
    total = raw.astype(np.float32).sum(axis=0)
    probabilities = (raw[:3] / np.where(total > 0, total, 1)).astype(np.float16)
    for exclusive, values in ((True, probabilities), (False, raw[:3])):
        decided = hard_decision(torch.from_numpy(values.astype(np.float32))[..., None], exclusive=exclusive)[..., 0].numpy()
        shares = against_rivals(values, decided, exclusive=exclusive).astype(np.float16)
        assert ((shares >= 0.5) == decided).all()
        final = decide_corrected(decided, shares, p=0.5, q=0.5, exclusive=exclusive)
        assert (final == settle(decided, values, exclusive=exclusive)).all()


def test_targets_have_settings_of_their_own() -> None:
    decided, corrected = np.zeros((2, 3), bool), np.array([[0.2, 0.4, 0.6], [0.2, 0.4, 0.6]], np.float16)
    found = decide_corrected(decided, corrected, p=(0.5, 0.3), q=(0.5, 0.5), exclusive=False)
    assert found.tolist() == [[False, True, True], [False, True, True]]  # the outer takes in the inner
    found = decide_corrected(decided, corrected, p=(0.1, 0.5), q=(0.5, 0.5), exclusive=False)
    assert found.tolist() == [[True, True, True], [False, False, True]]


@given(
    hnp.arrays(np.float16, (4, 3, 3), elements=SHARES),
    hnp.arrays(np.float16, (3, 3, 3), elements=SHARES),
    DIALS,
    st.booleans(),
    st.booleans(),
)
def test_nothing_is_marked_where_no_map_reaches_the_least(
    said: np.ndarray, corrected: np.ndarray, dial: tuple[float, float], exclusive: bool, refined: bool
) -> None:
    p, q = dial
    probabilities = said[1:].astype(np.float32)
    if exclusive:
        probabilities /= np.maximum(said.sum(axis=0, dtype=np.float32), 1e-6)
    decided = decide(probabilities[:, None], exclusive=exclusive)[:, 0]
    final = corrected.astype(np.float32) if refined else against_rivals(probabilities, decided, exclusive=exclusive)
    marked = decide_corrected(decided, final, p=p, q=q, exclusive=exclusive).any(axis=0)
    maps = np.concatenate([probabilities, corrected]) if refined else probabilities
    assert (maps.max(axis=0)[marked] >= least_marked(p, targets=3, exclusive=exclusive)).all()
