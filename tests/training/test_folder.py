from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from crgan.config import Config, write_config
from crgan.errors import CrganError
from crgan.training.folder import open_folder, remove_run


def earlier_run(folder: Path, config: Config) -> Path:
    write_config(folder / "config.yaml", config)
    (folder / "data.json").write_text("{}", encoding="utf-8")
    (folder / "checkpoints" / "adversarial").mkdir(parents=True)
    (folder / "checkpoints" / "adversarial" / "last.safetensors").write_bytes(b"x")
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def run(tmp_path: Path, small_config: Callable[..., Config]) -> Path:
    return earlier_run(tmp_path / "run", small_config())


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_new_or_an_empty_folder_is_welcome(tmp_path: Path, resume: bool, overwrite: bool) -> None:
    assert open_folder(tmp_path / "new", resume=resume, overwrite=overwrite) is None
    assert not (tmp_path / "new").exists()
    assert open_folder(tmp_path, resume=resume, overwrite=overwrite) is None
    (tmp_path / ".DS_Store").touch()
    assert open_folder(tmp_path, resume=resume, overwrite=overwrite) is None


def test_an_earlier_run_is_refused_unless_one_says_what_to_do_with_it(run: Path, small_config: Callable[..., Config]) -> None:
    with pytest.raises(CrganError, match=r"already holds something[\s\S]*--resume[\s\S]*--overwrite"):
        open_folder(run, resume=False, overwrite=False)
    assert open_folder(run, resume=True, overwrite=False) == small_config()
    before = content(run)
    assert open_folder(run, resume=False, overwrite=True) is None
    assert content(run) == before  # what is there goes only when the new run begins


@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_that_is_no_run_is_neither_gone_on_with_nor_overwritten(tmp_path: Path, resume: bool) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(CrganError, match="is not a run"):
        open_folder(tmp_path, resume=resume, overwrite=not resume)
    with pytest.raises(CrganError, match="already holds something"):
        open_folder(tmp_path, resume=False, overwrite=False)


@pytest.mark.parametrize(("resume", "overwrite"), [(False, False), (True, False), (False, True)])
def test_a_file_is_no_folder(tmp_path: Path, resume: bool, overwrite: bool) -> None:
    (tmp_path / "run").touch()
    with pytest.raises(CrganError):
        open_folder(tmp_path / "run", resume=resume, overwrite=overwrite)


def test_a_run_that_was_killed_before_its_settings_were_written_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "data.json").touch()
    assert open_folder(tmp_path, resume=True, overwrite=False) is None
    with pytest.raises(CrganError):
        open_folder(tmp_path, resume=False, overwrite=False)


def test_what_a_killed_process_had_not_finished_is_taken_away(run: Path) -> None:
    before = content(run)
    for name in (".metrics.csv.7.ab.part", "checkpoints/probabilities/.p1.npy.7.ab.part.npy"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).touch()
    open_folder(run, resume=True, overwrite=False)
    assert content(run) == before


def test_damaged_settings_are_told(run: Path) -> None:
    (run / "config.yaml").write_text("steps: [", encoding="utf-8")
    with pytest.raises(CrganError, match=r"config\.yaml"):
        open_folder(run, resume=True, overwrite=False)


def test_of_several_processes_only_the_first_asks(run: Path) -> None:
    """It has settled it, and may have begun to write."""
    assert open_folder(run, resume=False, overwrite=False, first=False) is None
    unfinished = run / ".metrics.csv.7.ab.part"
    unfinished.touch()
    assert open_folder(run, resume=True, overwrite=False, first=False) is not None
    assert unfinished.exists()


def test_a_run_is_removed_and_nothing_else(run: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "data.txt").touch()
    (run / "link").symlink_to(tmp_path / "precious")
    remove_run(run)
    assert list(run.iterdir()) == []
    assert (tmp_path / "precious" / "data.txt").exists()
    remove_run(tmp_path / "never there")


def test_a_removal_that_was_cut_short_can_be_done_again(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "rmtree", stop)
    with pytest.raises(CrganError, match="Permission denied"):
        remove_run(run)
    monkeypatch.undo()
    assert open_folder(run, resume=False, overwrite=True) is None  # still a run
    remove_run(run)
    assert list(run.iterdir()) == []
