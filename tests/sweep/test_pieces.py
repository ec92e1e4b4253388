from __future__ import annotations

import tracemalloc

import cc3d
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crgan.cases.labels import LabelScheme
from crgan.dial import Smallest
from crgan.sweep.pieces import drop_small

CLASSES = LabelScheme(classes={1: "rim", 4: "core"})
REGIONS = LabelScheme(classes={1: "rim", 4: "core"}, regions={"whole": (1, 4), "core": (4,)})


def line(*values: int) -> np.ndarray:
    return np.array(values, np.uint8).reshape(1, 1, -1)


@pytest.mark.parametrize(
    ("smallest", "kept"),
    [
        ({}, [1, 0, 1, 1, 0, 4, 0, 4, 4, 4]),
        (
            {"rim": Smallest(mm3=0.0), "core": Smallest(mm3=1.0)},
            [1, 0, 1, 1, 0, 4, 0, 4, 4, 4],
        ),  # a voxel of 1 mm³ is not smaller than that
        ({"rim": Smallest(mm3=1.5)}, [0, 0, 1, 1, 0, 4, 0, 4, 4, 4]),
        ({"core": Smallest(mm3=3.0)}, [1, 0, 1, 1, 0, 0, 0, 4, 4, 4]),
        ({"rim": Smallest(mm3=2.0), "core": Smallest(mm3=3.5)}, [0, 0, 1, 1, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_classes(smallest: dict[str, Smallest], kept: list[int]) -> None:
    labels = line(1, 0, 1, 1, 0, 4, 0, 4, 4, 4)
    assert drop_small(labels, CLASSES, smallest, (1.0, 1.0, 1.0)).ravel().tolist() == kept


@pytest.mark.parametrize(
    ("smallest", "kept"),
    [
        ({"whole": Smallest(mm3=3.0)}, [0, 0, 0, 1, 4, 1, 0, 0]),  # the core at the left goes with the piece it lies in
        ({"core": Smallest(mm3=2.0)}, [1, 1, 0, 1, 1, 1, 0, 1]),  # what was core is still in the whole
        ({"whole": Smallest(mm3=2.0), "core": Smallest(mm3=2.0)}, [1, 1, 0, 1, 1, 1, 0, 0]),
    ],
)
def test_nested_regions(smallest: dict[str, Smallest], kept: list[int]) -> None:
    labels = line(1, 4, 0, 1, 4, 1, 0, 4)
    assert drop_small(labels, REGIONS, smallest, (1.0, 1.0, 1.0)).ravel().tolist() == kept


def test_volumes_are_those_of_voxels() -> None:
    labels = line(1, 0, 1, 1, 0, 1, 1, 1)
    assert drop_small(labels.copy(), CLASSES, {"rim": Smallest(mm3=20.0)}, (5.0, 2.0, 1.0)).ravel().tolist() == [0, 0, 1, 1, 0, 1, 1, 1]
    assert drop_small(labels.copy(), CLASSES, {"rim": Smallest(mm3=20.1)}, (5.0, 2.0, 1.0)).ravel().tolist() == [0, 0, 0, 0, 0, 1, 1, 1]


def test_shares_are_those_of_the_largest_piece_of_the_same_target() -> None:
    labels = line(4, 0, 1, 0, 1, 1, 0, 1, 1, 1, 1, 1)
    for share, kept in ((0.2, (1, 2, 5)), (0.21, (2, 5)), (0.4, (2, 5)), (0.41, (5,)), (1.0, (5,))):
        after = drop_small(labels.copy(), CLASSES, {"rim": Smallest(share=share)}, (1.0, 1.0, 1.0)).ravel()
        assert after[0] == 4
        assert np.bincount(cc3d.connected_components((after == 1)[None, None].view(np.uint8)).ravel())[1:].tolist() == [*kept]
    after = drop_small(labels.copy(), CLASSES, {"rim": Smallest(mm3=3.0, share=0.2)}, (1.0, 1.0, 1.0)).ravel()
    assert after.tolist() == [4, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]  # whichever is stricter


def test_takes_a_few_bytes_a_voxel() -> None:
    """The liver of a whole-body CT may be a hundred million voxels: eight bytes for each, as counting wants, are a gigabyte."""
    labels = np.ones((32, 128, 128), np.uint8)
    labels[16] = 0
    tracemalloc.start()
    drop_small(labels, CLASSES, {"rim": Smallest(mm3=1.0)}, (1.0, 1.0, 1.0))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 9 * labels.size


def test_nothing_marked() -> None:
    assert not drop_small(line(0, 0, 0), CLASSES, {"rim": Smallest(mm3=9.0)}, (1.0, 1.0, 1.0)).any()


@given(seed=st.integers(0, 10_000), limit=st.integers(1, 12), regions=st.booleans())
def test_what_stays_is_large_and_was_there(seed: int, limit: int, regions: bool) -> None:
    scheme = REGIONS if regions else CLASSES
    random = np.random.default_rng(seed)
    before = random.choice(np.array([0, 0, 0, 1, 4], np.uint8), (3, 7, 8))
    after = drop_small(before.copy(), scheme, dict.fromkeys(scheme.targets, Smallest(mm3=float(limit))), (1.0, 1.0, 1.0))
    outermost = scheme.targets if scheme.exclusive else scheme.targets[:1]
    for target in scheme.targets:
        stays, was = (scheme.mask(target, scheme.encode(labels)) for labels in (after, before))
        assert not (stays & ~was).any()
        sizes = np.bincount(cc3d.connected_components(stays.view(np.uint8), connectivity=26).ravel())[1:]
        if target in outermost:
            assert (sizes >= limit).all()
