"""The fingerprint by a hand-made example."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crgan.cases.labels import IGNORED
from crgan.cases.volume import Geometry
from crgan.errors import CrganError
from crgan.preprocessing.fingerprint import CodeSummary, Fingerprint, Range, take_fingerprint
from crgan.preprocessing.label_facts import take_facts
from crgan.preprocessing.prepared import PreparedGeometry
from crgan.preprocessing.stored import StoredCase


def stored(name: str, shape: tuple[int, int, int], codes: np.ndarray | None, spacing: tuple[float, float, float] = (1, 1, 1)) -> StoredCase:
    whole = (slice(0, shape[0]), slice(0, shape[1]), slice(0, shape[2]))
    return StoredCase(
        case_id=name,
        patient_id=name[0],
        folder=Path("nowhere"),
        geometry=PreparedGeometry(shape=shape, spacing_mm=spacing, box=whole, original_shape=shape, original_spacing_mm=spacing),
        source=Geometry(shape=shape, affine=np.eye(4)),
        codes=None if codes is None else take_facts(codes, 4, seed=0)[0],
        modalities=("T1", "T2"),
        ignored=0 if codes is None else int((codes == IGNORED).sum()),
    )


def example() -> list[StoredCase]:
    first = np.zeros((10, 10, 10), np.uint8)
    first[1:3, 1:5, 1:7] = 1  # one piece of 48 voxels, 2×4×6
    first[9, 9, 9] = 2
    second = np.zeros((10, 10, 20), np.uint8)
    second[0:4, 0:2, 0:2] = 1  # one piece of 16 voxels, 4×2×2
    empty = np.zeros((10, 10, 30), np.uint8)
    return [
        stored("a1", (10, 10, 10), first),
        stored("a2", (10, 10, 20), second, spacing=(2, 1, 1)),
        stored("b1", (10, 10, 30), empty, spacing=(4, 1, 1)),
        stored("c1", (10, 10, 90), None),
    ]


def test_by_hand() -> None:
    assert take_fingerprint(example()) == Fingerprint(
        modalities=("T1", "T2"),
        cases=4,
        patients=3,
        labelled=3,
        shape=Range(low=(10, 10, 10), median=(10, 10, 25), high=(10, 10, 90)),
        spacing_mm=Range(low=(1, 1, 1), median=(1.5, 1, 1), high=(4, 1, 1)),
        codes=(
            CodeSummary(code=1, cases=2, whole=2, voxels=64, share=64 / 6000, extent=(3, 3, 4), smallest_component=16, median_component=32),
            CodeSummary(code=2, cases=1, whole=1, voxels=1, share=1 / 6000, extent=(1, 1, 1), smallest_component=1, median_component=1),
            CodeSummary(code=3, cases=0, whole=0, voxels=0, share=0, extent=None, smallest_component=None, median_component=None),
        ),
        foreground_share=65 / 6000,
        foreground_extent=(6.5, 5.5, 5.5),  # of 9×9×9 and 4×2×2
    )


def test_knows_labels_of_objects_and_what_older_files_do_not_say() -> None:
    assert take_fingerprint(example(), instances=True) == replace(take_fingerprint(example()), instances=True)
    kept = take_fingerprint(example()).to_json()
    del kept["instances"]
    assert Fingerprint.from_json(kept) == take_fingerprint(example())


def test_cases_in_pieces_are_not_whole() -> None:
    codes = np.zeros((4, 4, 4), np.uint8)
    codes[0, 0, 0] = codes[0, 0, 2] = 1
    codes[1:3] = 2
    summaries = take_fingerprint([stored("a1", (4, 4, 4), codes), stored("b1", (4, 4, 4), (codes == 2).astype(np.uint8) * 2)]).codes
    assert [(summary.cases, summary.whole) for summary in summaries] == [(1, 0), (2, 2), (0, 0)]


def test_shares_are_those_of_the_known_voxels() -> None:
    codes = np.full((10, 10, 10), IGNORED, np.uint8)
    codes[4, :5] = 0
    codes[4, 0, :5] = 1
    found = take_fingerprint([stored("a1", (10, 10, 10), codes), stored("b1", (2, 2, 2), np.full((2, 2, 2), IGNORED, np.uint8))])
    assert (found.codes[0].share, found.foreground_share) == (0.1, 0.1)
    assert found.foreground_extent == (1, 1, 5)
    assert take_fingerprint([stored("b1", (2, 2, 2), np.full((2, 2, 2), IGNORED, np.uint8))]).foreground_share == 0


def test_without_labels() -> None:
    fingerprint = take_fingerprint(example()[3:])
    assert fingerprint.labelled == 0
    assert fingerprint.codes == ()
    assert fingerprint.foreground_share == 0
    assert fingerprint.foreground_extent is None


@pytest.mark.parametrize("part", [slice(0, 4), slice(2, 3), slice(3, 4)])
def test_json_and_back(part: slice) -> None:
    fingerprint = take_fingerprint(example()[part])
    assert Fingerprint.from_json(json.loads(json.dumps(fingerprint.to_json(), allow_nan=False))) == fingerprint


def test_no_case_is_told() -> None:
    with pytest.raises(CrganError, match="at least one case"):
        take_fingerprint([])
