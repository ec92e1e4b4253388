from __future__ import annotations

import cc3d
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crgan.cases.labels import LabelScheme
from crgan.sweep.pieces import drop_small

CLASSES = LabelScheme(classes={1: "rim", 4: "core"})
REGIONS = LabelScheme(classes={1: "rim", 4: "core"}, regions={"whole": (1, 4), "core": (4,)})


def line(*values: int) -> np.ndarray:
    return np.array(values, np.uint8).reshape(1, 1, -1)


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({}, [1, 0, 1, 1, 0, 4, 0, 4, 4, 4]),
        ({"rim": 0.0, "core": 1.0}, [1, 0, 1, 1, 0, 4, 0, 4, 4, 4]),  # a voxel of 1 mm³ is not smaller than that
        ({"rim": 1.5}, [0, 0, 1, 1, 0, 4, 0, 4, 4, 4]),
        ({"core": 3.0}, [1, 0, 1, 1, 0, 0, 0, 4, 4, 4]),
        ({"rim": 2.0, "core": 3.5}, [0, 0, 1, 1, 0, 0, 0, 0, 0, 0]),
    ],
)
def test_classes(limits: dict[str, float], kept: list[int]) -> None:
    labels = line(1, 0, 1, 1, 0, 4, 0, 4, 4, 4)
    assert drop_small(labels, CLASSES, limits, (1.0, 1.0, 1.0)).ravel().tolist() == kept


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({"whole": 3.0}, [0, 0, 0, 1, 4, 1, 0, 0]),  # the core at the left goes with the piece it lies in
        ({"core": 2.0}, [1, 1, 0, 1, 1, 1, 0, 1]),  # what was core is still in the whole
        ({"whole": 2.0, "core": 2.0}, [1, 1, 0, 1, 1, 1, 0, 0]),
    ],
)
def test_nested_regions(limits: dict[str, float], kept: list[int]) -> None:
    labels = line(1, 4, 0, 1, 4, 1, 0, 4)
    assert drop_small(labels, REGIONS, limits, (1.0, 1.0, 1.0)).ravel().tolist() == kept


def test_volumes_are_those_of_voxels() -> None:
    labels = line(1, 0, 1, 1, 0, 1, 1, 1)
    assert drop_small(labels.copy(), CLASSES, {"rim": 20.0}, (5.0, 2.0, 1.0)).ravel().tolist() == [0, 0, 1, 1, 0, 1, 1, 1]
    assert drop_small(labels.copy(), CLASSES, {"rim": 20.1}, (5.0, 2.0, 1.0)).ravel().tolist() == [0, 0, 0, 0, 0, 1, 1, 1]


def test_nothing_marked() -> None:
    assert not drop_small(line(0, 0, 0), CLASSES, {"rim": 9.0}, (1.0, 1.0, 1.0)).any()


@given(seed=st.integers(0, 10_000), limit=st.integers(1, 12), regions=st.booleans())
def test_what_stays_is_large_and_was_there(seed: int, limit: int, regions: bool) -> None:
    scheme = REGIONS if regions else CLASSES
    random = np.random.default_rng(seed)
    before = random.choice(np.array([0, 0, 0, 1, 4], np.uint8), (3, 7, 8))
    after = drop_small(before.copy(), scheme, dict.fromkeys(scheme.targets, float(limit)), (1.0, 1.0, 1.0))
    outermost = scheme.targets if scheme.exclusive else scheme.targets[:1]
    for target in scheme.targets:
        stays, was = (scheme.mask(target, scheme.encode(labels)) for labels in (after, before))
        assert not (stays & ~was).any()
        sizes = np.bincount(cc3d.connected_components(stays.view(np.uint8), connectivity=26).ravel())[1:]
        if target in outermost:
            assert (sizes >= limit).all()
