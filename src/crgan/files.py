"""Writing files so that a crash, a full disk or Ctrl-C never leaves half of one."""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from crgan.errors import fail

# Some network file systems know no such thing as bringing a folder to the disk.
_NO_FOLDERS = {errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EBADF, errno.ENOSYS}


@contextmanager
def atomic_write(path: Path, *, suffix: str = "") -> Iterator[Path]:
    """Give a temporary path beside ``path`` that takes its place only once everything was written and is on the disk.

    Parameters
    ----------
    path
        The file to write; its folder is made if needed.
    suffix
        File name ending of the temporary file, for writers that choose a format by it (``".nii.gz"``).

    Raises
    ------
    CrganError
        If the folder cannot be written to or the disk is full; ``path`` is then as it was before.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part{suffix}")
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(path)
            sync_folder(path.parent)
    finally:
        with suppress(OSError):  # a folder that could not be made holds nothing to remove
            temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell whatever the system refuses in the block as a file that could not be written (``CrganError``)."""
    try:
        yield
    except OSError as error:
        raise fail(
            "The file could not be written.",
            where=path,
            got=error.strerror or str(error),
            fix="check that the folder may be written to and that the disk has room, then run the command again",
        ) from error


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk: a file that was moved there is found there after a power cut."""
    if os.name != "posix":  # elsewhere folders cannot be opened
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in _NO_FOLDERS:
            raise
    finally:
        os.close(opened)


def remove_unfinished(folder: Path) -> None:
    """Take away the unfinished files that a process left anywhere in a folder because it was killed while it wrote."""
    for path in folder.rglob(".*.part*"):
        with suppress(OSError):  # they do no harm
            path.unlink()


def write_json(path: Path, data: Any) -> None:
    """Write ``data`` as indented JSON, atomically; NaN and infinity are refused (``ValueError``)."""
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    CrganError
        If the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise fail("The file could not be read.", where=path, got=error.strerror or str(error)) from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:  # the last: nested beyond all measure
        raise fail("The file is not valid JSON.", where=path, got=str(error), fix="restore the file from its source") from error
