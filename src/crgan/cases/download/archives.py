"""Unpacking a foreign archive without trusting it.

Only plain files and folders are taken, and only under names that stay below the target. Links, devices, encrypted and sparse members,
names that occur twice, and archives that grow beyond reason are refused as a whole.
"""

from __future__ import annotations

import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from crgan.errors import CrganError, fail
from crgan.files import writing
from crgan.progress import Progress

_BLOCK = 1 << 20
_MOST_FILES = 1_000_000
_LARGEST_GROWTH = 200  # bytes from one of the archive; deflate reaches 1032, images of cells seldom 50
_ALWAYS_ALLOWED = 10_000_000
_LONGEST_NAME = 240
_FORBIDDEN = set('\\:*?"<>|') | {chr(code) for code in range(32)}  # what some system takes for something else
_REFUSED = "do not unpack it; get it again from its source, and tell its owners if it stays like this"


@dataclass(frozen=True, slots=True)
class _Member:
    """A file or folder of an archive: the parts of its name, and how to open it (None for a folder)."""

    name: tuple[str, ...]
    size: int
    open: Opener | None


class Opener:
    """Opens a member of an archive that is open itself."""

    def __init__(self, archive: tarfile.TarFile | zipfile.ZipFile, member: tarfile.TarInfo | zipfile.ZipInfo) -> None:
        self._archive, self._member = archive, member

    def __call__(self) -> IO[bytes]:
        """Give the content of the member."""
        if isinstance(self._archive, zipfile.ZipFile):
            assert isinstance(self._member, zipfile.ZipInfo)  # noqa: S101 - made together
            return self._archive.open(self._member)
        assert isinstance(self._member, tarfile.TarInfo)  # noqa: S101
        content = self._archive.extractfile(self._member)
        assert content is not None  # noqa: S101 - only files are opened
        return content


def unpack(archive: Path, target: Path, *, progress: Progress, most_files: int = _MOST_FILES) -> None:
    """Unpack a zip or tar archive (plain or compressed) into a folder that must not be there yet.

    What macOS adds (``__MACOSX``, ``._name``, ``.DS_Store``) is left out. If everything lies in a single folder, its content is
    unpacked, without that folder.

    Parameters
    ----------
    archive
        The file; what it is is told by its content.
    target
        Folder to make. Nothing is left of it if unpacking fails.
    progress
        Who is told how far it is, in files.
    most_files
        Limit on the number of files and folders.

    Raises
    ------
    CrganError
        If it is no archive, damaged, hostile, or the disk has not enough room.
    """
    try:
        members = list(_checked(archive, most_files))
        size = sum(member.size for member in members)
        _require_reasonable(archive, size)
        _require_room(target.parent, size)
        _write(archive, target, most_files, progress)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError, ValueError, RuntimeError) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise fail(
            "The archive cannot be unpacked.", where=archive, got=str(error) or type(error).__name__, fix="download it again"
        ) from error
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _write(archive: Path, target: Path, most_files: int, progress: Progress) -> None:
    """Write all members below the target, counting what they really hold."""
    members = list(_checked(archive, most_files))
    tops = {member.name[0] for member in members}
    single = len(tops) == 1 and all(len(member.name) > 1 or member.open is None for member in members)
    limit = max(_ALWAYS_ALLOWED, _LARGEST_GROWTH * archive.stat().st_size)
    with writing(target):
        target.mkdir(parents=True)
    written = 0
    with progress.task("unpacking", len(members)) as task:
        for member in _checked(archive, most_files):
            path = target.joinpath(*member.name[1 if single else 0 :])
            with writing(path):
                (path if member.open is None else path.parent).mkdir(parents=True, exist_ok=True)
            if member.open is not None:
                with member.open() as content, path.open("xb") as file:
                    while block := content.read(_BLOCK):
                        written += len(block)
                        if written > limit:
                            raise _hostile(archive, "It grows beyond reason.", f"more than {limit} bytes")
                        with writing(path):  # a full disk is no fault of the archive
                            file.write(block)
                            file.flush()
            task.advance()


def _checked(archive: Path, most_files: int) -> Iterator[_Member]:
    """The members worth having, one after the other; raises at the first that is not what it should be."""
    seen: set[str] = set()
    count = 0
    for name, size, kind, opener in _members(archive):
        count += 1
        if count > most_files:
            raise _hostile(archive, "It holds too many files.", f"more than {most_files}")
        parts = _safe_parts(archive, name)
        if not parts or "__MACOSX" in parts or parts[-1].startswith("._") or parts[-1] == ".DS_Store":
            continue
        if kind not in {"file", "folder"}:
            raise _hostile(archive, "It holds something that is neither a file nor a folder.", f"{name}: {kind}")
        key = "/".join(parts).casefold()
        if kind == "file" and key in seen:
            raise _hostile(archive, "It holds two files of one name.", name)
        seen.add(key)
        yield _Member(parts, size, opener if kind == "file" else None)


def _members(archive: Path) -> Iterator[tuple[str, int, str, Opener]]:
    """Name, size, kind and content of all members."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for info in opened.infolist():
                yield info.filename, info.file_size, _zip_kind(info), Opener(opened, info)
        return
    with tarfile.open(archive, "r:*") as opened_tar:
        for member in opened_tar:
            yield member.name, member.size, _tar_kind(member), Opener(opened_tar, member)


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if info.flag_bits & 1:
        return "encrypted"
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "a link" if stat.S_ISLNK(mode) else "a device"
    return "folder" if info.is_dir() else "file"


def _tar_kind(member: tarfile.TarInfo) -> str:
    if member.issparse():
        return "a sparse file"
    if member.isfile():
        return "file"
    if member.isdir():
        return "folder"
    return "a link" if member.issym() or member.islnk() else "a device"


def _safe_parts(archive: Path, name: str) -> tuple[str, ...]:
    """The parts of a name that stays below the target; none for the folder itself."""
    path = PurePosixPath(name)
    parts = tuple(part for part in path.parts if part != ".")
    unsafe = path.is_absolute() or ".." in parts or any(set(part) & _FORBIDDEN or len(part.encode()) > _LONGEST_NAME for part in parts)
    if unsafe:
        raise _hostile(archive, "It holds a name that leads elsewhere.", repr(name)[:200])
    return parts


def _require_reasonable(archive: Path, size: int) -> None:
    limit = max(_ALWAYS_ALLOWED, _LARGEST_GROWTH * archive.stat().st_size)
    if size > limit:
        raise _hostile(archive, "It grows beyond reason.", f"{size} bytes from {archive.stat().st_size}")


def _require_room(folder: Path, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if needed > free:
        got = f"{free / 1e9:.2f} GB"
        raise fail("The disk has not enough room to unpack.", where=folder, expected=f"{needed / 1e9:.2f} GB", got=got, fix="make room")


def _hostile(archive: Path, why: str, got: str) -> CrganError:
    return fail(f"The archive is refused. {why}", where=archive, got=got, fix=_REFUSED)
