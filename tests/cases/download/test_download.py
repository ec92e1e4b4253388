from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crgan.cases import download as module
from crgan.cases.download import Entry, catalogue, download, find
from crgan.cases.download.catalogue import Licence
from crgan.cli import app
from crgan.errors import CrganError
from crgan.progress import Silent

LICENCE = Licence(name="CC0", url="https://example.org/cc0", terms="None.")


def zipped(**files: bytes) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"set/{name}.txt", content)
    return buffer.getvalue()


@pytest.fixture
def entry(server) -> Entry:
    server.content = zipped(a=b"one", b=b"two")
    return Entry(name="Set", title="A set", home="https://example.org", url=server.url, licence=LICENCE)


def test_a_set_arrives_with_a_record_of_where_it_came_from(server, entry: Entry, tmp_path: Path) -> None:
    notes: list[str] = []

    class Noting(Silent):
        def note(self, text: str) -> None:
            notes.append(text)

    folder = download(entry, tmp_path / "data", accept_licence=True, progress=Noting())
    assert sorted(path.name for path in folder.iterdir()) == ["a.txt", "b.txt", "download.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    digest = hashlib.sha256(server.content).hexdigest()
    record = json.loads((folder / "download.json").read_text(encoding="utf-8"))
    assert record == {
        "name": "Set",
        "url": server.url,
        "home": "https://example.org",
        "licence": {"name": "CC0", "url": "https://example.org/cc0"},
        "bytes": len(server.content),
        "sha256": digest,
        "published_checksum": None,
    }
    assert notes == [f"No checksum is published for Set; this one was recorded in download.json: sha256 {digest}"]


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_a_published_checksum_is_held_to(server, entry: Entry, tmp_path: Path, kind: str) -> None:
    right = replace(entry, checksum=f"{kind}:{hashlib.new(kind, server.content).hexdigest()}")
    wrong = replace(entry, checksum=f"{kind}:{hashlib.new(kind, b'other').hexdigest()}")
    with pytest.raises(CrganError, match="not the one that was published; it was deleted"):
        download(wrong, tmp_path / "data", accept_licence=True)
    assert not list(tmp_path.rglob("*.zip"))
    assert not (tmp_path / "data").exists()
    assert (download(right, tmp_path / "data", accept_licence=True) / "a.txt").read_bytes() == b"one"


def test_nothing_is_fetched_before_the_licence_is_accepted(server, entry: Entry, tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="licence that has to be accepted first"):
        download(entry, tmp_path / "data", accept_licence=False)
    assert server.asked == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_left_alone(server, entry: Entry, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(CrganError, match="there already"):
        download(entry, tmp_path / "data", accept_licence=True)
    assert server.asked == []


def test_unpacking_that_was_interrupted_needs_no_new_download(
    server, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "unpack", interrupted)
        with pytest.raises(KeyboardInterrupt):
            download(entry, tmp_path / "data", accept_licence=True)
    assert not (tmp_path / "data").exists()
    download(entry, tmp_path / "data", accept_licence=True)
    assert len(server.asked) == 1


def test_the_catalogue_is_complete_and_safe() -> None:
    entries = catalogue()
    assert {"Task04_Hippocampus", "DSB-2018", "Fluo-C3DL-MDA231", "PhC-C2DH-U373"} <= set(entries)
    assert len([name for name in entries if name.startswith("Task")]) == 10
    for name, entry in entries.items():
        assert entry.url.startswith("https://")
        assert entry.name == name
        assert entry.licence.url.startswith("https://")
        assert entry.checksum is None or len(entry.checksum.partition(":")[2]) in {32, 64}
    assert find("task04_hippocampus").url == "https://msd-for-monai.s3-us-west-2.amazonaws.com/Task04_Hippocampus.tar"


def test_the_checksums_are_those_that_monai_publishes() -> None:
    from monai.apps import DecathlonDataset

    for name, url in DecathlonDataset.resource.items():
        assert (catalogue()[name].url, catalogue()[name].checksum) == (url, f"md5:{DecathlonDataset.md5[name]}")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(CrganError, match=r"no such data set[\s\S]*Task01_BrainTumour"):
        find("Task11")


class TestCommand:
    @pytest.fixture
    def crgan(self, monkeypatch: pytest.MonkeyPatch, entry: Entry, tmp_path: Path):
        monkeypatch.setenv("COLUMNS", "200")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(module, "find", lambda _: entry)
        return lambda *words: CliRunner().invoke(app, ["download", *map(str, words)])

    def test_the_catalogue_is_listed(self, crgan) -> None:
        result = crgan()
        assert result.exit_code == 0
        assert all(name in result.stdout for name in catalogue())

    def test_the_licence_is_shown_first(self, crgan, server) -> None:
        result = crgan("Set")
        assert result.exit_code == 2
        assert "Licence: CC0, https://example.org/cc0" in result.stdout
        assert "--accept-licence" in result.stderr
        assert server.asked == []

    def test_a_set_is_downloaded_under_its_own_name(self, crgan, tmp_path: Path) -> None:
        result = crgan("Set", "--accept-licence")
        assert result.exit_code == 0, result.output
        assert result.stdout.endswith("Set is in Set; `crgan check Set` looks at it\n")
        assert (tmp_path / "Set" / "b.txt").read_bytes() == b"two"
        assert crgan("Set", "--accept-licence", "--out", "elsewhere").exit_code == 0
        assert (tmp_path / "elsewhere" / "a.txt").exists()
