"""Arrays that may be larger than memory."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from crgan.errors import CrganError
from crgan.sweep import scratch
from crgan.sweep.scratch import scratch_zeros


def test_small_ones_are_in_memory() -> None:
    array = scratch_zeros((2, 3), np.float16)
    assert not isinstance(array, np.memmap)
    assert array.dtype == np.float16
    assert not array.any()


def test_large_ones_are_in_a_file_that_nobody_sees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "_MOST_BYTES_IN_MEMORY", 100)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    array = scratch_zeros((51,), np.float16)
    assert isinstance(array, np.memmap)
    assert not array.any()
    array[:] = np.arange(51)
    assert array.tolist() == list(range(51))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="room is reserved where the system can")
def test_a_full_disk_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(scratch, "_MOST_BYTES_IN_MEMORY", 100)
    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(CrganError, match=r"no room[\s\S]*No space left[\s\S]*TMPDIR"):
        scratch_zeros((60,), np.float16)
