from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from crgan.cases.download import transfer
from crgan.cases.download.transfer import fetch
from crgan.errors import CrganError
from crgan.progress import Silent

CONTENT = np.random.default_rng(0).bytes(3_500_000)


def get(server, target: Path, progress=None) -> bytes:
    fetch(server.url, target, progress=progress or Silent(), pause_seconds=0.0)
    return target.read_bytes()


def test_a_file_arrives_whole_and_alone(server, tmp_path: Path) -> None:
    server.content = CONTENT
    assert get(server, tmp_path / "new" / "a.zip") == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.zip"]
    assert server.asked == [None]


def test_a_broken_connection_goes_on_where_it_stopped(server, tmp_path: Path) -> None:
    server.content, server.break_after = CONTENT, [1_200_000, 1_000_000]
    assert get(server, tmp_path / "a.zip") == CONTENT
    assert server.asked == [None, "bytes=1200000-", "bytes=2200000-"]


def test_another_call_goes_on_too(server, tmp_path: Path) -> None:
    server.content, server.break_after = CONTENT, [1_200_000] + [0] * transfer._ATTEMPTS
    with pytest.raises(CrganError, match=r"The download was interrupted.[\s\S]*1200000 of 3500000 bytes came[\s\S]*run the command again"):
        get(server, tmp_path / "a.zip")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip.part", "a.zip.part.json"]
    server.break_after, server.asked = [], []
    assert get(server, tmp_path / "a.zip") == CONTENT
    assert server.asked == ["bytes=1200000-"]


def test_a_file_that_changed_meanwhile_is_fetched_anew(server, tmp_path: Path) -> None:
    server.content, server.break_after = bytes(3_500_000), [1_000_000] + [0] * transfer._ATTEMPTS
    with pytest.raises(CrganError):
        get(server, tmp_path / "a.zip")
    server.content, server.etag, server.break_after = CONTENT, '"two"', []
    assert get(server, tmp_path / "a.zip") == CONTENT


@pytest.mark.parametrize("how", [{"ranges": False}, {"etag": None}, {"etag": 'W/"weak"'}])
def test_where_ranges_cannot_be_trusted_everything_is_fetched_again(server, tmp_path: Path, how: dict[str, object]) -> None:
    for name, value in how.items():
        setattr(server, name, value)
    server.content, server.break_after = CONTENT, [1_000_000]
    assert get(server, tmp_path / "a.zip") == CONTENT
    assert len(server.asked) == 2


def test_a_server_that_sends_another_range_is_not_believed(server, tmp_path: Path) -> None:
    server.content, server.break_after, server.wrong_range = CONTENT, [1_000_000], True
    with pytest.raises(CrganError, match="another range than was asked for"):
        get(server, tmp_path / "a.zip")


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server, tmp_path: Path) -> None:
    server.content = CONTENT[:1000]
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    (tmp_path / "a.zip.part.json").write_text('{"version": "\\"one\\""}')
    assert get(server, tmp_path / "a.zip") == CONTENT[:1000]
    assert server.asked == ["bytes=3500000-", None]


def test_a_length_that_is_not_told_is_taken_as_it_comes(server, tmp_path: Path) -> None:
    server.content, server.length = CONTENT, False
    assert get(server, tmp_path / "a.zip") == CONTENT


@pytest.mark.parametrize("status", [403, 404])
def test_a_refusal_is_final(server, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(CrganError, match=rf"The server refuses the file.[\s\S]*{status}"):
        get(server, tmp_path / "a.zip")
    assert len(server.asked) == 1


def test_a_server_in_trouble_is_asked_again(server, tmp_path: Path) -> None:
    server.status = 503
    with pytest.raises(CrganError, match=r"interrupted[\s\S]*503"):
        get(server, tmp_path / "a.zip")
    assert len(server.asked) == transfer._ATTEMPTS


def test_nobody_there(tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="Connection refused"):
        fetch("http://127.0.0.1:9/a.zip", tmp_path / "a.zip", progress=Silent(), pause_seconds=0.0)


@pytest.mark.parametrize("url", ["http://example.org/a.zip", "file:///etc/passwd", "ftp://example.org/a.zip", "a.zip"])
def test_only_https_is_fetched(tmp_path: Path, url: str) -> None:
    with pytest.raises(CrganError, match="This address is not fetched"):
        fetch(url, tmp_path / "a.zip", progress=Silent())


@pytest.mark.parametrize(
    ("url", "why"), [("http://example.org/a.zip", "This address is not fetched"), ("file:///etc/passwd", "The server refuses the file")]
)
def test_a_server_cannot_send_elsewhere(server, tmp_path: Path, url: str, why: str) -> None:
    server.redirect = url
    with pytest.raises(CrganError, match=why):
        get(server, tmp_path / "a.zip")
    assert not (tmp_path / "a.zip").exists()


def test_a_full_disk_is_told_before_it_is_full(server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server.content = CONTENT
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(CrganError, match="not enough room for the download"):
        get(server, tmp_path / "a.zip")


def test_a_disk_that_fills_up_meanwhile_is_told_at_once_and_gone_on_with(server, tmp_path: Path, largest_file) -> None:
    server.content = CONTENT
    with largest_file(1_200_000), pytest.raises(CrganError, match="could not be written") as caught:
        get(server, tmp_path / "a.zip")
    assert "has room" in str(caught.value)
    assert len(server.asked) == 1  # it is no broken connection, and nothing to wait for
    assert not (tmp_path / "a.zip").exists()
    assert get(server, tmp_path / "a.zip") == CONTENT
    assert server.asked[1:] == ["bytes=1200000-"]


def test_progress_counts_megabytes_from_where_it_goes_on(server, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    class Counting(Silent):
        @contextmanager
        def task(self, name: str, total: int):
            done = [0]
            try:
                yield type("Task", (), {"advance": lambda _, n=1, **__: done.__setitem__(0, done[0] + n)})()
            finally:
                told.append((total, done[0]))

    server.content, server.break_after = CONTENT, [1_200_000]
    get(server, tmp_path / "a.zip", Counting())
    assert told == [(4, 1), (4, 3)]  # 1 of 3.5 MB, then up to 3 full ones
