"""Archives, honest and hostile."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from crgan.cases.download import archives
from crgan.cases.download.archives import unpack
from crgan.errors import CrganError
from crgan.progress import Silent

FILES = {"Task/dataset.json": b"{}", "Task/imagesTr/a.nii.gz": b"image", "Task/imagesTr/._a.nii.gz": b"mac", "__MACOSX/x": b"mac"}


def make_zip(path: Path, files: Mapping[str, bytes] = FILES) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def make_tar(
    path: Path, files: Mapping[str, bytes] = FILES, *, mode: str = "w", change: Callable[[tarfile.TarInfo], None] | None = None
) -> Path:
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if change is not None:
                change(info)
            archive.addfile(info, io.BytesIO(content))
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def out(archive: Path) -> Path:
    target = archive.parent / "out"
    unpack(archive, target, progress=Silent())
    return target


@pytest.mark.parametrize(
    "make",
    [make_zip, make_tar, lambda path: make_tar(path, mode="w:gz"), lambda path: make_tar(path, mode="w:xz")],
    ids=["zip", "tar", "gz", "xz"],
)
def test_the_content_of_a_single_folder_is_unpacked(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    assert tree(out(make(tmp_path / "a"))) == {"dataset.json": b"{}", "imagesTr/a.nii.gz": b"image"}


def test_several_folders_are_kept(tmp_path: Path) -> None:
    files = {"01/t000.tif": b"a", "01_GT/SEG/man_seg000.tif": b"b", "./readme": b"c"}
    assert tree(out(make_tar(tmp_path / "a.tar", files))) == {"01/t000.tif": b"a", "01_GT/SEG/man_seg000.tif": b"b", "readme": b"c"}


def test_a_single_file_is_kept(tmp_path: Path) -> None:
    assert tree(out(make_zip(tmp_path / "a.zip", {"scan.nii": b"a"}))) == {"scan.nii": b"a"}


def refused(archive: Path, why: str) -> None:
    before = set(archive.parent.rglob("*"))
    with pytest.raises(CrganError, match=why):
        out(archive)
    assert set(archive.parent.rglob("*")) == before, "nothing is left, nothing was written elsewhere"


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/../../evil", "a\\..\\evil", "C:evil", "a\nb", "x" * 300])
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_names_that_lead_elsewhere(tmp_path: Path, make: Callable[..., Path], name: str) -> None:
    refused(make(tmp_path / "a", {"good": b"a", name: b"evil"}), "It holds a name that leads elsewhere")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tar(tmp_path: Path, kind: bytes) -> None:
    def change(info: tarfile.TarInfo) -> None:
        info.type, info.linkname = kind, "/etc/passwd"

    refused(make_tar(tmp_path / "a.tar", {"evil": b""}, change=change), "neither a file nor a folder")


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR])
def test_links_and_devices_in_zip(tmp_path: Path, mode: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("evil")
        info.external_attr = (mode | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    refused(tmp_path / "a.zip", "neither a file nor a folder")


def test_a_sparse_file_in_tar(tmp_path: Path) -> None:
    def change(info: tarfile.TarInfo) -> None:
        info.pax_headers = {
            "GNU.sparse.major": "1",
            "GNU.sparse.minor": "0",
            "GNU.sparse.realsize": str(1 << 50),
            "GNU.sparse.name": "evil",
        }

    refused(make_tar(tmp_path / "a.tar", {"evil": b"0\n".ljust(512, b"\0")}, change=change), "a sparse file")


def test_encrypted_files(tmp_path: Path) -> None:
    content = bytearray(make_zip(tmp_path / "a.zip", {"evil": b"a"}).read_bytes())
    content[6] |= 1  # the flag in the file's own header …
    content[content.find(b"PK\1\2") + 8] |= 1  # … and in the directory
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", "encrypted")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("a", "A"), ("a/b", "a/./b")])
def test_two_files_of_one_name(tmp_path: Path, names: tuple[str, str]) -> None:
    refused(make_zip(tmp_path / "a.zip", dict.fromkeys(names, b"x")), "two files of one name")


@pytest.mark.parametrize("make", [make_zip, lambda path, files: make_tar(path, files, mode="w:gz")])
def test_bombs(tmp_path: Path, make: Callable[..., Path]) -> None:
    refused(make(tmp_path / "a", {"bomb": bytes(60_000_000)}), "It grows beyond reason")


def test_a_size_that_lies_is_found_out(tmp_path: Path) -> None:
    content = bytearray(make_zip(tmp_path / "a.zip", {"bomb": bytes(1_000_000)}).read_bytes())
    directory = content.find(b"PK\1\2")
    content[directory + 24 : directory + 28] = (10).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", "cannot be unpacked")


def test_what_is_written_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_require_reasonable", lambda *_: None)  # as if all sizes were lies
    refused(make_tar(tmp_path / "a.tgz", {"bomb": bytes(60_000_000)}, mode="w:gz"), "It grows beyond reason")


def test_too_many_files(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", {f"{n}": b"" for n in range(11)})
    with pytest.raises(CrganError, match="too many files"):
        unpack(archive, tmp_path / "out", progress=Silent(), most_files=10)


def test_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_zip(tmp_path / "a.zip")
    monkeypatch.setattr(archives.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1}))
    refused(archive, "not enough room to unpack")


def test_a_disk_that_fills_up_meanwhile_is_no_fault_of_the_archive(tmp_path: Path, largest_file) -> None:
    archive = make_zip(tmp_path / "a.zip", {"small": b"x", "large": bytes(200_000)})
    with largest_file(100_000):
        refused(archive, "could not be written[\\s\\S]*has room")
    unpack(archive, tmp_path / "out", progress=Silent())
    assert (tmp_path / "out" / "large").stat().st_size == 200_000


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\3\4" + bytes(50)])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    refused(tmp_path / "a", "cannot be unpacked")


@pytest.mark.parametrize("make", [make_zip, lambda path: make_tar(path, mode="w:gz")])
def test_a_damaged_archive_leaves_nothing(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    content = bytearray(make(tmp_path / "a").read_bytes())
    content[len(content) // 3] ^= 0xFF
    (tmp_path / "a").write_bytes(content[: len(content) * 2 // 3])
    refused(tmp_path / "a", "cannot be unpacked|refused")
