from __future__ import annotations

import ast
import errno
import os
import re
import stat
from collections.abc import Iterator
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


def test_a_write_that_stops_in_the_middle_leaves_what_was_there(tmp_path: Path, largest_file) -> None:
    write_json(tmp_path / "a.json", "before")
    with largest_file(1000), pytest.raises(CrganError, match="File too large"):
        write_json(tmp_path / "a.json", "x" * 5000)
    assert read_json(tmp_path / "a.json") == "before"
    assert len(list(tmp_path.iterdir())) == 1


def test_the_name_reaches_the_disk_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (synced.append(stat.S_ISDIR(os.fstat(number).st_mode)), fsync(number)))
    write_json(tmp_path / "a.json", {})
    assert synced == [False, True]


@pytest.mark.parametrize(("number", "told"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_folders_of_file_systems_that_cannot_bring_them_to_the_disk(tmp_path: Path, monkeypatch, number: int, told: bool) -> None:
    def refuse(opened: int) -> None:
        if stat.S_ISDIR(os.fstat(opened).st_mode):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    if told:
        with pytest.raises(CrganError, match="Input/output error"):
            write_json(tmp_path / "a.json", {})
    else:
        write_json(tmp_path / "a.json", {})
    assert read_json(tmp_path / "a.json") == {}  # it is whole either way


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


# Calls that write a file, by the last part of their name; `save` is NumPy's, Pillow's and nibabel's, and the model's own.
WRITERS = {"write_text", "write_bytes", "imwrite", "savefig", "save_as", "save", "savez", "save_file", "tofile", "to_csv", "to_stream"}
WRITERS |= {"to_filename", "WriteImage", "writestr", "dump", "mkstemp", "NamedTemporaryFile", "copyfile", "copytree"}
# Where that happens outside of `atomic_write`, and why it may.
ELSEWHERE = {
    ("files.py", "atomic_write"): "the place itself",
    ("training/run.py", "_train"): "the model's own, which writes atomically",
    ("executors.py", "_noted"): "a note in a temporary folder, for this run alone",
    ("arrays.py", "save_array"): "given a name that nobody looks for yet",
    ("cases/formats/itk.py", "write"): "given the temporary file of cases/files.py",
    ("cases/formats/nifti.py", "write"): "given the temporary file of cases/files.py",
    ("cases/formats/pictures.py", "write"): "given the temporary file of cases/files.py",
    ("cases/download/archives.py", "_write"): "into a folder that gets its name when complete",
    ("cases/download/transfer.py", "_go_on"): "a part, kept to go on with, that gets the file's name when complete",
    ("report/svg.py", "svg"): "into memory",
}


def bare_writes(source: str) -> Iterator[tuple[str, str]]:
    """Every call that writes a file outside of a block of ``atomic_write``, and the function it stands in; not what goes into memory."""
    tree = ast.parse(source)
    bound = [(node.targets[0], node.value) for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    memory = {ast.unparse(target) for target, value in bound if ast.unparse(value).endswith("BytesIO()")}

    def visit(node: ast.AST, function: str) -> Iterator[tuple[str, str]]:
        if isinstance(node, ast.With) and any("atomic_write(" in ast.unparse(item.context_expr) for item in node.items):
            return
        if isinstance(node, ast.FunctionDef):
            function = node.name
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            words = [str(part.value) for part in ast.walk(node) if isinstance(part, ast.Constant)]
            opens = name.split(".")[-1] in {"open", "fdopen"} and any(re.fullmatch("(?=.*[wax+])[rwaxbt+]{1,3}", word) for word in words)
            if node.args and ast.unparse(node.args[0]) in memory:
                return
            if opens or name == "writer.SetFileName" or ("." in name and name.split(".")[-1] in WRITERS):
                yield function, ast.unparse(node)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, function)

    return visit(tree, "")


@pytest.mark.parametrize(
    "call", ["path.write_text(text)", "path.open('w')", "open(path, mode='ab')", "np.save(path, array)", "canvas.savefig(path)"]
)
def test_a_bare_write_is_noticed_and_one_inside_is_not(call: str) -> None:
    assert list(bare_writes(f"def f():\n    {call}"))
    assert not list(bare_writes(f"def f():\n    with atomic_write(path) as path:\n        {call}"))


def test_every_file_is_written_atomically(repository: Path) -> None:
    source = repository / "src" / "crgan"
    found = {
        (str(path.relative_to(source)), function): call
        for path in source.rglob("*.py")
        for function, call in bare_writes(path.read_text(encoding="utf-8"))
    }
    assert {place: call for place, call in found.items() if place not in ELSEWHERE} == {}
    assert set(ELSEWHERE) <= set(found)
