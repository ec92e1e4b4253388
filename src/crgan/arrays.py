"""Arrays on disk that are mapped into memory, each with a checksum that it is held to before it is used."""

from __future__ import annotations

import os
import struct
import zlib
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from crgan.errors import fail
from crgan.files import atomic_write

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Follows the last byte of the array, where readers of .npy files do not look: a mark, and CRC-32 of all that comes before.
_TRAILER = struct.Struct("<4sI")
_MARK = b"crc:"
_BLOCK = 1 << 20


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write an ``.npy`` file with a checksum, atomically (``CrganError`` if the system refuses it)."""
    with atomic_write(path, suffix=".npy") as temporary:
        save_array(temporary, array)


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write an ``.npy`` file with a checksum and bring it to the disk, under a name that nobody looks for yet.

    It is written and never mapped for writing: of a full disk a write tells, where a mapping would end the process.

    Raises
    ------
    OSError
        If the system refuses it; the file is then incomplete.
    """
    import numpy as np

    with path.open("wb") as file:
        summed = _Summed(file)
        np.save(summed, array, allow_pickle=False)
        file.write(_TRAILER.pack(_MARK, summed.checksum))
        file.flush()
        os.fsync(file.fileno())


# Bounded, because every mapped file keeps one of the process' few file descriptors.
@lru_cache(maxsize=256)
def mapped(path: Path) -> NDArray[Any]:
    """Map an array into memory, read-only; :func:`forget_mapped` after it was written again.

    The first time that a process maps a file it is read as a whole and held to its checksum. A damaged one is taken away, so
    that it is made anew.

    Raises
    ------
    CrganError
        If the file is missing, damaged or cannot be read.
    """
    import numpy as np

    try:
        status = path.stat()
        whole = _is_whole(path, status.st_size, status.st_mtime_ns)
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False) if whole else np.empty(0)
    except (OSError, ValueError, EOFError) as error:
        raise fail(
            "A prepared array could not be read.",
            where=path,
            got=getattr(error, "strerror", None) or str(error),
            fix="see that the disk or network folder is there, then run the command again, a training with --resume",
        ) from error
    if not whole:
        with suppress(OSError):
            path.unlink()
        raise fail(
            "A prepared array was damaged on the disk.",
            where=path,
            expected="what was written",
            got="another checksum; it was taken away",
            fix="run the command again, a training with --resume: it is made anew; if it happens again, have the disk tested",
        )
    return array


def forget_mapped() -> None:
    """Let go of mapped arrays, because files were replaced."""
    mapped.cache_clear()


@lru_cache(maxsize=100_000)
def _is_whole(path: Path, size: int, modified_ns: int) -> bool:
    """Whether the file ends with the checksum of all before it; read once for every state of the file."""
    del modified_ns  # part of what is remembered
    left, checksum = size - _TRAILER.size, 0
    if left < 0:
        return False
    with path.open("rb") as file:
        while left and (block := file.read(min(left, _BLOCK))):
            checksum = zlib.crc32(block, checksum)
            left -= len(block)
        return not left and file.read() == _TRAILER.pack(_MARK, checksum)


class _Summed:
    """A file that keeps the checksum of what is written to it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.checksum = 0

    def write(self, data: bytes) -> int:
        self.checksum = zlib.crc32(data, self.checksum)
        return self._file.write(data)
