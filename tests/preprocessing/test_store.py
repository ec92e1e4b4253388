"""The store: what it keeps, what it makes again, and that interruption leaves nothing half-made."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crgan.cases.case import Dataset
from crgan.cases.labels import LabelScheme
from crgan.errors import CrganError
from crgan.preprocessing import store
from crgan.preprocessing.pipeline import Pipeline
from crgan.preprocessing.settings import PreprocessingSettings
from crgan.preprocessing.store import prepare
from crgan.preprocessing.stored import StoredCase, open_stored

MakeDataset = Callable[..., Dataset]
WriteNifti = Callable[[Path, np.ndarray, tuple[float, float, float]], Path]


class Counted:
    """Progress that remembers what it was told."""

    def __init__(self) -> None:
        self.total = self.done = 0

    @contextmanager
    def task(self, _name: str, total: int) -> Iterator[Counted]:
        self.total = total
        yield self

    def advance(self, n: int = 1, **_figures: float) -> None:
        self.done += n

    def note(self, text: str) -> None:
        raise AssertionError(text)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "prepared"


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of the cases that were really prepared, in order."""
    ids: list[str] = []
    write = store._write

    def counting(case: Any, *args: Any, **kwargs: Any) -> None:
        ids.append(case.case_id)
        write(case, *args, **kwargs)

    monkeypatch.setattr(store, "_write", counting)
    return ids


def run(dataset: Dataset, cache: Path, *, workers: int = 2, **settings: Any) -> tuple[StoredCase, ...]:
    pipeline = Pipeline.fit(dataset.cases, dataset, settings=PreprocessingSettings(**settings))
    return prepare(dataset.cases, dataset, pipeline, cache=cache, workers=workers)


def test_keeps_what_the_pipeline_gives(make_dataset: MakeDataset, cache: Path) -> None:
    dataset = make_dataset(3)
    stored = run(dataset, cache)
    assert [case.case_id for case in stored] == [case.patient_id for case in stored] == ["p0", "p1", "p2"]
    for number, case in enumerate(stored):
        assert case.shape == (10, 12, 14)
        assert case.spacing_mm == (1, 1, 1)
        assert case.modalities == ("T1", "FLAIR")
        assert case.image.shape == (2, 10, 12, 14)
        assert case.image.dtype == np.float16
        assert isinstance(case.image, np.memmap)
        assert case.image[:, 2:8, 2:10, 2:12].astype(np.float32).mean() == pytest.approx(0, abs=1e-3)
        assert case.label is not None
        assert case.label.dtype == np.uint8
        expected = np.zeros((10, 12, 14), np.uint8)
        expected[3:7, 4:8, 4:9] = 1
        expected[4:6, 5:7, 5 : 7 + number % 2] = 2  # value 4 is code 2
        np.testing.assert_array_equal(case.label, expected)
        assert case.voxels(1) == (expected == 1).sum()
        assert case.voxels(2) == (expected == 2).sum()
        for code in (1, 2):
            np.testing.assert_array_equal(case.coordinates(code), np.argwhere(expected == code))
        assert case.codes is not None
        assert case.codes[1].box == ((4, 6), (5, 7), (5, 7 + number % 2))
        assert case.source.shape == (20, 16, 12)
        np.testing.assert_array_equal(case.source.affine, np.eye(4))
        restored = Pipeline.restore(case.image, case.geometry)
        assert restored.shape == (2, 12, 16, 20)


def test_arrays_cannot_be_written_to(make_dataset: MakeDataset, cache: Path) -> None:
    (case,) = run(make_dataset(1), cache)
    with pytest.raises(ValueError, match="read-only"):
        case.image[0, 0, 0, 0] = 1


def test_cases_without_a_label(make_dataset: MakeDataset, cache: Path) -> None:
    (case,) = run(make_dataset(1, labelled=False), cache)
    assert case.label is None
    assert case.codes is None
    assert case.voxels(1) == 0
    assert case.coordinates(1).shape == (0, 3)


def test_a_second_time_nothing_is_made(make_dataset: MakeDataset, cache: Path, made: list[str]) -> None:
    dataset = make_dataset(3)
    first = run(dataset, cache)
    assert sorted(made) == ["p0", "p1", "p2"]
    second = run(dataset, cache)
    assert len(made) == 3
    assert [case.folder for case in first] == [case.folder for case in second]
    assert [case.codes for case in first] == [case.codes for case in second]
    assert [case.geometry for case in first] == [case.geometry for case in second]


def test_only_what_changed_is_made_again(make_dataset: MakeDataset, cache: Path, made: list[str], write_nifti: WriteNifti) -> None:
    dataset = make_dataset(3)
    run(dataset, cache)
    made.clear()
    write_nifti(dataset.cases[1].images[0], np.random.default_rng(9).random((12, 16, 20)).astype(np.float32), (1, 1, 1))
    run(dataset, cache)
    assert made == ["p1"]


@pytest.mark.parametrize("what", ["settings", "labels"])
def test_other_settings_or_labels_are_another_preparation(make_dataset: MakeDataset, cache: Path, made: list[str], what: str) -> None:
    dataset = make_dataset(1)
    (before,) = run(dataset, cache)
    if what == "settings":
        (after,) = run(dataset, cache, crop_to_foreground=False)
    else:
        (after,) = run(replace(dataset, labels=LabelScheme(classes={4: "enhancing"})), cache)
    assert len(made) == 2
    assert before.folder != after.folder
    assert before.folder.is_dir()


@pytest.mark.parametrize("workers", [1, 3])
def test_the_same_bytes_whatever_the_number_of_workers(make_dataset: MakeDataset, cache: Path, workers: int) -> None:
    dataset = make_dataset(3)
    for one, other in zip(run(dataset, cache, workers=2), run(dataset, cache / "again", workers=workers), strict=True):
        for name in ("image.npy", "label.npy", "coordinates.npy", "case.json"):
            assert (one.folder / name).read_bytes() == (other.folder / name).read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "image.npy").write_bytes(b"short"),
        lambda folder: (folder / "label.npy").unlink(),
        lambda folder: (folder / "coordinates.npy").unlink(),
        lambda folder: (folder / "case.json").unlink(),
        lambda folder: (folder / "case.json").write_text("{"),
        lambda folder: (folder / "case.json").write_text("[]"),
        lambda folder: (folder / "case.json").write_text(json.dumps({"version": 0})),
        lambda folder: (folder / "case.json").write_text(json.dumps({"version": 1, "bytes": {}})),
        lambda folder: (shutil.rmtree(folder), folder.write_text("a file")),
    ],
)
def test_a_damaged_case_is_made_again(make_dataset: MakeDataset, cache: Path, made: list[str], damage: Callable[[Path], object]) -> None:
    dataset = make_dataset(2)
    first = run(dataset, cache)
    expected = np.array(first[1].image)
    made.clear()
    damage(first[1].folder)
    second = run(dataset, cache)
    assert made == ["p1"]
    np.testing.assert_array_equal(second[1].image, expected)
    assert sorted(path.name for path in cache.iterdir()) == sorted(case.folder.name for case in first)


@pytest.mark.parametrize("moment", ["image", "label", "coordinates", "description", "rename"])
@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), OSError(28, "No space left on device"), MemoryError()])
def test_interruption_leaves_nothing_half_made(
    make_dataset: MakeDataset, cache: Path, monkeypatch: pytest.MonkeyPatch, moment: str, interruption: BaseException
) -> None:
    dataset = make_dataset(1)

    def broken(*args: Any, **kwargs: Any) -> None:
        raise interruption

    with monkeypatch.context() as patch:
        if moment in ("image", "label", "coordinates"):
            save = store.save_array
            patch.setattr(store, "save_array", lambda path, array: broken() if path.stem == moment else save(path, array))
        else:
            patch.setattr(store, {"description": "write_json", "rename": "_publish"}[moment], broken)
        expected = KeyboardInterrupt if isinstance(interruption, KeyboardInterrupt) else CrganError
        with pytest.raises(expected) as caught:
            run(dataset, cache)
        if isinstance(interruption, OSError):
            assert "No space left on device" in str(caught.value)
        if isinstance(interruption, MemoryError):
            assert "fewer workers" in str(caught.value)
    assert list(cache.iterdir()) == []
    assert run(dataset, cache)[0].label is not None


def test_a_broken_image_stops_the_work_with_its_name(make_dataset: MakeDataset, cache: Path, write_nifti: WriteNifti) -> None:
    dataset = make_dataset(3)
    pipeline = Pipeline.fit(dataset.cases, dataset)
    image = np.zeros((12, 16, 20), np.float32)
    image[1, 2, 3] = np.nan
    path = write_nifti(dataset.cases[1].images[0], image, (1, 1, 1))
    with pytest.raises(CrganError, match="NaN") as caught:
        prepare(dataset.cases, dataset, pipeline, cache=cache, workers=2)
    assert path.parent.name in str(caught.value)


def test_two_runs_may_prepare_the_same_cases_at_once(make_dataset: MakeDataset, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make_dataset(2)
    both = threading.Barrier(2)
    publish = store._publish

    def together(part: Path, folder: Path) -> None:
        both.wait(timeout=30)
        publish(part, folder)

    monkeypatch.setattr(store, "_publish", together)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: run(dataset, cache, workers=1), range(2))
    assert [case.folder for case in first] == [case.folder for case in second]
    assert sorted(path.name for path in cache.iterdir()) == sorted(case.folder.name for case in first)
    np.testing.assert_array_equal(first[0].image, second[0].image)


def test_whoever_renames_second_gives_way(make_dataset: MakeDataset, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the last moment before this run gives its folder the name, another does: what that one reads has to stay."""
    (case,) = run(make_dataset(1), cache)
    mine, theirs = cache / ".mine.part", cache / ".theirs.part"
    shutil.copytree(case.folder, mine)
    case.folder.rename(theirs)
    number = theirs.stat().st_ino
    rename = Path.rename

    def behind_another(path: Path, target: Path) -> Path:
        if theirs.exists():
            rename(theirs, case.folder)
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", behind_another)
    store._publish(mine, case.folder)
    assert case.folder.stat().st_ino == number
    assert open_stored(case.folder, case_id="", patient_id="") is not None


def test_what_can_be_neither_used_nor_moved_is_told(make_dataset: MakeDataset, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = run(make_dataset(1), cache)
    part = cache / ".mine.part"
    shutil.copytree(case.folder, part)
    (case.folder / "case.json").write_text("{}")
    rename = Path.rename

    def nothing_to_move_aside(path: Path, target: Path) -> Path:
        if path == case.folder:
            raise FileNotFoundError
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", nothing_to_move_aside)
    with pytest.raises(OSError, match="not empty"):
        store._publish(part, case.folder)
    assert part.is_dir()


def test_cases_of_equal_content_share_a_folder_but_not_a_name(make_dataset: MakeDataset, cache: Path, made: list[str]) -> None:
    dataset = make_dataset(1)
    twin = replace(dataset.cases[0], case_id="twin", patient_id="other")
    first, second = run(replace(dataset, cases=(dataset.cases[0], twin)), cache, workers=1)
    assert made == ["p0"]
    assert first.folder == second.folder
    assert (second.case_id, second.patient_id) == ("twin", "other")


SCRIPT = """
import signal
import sys
from pathlib import Path
from crgan.cases.case import Case, Dataset
from crgan.cases.labels import LabelScheme
from crgan.preprocessing.pipeline import Pipeline
from crgan.preprocessing.store import prepare

signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell begin with it ignored
root, cache = Path(sys.argv[1]), Path(sys.argv[2])
cases = tuple(
    Case(case_id=name, patient_id=name, images=(root / name / f"{name}_T1.nii.gz",), label=root / name / f"{name}_seg.nii.gz")
    for name in sorted(path.name for path in root.iterdir())
)
dataset = Dataset(root=root, layout="test", cases=cases, modalities=("T1",), labels=LabelScheme(classes={1: "oedema", 4: "enhancing"}))
prepare(cases, dataset, Pipeline.fit(cases, dataset), cache=cache, workers=2)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=lambda how: how.name)
def test_a_killed_run_is_gone_on_with(make_dataset: MakeDataset, cache: Path, made: list[str], how: signal.Signals) -> None:
    count = 40
    dataset = make_dataset(count, modalities=("T1",), shape=(24, 48, 48))
    with subprocess.Popen([sys.executable, "-c", SCRIPT, dataset.root, cache], stderr=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < deadline and len(list(cache.glob("[0-9a-f]*"))) < 5:
            time.sleep(0.002)
        process.send_signal(how)
        process.communicate(timeout=30)
    assert process.returncode != 0
    kept = len(list(cache.glob("[0-9a-f]*")))
    assert 5 <= kept < count
    if how == signal.SIGINT:
        assert not list(cache.glob(".*"))
    again = run(dataset, cache)
    assert len(made) == count - kept
    fresh = run(dataset, cache.with_name("fresh"))
    for one, other in zip(again, fresh, strict=True):
        assert (one.folder / "image.npy").read_bytes() == (other.folder / "image.npy").read_bytes()


def test_what_killed_runs_left_is_taken_away_after_a_day(make_dataset: MakeDataset, cache: Path) -> None:
    old, fresh = cache / ".old.part", cache / ".fresh.part"
    for folder in (old, fresh):
        folder.mkdir(parents=True)
        (folder / "image.npy").write_bytes(b"half")
    os.utime(old, (time.time() - 90_000,) * 2)
    run(make_dataset(1), cache)
    assert not old.exists()
    assert fresh.exists()


def test_a_cache_that_cannot_be_made_is_told(make_dataset: MakeDataset, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CrganError, match="cache"):
        run(make_dataset(1), tmp_path / "file" / "cache")


def test_progress_counts_every_case(make_dataset: MakeDataset, cache: Path) -> None:
    dataset = make_dataset(3)
    progress = Counted()
    prepare(dataset.cases, dataset, Pipeline.fit(dataset.cases, dataset), cache=cache, workers=2, progress=progress)
    assert (progress.done, progress.total) == (3, 3)


def test_no_cases_give_nothing(make_dataset: MakeDataset, cache: Path) -> None:
    dataset = make_dataset(1)
    assert prepare((), dataset, Pipeline.fit(dataset.cases, dataset), cache=cache, workers=2) == ()


def test_a_stored_case_is_cheap_to_send_to_another_process(make_dataset: MakeDataset, cache: Path) -> None:
    (case,) = run(make_dataset(1), cache)
    image = np.array(case.image)
    sent = pickle.dumps(case)
    assert len(sent) < 3000
    np.testing.assert_array_equal(pickle.loads(sent).image, image)  # noqa: S301 - made above


def test_ignored_voxels_are_kept_apart(make_dataset: MakeDataset, cache: Path, write_nifti: WriteNifti) -> None:
    dataset = make_dataset(1)
    labels = np.full((12, 16, 20), 9, np.uint8)
    labels[5, 4:12, 5:15] = 0
    labels[5, 6:8, 7:10] = 4
    assert dataset.cases[0].label is not None
    write_nifti(dataset.cases[0].label, labels, (1, 1, 1))
    assert dataset.labels is not None
    (case,) = run(replace(dataset, labels=replace(dataset.labels, ignore=9)), cache)
    assert case.known is not None
    assert case.known.sum() == 80  # of the slice; the foreground's margin belongs to what is ignored
    assert case.ignored == case.known.size - 80
    assert (case.voxels(1), case.voxels(2), len(case.coordinates(2))) == (0, 6, 6)
    (unlabelled,) = run(replace(dataset, cases=(replace(dataset.cases[0], label=None),)), cache)
    assert (unlabelled.known, unlabelled.ignored) == (None, 0)
