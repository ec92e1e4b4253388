"""Keys follow contents, not names or dates."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from crgan.cases.case import Case
from crgan.errors import CrganError
from crgan.preprocessing.contents import content_key, file_hash


@pytest.fixture
def case(tmp_path: Path) -> Case:
    for name in ("a", "b", "label"):
        (tmp_path / name).write_bytes(name.encode() * 1000)
    return Case(case_id="x", patient_id="x", images=(tmp_path / "a", tmp_path / "b"), label=tmp_path / "label")


def test_is_the_sha256_of_the_content(case: Case) -> None:
    assert file_hash(case.images[0]) == hashlib.sha256(b"a" * 1000).hexdigest()


def test_is_the_same_for_a_copy_elsewhere(case: Case, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    copies = tuple(tmp_path / "copy" / f"renamed-{path.name}" for path in case.images)
    for copy, path in zip(copies, case.images, strict=True):
        copy.write_bytes(path.read_bytes())
    assert content_key(replace(case, images=copies, case_id="y"), {"v": 1}) == content_key(case, {"v": 1})


def test_changes_with_everything_that_matters(case: Case) -> None:
    keys = {
        content_key(case, {"v": 1}),
        content_key(case, {"v": 2}),
        content_key(replace(case, label=None), {"v": 1}),
        content_key(replace(case, label=case.images[0]), {"v": 1}),
        content_key(replace(case, images=case.images[::-1]), {"v": 1}),
        content_key(replace(case, images=case.images[:1]), {"v": 1}),
    }
    assert len(keys) == 6


def test_notices_that_a_file_was_rewritten_at_the_same_size(case: Case) -> None:
    path = case.images[0]
    before = file_hash(path)
    path.write_bytes(b"c" * 1000)
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 1))
    assert file_hash(path) != before


@pytest.mark.parametrize(
    ("name", "line"), [("image.mhd", "ElementDataFile = voxels.raw"), ("image.nhdr", "data file: voxels.raw"), ("image.mhd", "voxels.raw")]
)
def test_voxels_beside_a_detached_header_count(tmp_path: Path, name: str, line: str) -> None:
    (tmp_path / name).write_text(f"ObjectType = Image\n\n{line}\n")
    (tmp_path / "voxels.raw").write_bytes(b"one")
    case = Case(case_id="x", patient_id="x", images=(tmp_path / name,))
    before = content_key(case, None)
    (tmp_path / "voxels.raw").write_bytes(b"other")
    assert content_key(case, None) != before


def test_the_order_of_settings_does_not_matter(case: Case) -> None:
    assert content_key(case, {"a": 1, "b": 2}) == content_key(case, {"b": 2, "a": 1})


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="could not be read") as caught:
        file_hash(tmp_path / "absent")
    assert caught.value.problems[0].where == tmp_path / "absent"
