"""What tells one state of a case's files from another: a hash of their content, not of their names or dates."""

from __future__ import annotations

import hashlib
import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from crgan.cases.case import Case
from crgan.cases.files import image_parts
from crgan.cases.label_formats import label_parts
from crgan.errors import fail

_DETACHED_HEADERS = (".mhd", ".nhdr")


def content_key(case: Case, description: Any) -> str:
    """Name the result of preparing a case.

    Parameters
    ----------
    case
        Its image files and its label files, if any, are read.
    description
        Everything else that the result depends on, as plain JSON values.

    Returns
    -------
    str
        64 hexadecimal digits: equal exactly if the content of all files and the description are equal.

    Raises
    ------
    CrganError
        If a file cannot be read.
    """
    parts = {
        "images": [[digest for part in image_parts(path) for digest in _hashes(part)] for path in case.images],
        "label": None if case.label is None else [_hashes(part) for part in label_parts(case.label, case.label_format)],
        "label_format": case.label_format,
        "description": description,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, allow_nan=False).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """Give the SHA-256 of a file's content; it is read again in this process only if its size or date changed.

    Raises
    ------
    CrganError
        If the file cannot be read.
    """
    try:
        status = path.stat()
        return _hash_of_state(path, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise fail("The file could not be read.", where=path, got=error.strerror or str(error)) from error


@lru_cache(maxsize=100_000)
def _hash_of_state(path: Path, size: int, modified_ns: int) -> str:
    del size, modified_ns  # part of what is remembered
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hashes(path: Path) -> list[str]:
    return [file_hash(part) for part in (path, *_voxel_files(path))]


def _voxel_files(path: Path) -> list[Path]:
    """Find the files beside a detached header (``.mhd``, ``.nhdr``) that it names as holding the voxels."""
    if path.suffix.lower() not in _DETACHED_HEADERS:
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    # "ElementDataFile = a.raw", "data file: a.raw", or after "LIST" one name a line.
    names = (re.split(r"[=:]", line)[-1].strip() for line in text.splitlines())
    return [path.parent / name for name in names if name and (path.parent / name).is_file()]
