"""Fetching one large file over HTTP, so that an interruption costs nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import time
from contextlib import suppress
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from crgan.errors import fail
from crgan.files import sync_folder, write_json, writing
from crgan.progress import Progress

_BLOCK = 1 << 20
_MEGABYTE = 1_000_000
_ATTEMPTS = 6  # in a row without a single byte
_PAUSE_SECONDS = 1.0  # before the second attempt; doubled each time
_TIMEOUT_SECONDS = 60.0
_NOT_AGAIN = {301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 451}  # answers that will not change by asking again
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def fetch(url: str, target: Path, *, progress: Progress, pause_seconds: float = _PAUSE_SECONDS) -> None:
    """Download a file; what an earlier call left of it is gone on with.

    The bytes lie in ``target`` with ``.part`` appended until all are there. Beside it a ``.json`` file says which version of the file
    they are of (ETag or date), so that halves of two versions are never put together. A server that cannot send ranges is asked
    for everything again.

    Parameters
    ----------
    url
        https; http is for this machine alone.
    target
        Where to.
    progress
        Who is told how far it is, in megabytes.
    pause_seconds
        How long to wait before asking again after a broken connection, doubled each time.

    Raises
    ------
    CrganError
        If the server refuses, cannot be reached or breaks off again and again, the folder cannot be written to, or the disk has not
        enough room.
    """
    _require_safe(url)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            _go_on(url, part, progress)
        except (OSError, HTTPException) as error:
            got = _reason(error)
            if isinstance(error, HTTPError) and error.code in _NOT_AGAIN:
                raise fail(
                    "The server refuses the file.", where=url, got=got, fix="see whether it was moved: look at its home page"
                ) from error
            after = part.stat().st_size if part.exists() else 0
            failures = 0 if after > before else failures + 1
            if failures >= _ATTEMPTS:
                fix = "check the connection, then run the command again: it goes on where it stopped"
                raise fail("The download was interrupted.", where=url, got=got, fix=fix) from error
            time.sleep(min(pause_seconds * 2**failures, 60.0))
            continue
        break
    with writing(target):
        part.replace(target)
        sync_folder(target.parent)
        _note(part).unlink(missing_ok=True)


def _go_on(url: str, part: Path, progress: Progress) -> None:
    """Ask for what is missing of a file and append it; raises OSError or HTTPException where the connection breaks."""
    have = part.stat().st_size if part.exists() else 0
    version = _version(part) if have else None
    headers = {"User-Agent": "crgan", "Accept-Encoding": "identity"}
    if have and version is not None:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    try:
        response = build_opener(_SafeRedirects).open(Request(url, headers=headers), timeout=_TIMEOUT_SECONDS)  # noqa: S310 - checked
    except HTTPError as error:
        if error.code == 416 and have:  # more than there is, or all of it already: begin anew rather than guess
            part.unlink()
        raise
    with response:
        start, total = _extent(response, have)
        new = response.headers.get("ETag") or response.headers.get("Last-Modified")
        if new is not None and not new.startswith("W/"):
            write_json(_note(part), {"url": url, "version": new})
        _require_room(part, (total or 0) - start)
        with (
            part.open("r+b" if start else "wb") as file,
            progress.task("downloading, MB", -(-(total or 0) // _MEGABYTE)) as task,
        ):
            file.seek(start)
            file.truncate()
            done = start
            task.advance(done // _MEGABYTE)
            while block := response.read(_BLOCK):
                with writing(part):  # a full disk is no broken connection, and waiting does not help
                    file.write(block)
                    file.flush()
                task.advance((done + len(block)) // _MEGABYTE - done // _MEGABYTE)
                done += len(block)
            with writing(part):
                os.fsync(file.fileno())
    if total is not None and done < total:
        raise ConnectionResetError(f"{done} of {total} bytes came")  # HTTPResponse.read tells no one


def _extent(response: HTTPResponse, have: int) -> tuple[int, int | None]:
    """Where the bytes that follow begin in the file, and how long it is."""
    if response.status == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if match is None or int(match[1]) != have:
            raise HTTPException(f"the server sent another range than was asked for: {response.headers.get('Content-Range')}")
        return have, None if match[2] == "*" else int(match[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _version(part: Path) -> str | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(_note(part).read_text(encoding="utf-8"))["version"])
    return None


def _note(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _require_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise fail(
            "The disk has not enough room for the download.",
            where=part.parent,
            expected=f"{needed / 1e9:.2f} GB, and as much again to unpack it",
            got=f"{free / 1e9:.2f} GB",
            fix="make room, or choose another folder",
        )


def _require_safe(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise fail("This address is not fetched.", where=url, expected="https", got=parts.scheme or "nothing", fix="give an https address")


class _SafeRedirects(HTTPRedirectHandler):
    """Follows the server to other https addresses only."""

    def redirect_request(self, req: Request, fp: object, code: int, msg: str, headers: object, newurl: str) -> Request | None:
        _require_safe(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"{error.code} {error.reason}"
    if isinstance(error, URLError):
        return str(error.reason)
    return "no answer in time" if isinstance(error, socket.timeout) else str(error) or type(error).__name__
