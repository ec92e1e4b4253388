from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crgan.errors import CrganError
from crgan.files import atomic_write, read_json, write_json

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_a_file_appears_as_a_whole_in_a_folder_that_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.txt"
    with atomic_write(path, suffix=".txt") as temporary:
        assert temporary.parent == path.parent  # the same disk, so that moving is one step
        assert temporary.name.endswith(".txt")
        temporary.write_text("half")
        assert not path.exists()
        temporary.write_text("whole")
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device")])
def test_what_was_there_stays_if_writing_breaks_off(tmp_path: Path, error) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    expected = CrganError if isinstance(error, OSError) else error
    with pytest.raises(expected) as caught, atomic_write(path) as temporary:  # noqa: PT012 - both are raised inside
        temporary.write_text("half")
        raise error
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    if isinstance(error, OSError):
        assert caught.value.problems[0].got == "No space left on device"
        assert caught.value.problems[0].where == path


def test_two_writers_do_not_disturb_each_other(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with atomic_write(path) as first, atomic_write(path) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"  # the outer block ends last
    assert list(tmp_path.iterdir()) == [path]


def test_the_content_reaches_the_disk_before_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: (steps.append("fsync"), fsync(file)))
    monkeypatch.setattr(Path, "replace", lambda self, target: (steps.append("replace"), replace(self, target))[1])
    with atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("x")
    assert steps[:2] == ["fsync", "replace"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CrganError, match="could not be written") as caught, atomic_write(tmp_path / "file" / "a.txt"):
        pytest.fail("there is nowhere to write to")
    assert caught.value.problems[0].where == tmp_path / "file" / "a.txt"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_folder_that_may_not_be_written_to_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        with pytest.raises(CrganError, match="Permission denied"), atomic_write(tmp_path / "a.txt") as temporary:
            temporary.write_text("x")
    finally:
        tmp_path.chmod(stat.S_IRWXU)


@given(JSON)
def test_json_comes_back_as_it_was(tmp_path_factory, data: object) -> None:
    path = tmp_path_factory.mktemp("json") / "a.json"
    write_json(path, data)
    assert read_json(path) == data


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_json_does_not_know_are_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"dice": [value]})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("content", "words"), [(None, "could not be read"), (b"{", "not valid JSON"), (b"\xff\xfe\x00", "not valid JSON")])
def test_what_is_no_json_file_is_told(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CrganError, match=words) as caught:
        read_json(path)
    assert caught.value.problems[0].where == path
