"""Downloading open data sets: fetched, held to a checksum, unpacked with suspicion, and moved into place when complete."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from crgan.cases.download.archives import unpack
from crgan.cases.download.catalogue import Entry, Licence, catalogue, find
from crgan.cases.download.transfer import fetch
from crgan.errors import fail
from crgan.files import sync_folder, write_json, writing
from crgan.progress import Progress, Silent

__all__ = ["Entry", "Licence", "catalogue", "download", "find"]

RECORD = "download.json"
"""What a downloaded data set holds beside its own files: where it came from, and the checksum of the archive."""


def download(entry: Entry, out: Path | str, *, accept_licence: bool, progress: Progress | None = None) -> Path:
    """Download a data set into a folder of its own.

    Until it is complete the archive lies in a hidden folder beside ``out``; the same call goes on with it after an interruption.

    Parameters
    ----------
    entry
        What to download.
    out
        Folder to make; its last part is made only once everything was unpacked.
    accept_licence
        Whether the licence was read and is accepted; nothing is fetched otherwise.
    progress
        Who is told how far it is.

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    CrganError
        If the licence is not accepted, ``out`` is there already, the archive cannot be fetched, has another checksum than the
        published one (it is then deleted), or is no archive that can be unpacked safely.
    """
    out, progress = Path(out), progress or Silent()
    if not accept_licence:
        raise fail(
            f"{entry.name} comes under a licence that has to be accepted first.",
            where=entry.licence.url,
            expected=entry.licence.terms,
            got=entry.licence.name,
            fix="read it; if you agree, give --accept-licence",
        )
    if out.exists():
        raise fail("The folder is there already.", where=out, fix="choose another one, or remove it first")
    work = out.with_name(f".{out.name}.download")
    archive = work / Path(urlsplit(entry.url).path).name
    if not archive.exists():
        fetch(entry.url, archive, progress=progress)
    digests = _digests(archive, progress)
    _require_published(entry, archive, digests)
    unpacked = work / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    unpack(archive, unpacked, progress=progress)
    record = {
        "name": entry.name,
        "url": entry.url,
        "home": entry.home,
        "licence": {"name": entry.licence.name, "url": entry.licence.url},
        "bytes": archive.stat().st_size,
        "sha256": digests["sha256"],
        "published_checksum": entry.checksum,
    }
    write_json(unpacked / RECORD, record)
    with writing(out):
        if hasattr(os, "sync"):  # one call for what may be tens of thousands of files
            os.sync()
        unpacked.replace(out)
        sync_folder(out.parent)
    shutil.rmtree(work, ignore_errors=True)
    if entry.checksum is None:
        progress.note(f"No checksum is published for {entry.name}; this one was recorded in {RECORD}: sha256 {digests['sha256']}")
    return out


def _digests(archive: Path, progress: Progress) -> dict[str, str]:
    """Checksums of the archive, both in one pass."""
    found = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}
    with archive.open("rb") as file, progress.task("checking, MB", -(-archive.stat().st_size // 1_000_000)) as task:
        done = 0
        while block := file.read(1 << 20):
            for digest in found.values():
                digest.update(block)
            task.advance((done + len(block)) // 1_000_000 - done // 1_000_000)
            done += len(block)
    return {name: digest.hexdigest() for name, digest in found.items()}


def _require_published(entry: Entry, archive: Path, digests: dict[str, str]) -> None:
    if entry.checksum is None:
        return
    kind, _, expected = entry.checksum.partition(":")
    if digests[kind] != expected:
        archive.unlink()
        raise fail(
            "The archive is not the one that was published; it was deleted.",
            where=entry.url,
            expected=entry.checksum,
            got=f"{kind}:{digests[kind]}",
            fix="run the command again; if it comes like this twice, ask its owners",
        )
