from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from crgan.arrays import forget_mapped, mapped, save_array, write_array
from crgan.errors import CrganError

ARRAY = np.arange(24, dtype=np.float16).reshape(2, 3, 4)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_array(tmp_path / "a.npy", ARRAY)
    return tmp_path / "a.npy"


@given(arrays(st.sampled_from([np.uint8, np.float16, np.float32, np.int32]), array_shapes(min_dims=0, min_side=1), elements={}))
def test_an_array_comes_back_as_it_was(tmp_path_factory, array: np.ndarray) -> None:
    path = tmp_path_factory.mktemp("arrays") / "a.npy"
    write_array(path, array)
    found = mapped(path)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.tobytes() == array.tobytes()


def test_other_programs_read_the_file_too(path: Path) -> None:
    np.testing.assert_array_equal(np.load(path, allow_pickle=False), ARRAY)


def test_it_cannot_be_written_to(path: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        mapped(path)[0, 0, 0] = 1


def test_any_single_flipped_bit_is_found_out_and_the_file_makes_way_for_a_new_one(path: Path) -> None:
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        with pytest.raises(CrganError, match="damaged on the disk") as caught:
            mapped(path)
        assert caught.value.problems[0].where == path
        assert "--resume" in str(caught.value)
        assert not path.exists()
    path.write_bytes(whole)
    np.testing.assert_array_equal(mapped(path), ARRAY)


@pytest.mark.parametrize("kept", [0, 4, 8, 100, 128, 150, -8, -1])
def test_a_file_cut_short_is_found_out(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CrganError, match="damaged"):
        mapped(path)


def test_damage_that_comes_later_is_found_out_when_it_is_mapped_again(path: Path) -> None:
    mapped(path)
    forget_mapped()
    path.write_bytes(path.read_bytes()[:-9] + b"xxxxxxxxx")
    with pytest.raises(CrganError, match="damaged"):
        mapped(path)


def test_a_file_is_read_as_a_whole_once(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mapped(path)
    forget_mapped()
    monkeypatch.setattr("zlib.crc32", lambda *_: pytest.fail("read again"))
    np.testing.assert_array_equal(mapped(path), ARRAY)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.EHOSTDOWN])
def test_a_network_folder_that_went_away_is_told(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def gone(*_: object, **__: object) -> None:
        raise OSError(number, "gone", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", gone)
        with pytest.raises(CrganError, match=r"could not be read[\s\S]*network folder"):
            mapped(path)
    np.testing.assert_array_equal(mapped(path), ARRAY)  # and is usable when it is back


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="No such file"):
        mapped(tmp_path / "a.npy")


def test_objects_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Object arrays"):
        write_array(tmp_path / "a.npy", np.array([{}], object))
    assert not list(tmp_path.iterdir())


def test_a_disk_that_fills_up_is_told_and_leaves_what_was_there(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(CrganError, match="No space left on device"):
            write_array(path, ARRAY + 1)
        with pytest.raises(OSError, match="No space"):
            save_array(path.with_name("b.npy"), ARRAY)
    np.testing.assert_array_equal(mapped(path), ARRAY)
