"""Every kind of bad input is told, all of it at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from crgan.cases.case import Case, Dataset
from crgan.cases.formats.nifti import Nifti
from crgan.cases.integrity import check_cases
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import open_dataset

MakeFile = Callable[..., Path]
SCHEME = LabelScheme(classes={1: "a", 2: "b"})


def dataset(*cases: Case, modalities: tuple[str, ...] = ("T1",), labels: LabelScheme | None = SCHEME) -> Dataset:
    return Dataset(root=Path("data"), layout="test", cases=cases, modalities=modalities, labels=labels)


def case(name: str, *images: Path, label: Path | None = None) -> Case:
    return Case(case_id=name, patient_id=name, images=images, label=label)


def found(data: Dataset, *, need_labels: bool = False) -> list[str]:
    return [f"{problem.severity}: {problem.what}" for problem in check_cases(data, need_labels=need_labels)[1]]


def test_a_sound_data_set_has_no_problems_and_a_summary_per_case(nifti: MakeFile, label: MakeFile) -> None:
    affine = np.diag([-1.0, 2.0, 3.0, 1.0])
    image = nifti("b.nii.gz", affine=affine)
    sound = case("b", image, label=label("b_seg.nii.gz", 1, 1, 2, affine=affine))
    summaries, problems = check_cases(dataset(sound, case("c", nifti("c.nii.gz"))), need_labels=False)
    assert problems == []
    first, second = summaries
    assert (first.case_id, first.patient_id, first.shape, first.orientation, first.dimensions) == ("b", "b", (4, 5, 6), "LAS", 3)
    assert first.spacing_mm == (1.0, 2.0, 3.0)
    assert first.dtype == "int16"
    (channel,) = first.channels  # a ramp from 0 to 119
    assert (channel.minimum, channel.maximum, channel.mean) == (0.0, 119.0, 59.5)
    assert channel.percentiles == pytest.approx(np.percentile(np.arange(120), [0.5, 50, 99.5]))
    assert first.label_voxels == {0: 117, 1: 2, 2: 1}
    assert first.bytes_on_disk == image.stat().st_size + image.with_name("b_seg.nii.gz").stat().st_size
    assert (second.case_id, second.label_voxels) == ("c", None)


def test_no_cases_have_no_problems() -> None:
    assert check_cases(dataset(), need_labels=False) == ([], [])


def test_cases_that_were_chosen_are_read_alone(nifti: MakeFile) -> None:
    data = dataset(case("a", nifti("a.nii.gz")), case("b", Path("absent.nii.gz")))
    summaries, problems = check_cases(data, cases=data.cases[:1], need_labels=False)
    assert [summary.case_id for summary in summaries] == ["a"]
    assert problems == []


def test_unreadable_files_do_not_hide_each_other(tmp_path: Path, nifti: MakeFile, label: MakeFile) -> None:
    cut = nifti("cut.nii.gz")
    cut.write_bytes(cut.read_bytes()[:-9])
    (tmp_path / "page.nii.gz").write_text("<html>")
    data = dataset(
        case("a", cut, label=label("a_seg.nii.gz", 1, 2)),
        case("b", nifti("b.nii.gz"), label=tmp_path / "page.nii.gz"),
        case("c", nifti("c.nii.gz"), label=tmp_path / "gone.nii.gz"),
    )
    summaries, problems = check_cases(data, need_labels=False)
    assert [summary.case_id for summary in summaries] == ["b", "c"]
    assert [(problem.what, problem.where) for problem in problems if problem.severity == "error"] == [
        ("The compressed file is truncated.", cut),
        ("The file is named .gz but is not gzip-compressed.", tmp_path / "page.nii.gz"),
        ("The label of case c is missing.", tmp_path / "gone.nii.gz"),
    ]
    assert all(problem.fix for problem in problems)


@pytest.mark.parametrize(
    ("shape", "affine", "what"),
    [
        ((4, 5, 7), np.eye(4), ["shape"]),
        ((4, 5, 6), np.diag([1.0, 1, 2, 1]), ["spacing"]),
        ((4, 5, 6), np.diag([-1.0, 1, 1, 1]), ["orientation"]),
        ((4, 5, 6), np.eye(4) + np.eye(4, k=3) * 5, ["place"]),
        ((4, 5, 7), np.diag([-1.0, 1, 2, 1]), ["shape", "spacing", "orientation"]),
        ((4, 5, 6), np.eye(4) + np.eye(4, k=3) * 0.001, []),
    ],
)
def test_image_and_label_on_different_grids(nifti: MakeFile, label: MakeFile, shape, affine, what: list[str]) -> None:
    data = dataset(case("a", nifti("a.nii.gz"), label=label("a_seg.nii.gz", 1, 2, affine=affine, shape=shape)))
    assert found(data) == [f"error: Image and label of case a differ in {word}." for word in what]


def test_modalities_on_different_grids(nifti: MakeFile) -> None:
    one, two = nifti("a1.nii.gz"), nifti("a2.nii.gz", affine=np.diag([1.0, 1, 2, 1]))
    data = dataset(case("a", one, two), modalities=("T1", "T2"))
    assert found(data) == ["warning: Two modalities of case a differ in spacing; one is resampled."]
    far = nifti("a3.nii.gz", affine=np.eye(4) + np.eye(4, k=3) * 50)
    assert found(dataset(case("a", one, far), modalities=("T1", "T2"))) == ["error: Two modalities of case a differ in place."]


def test_the_label_is_held_against_the_grid_that_the_images_are_brought_onto(nifti: MakeFile, label: MakeFile) -> None:
    fine, coarse = nifti("a1.nii.gz", affine=np.diag([1.0, 1, 2, 1])), nifti("a2.nii.gz", affine=np.diag([1.0, 1, 1.5, 1]))
    drawn = label("a_seg.nii.gz", 1, 2, affine=np.diag([1.0, 1, 1.5, 1]))
    data = dataset(case("a", fine, coarse, label=drawn), modalities=("T1", "T2"))
    (summary,), (problem,) = check_cases(data, need_labels=True)
    assert (problem.where, problem.severity) == (fine, "warning")
    assert summary.spacing_mm == (1, 1, 1.5)


def test_values_that_nobody_declared(nifti: MakeFile, label: MakeFile) -> None:
    data = dataset(case("a", nifti("a.nii.gz"), label=label("a_seg.nii.gz", 1, 2, 4, 4, 9)))
    (problem,) = check_cases(data, need_labels=True)[1]
    assert problem.what == "The label of case a holds values that nobody declared."
    assert (problem.expected, problem.got) == ("0, 1, 2", "4 (2 voxels), 9 (1 voxels)")


def test_instances_may_have_any_number_but_no_negative_one(nifti: MakeFile, label: MakeFile) -> None:
    cells = LabelScheme(classes={1: "object"}, instances=True)
    assert found(dataset(case("a", nifti("a.nii.gz"), label=label("a_seg.nii.gz", 1, 500)), labels=cells)) == []
    negative = nifti("b_seg.nii.gz", np.arange(-1, 119, dtype=np.int16).reshape(4, 5, 6))
    assert found(dataset(case("b", nifti("b.nii.gz"), label=negative), labels=cells)) == [
        "error: The label of case b holds values that nobody declared."
    ]


@pytest.mark.parametrize(("value", "got"), [(np.nan, "1 NaN and 0 infinite voxels of 24"), (-np.inf, "0 NaN and 1 infinite voxels of 24")])
def test_voxels_that_are_no_numbers(nifti: MakeFile, value: float, got: str) -> None:
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    array[0, 0, 0] = value
    (summary,), (problem,) = check_cases(dataset(case("a", nifti("a.nii.gz", array))), need_labels=False)
    assert (problem.what, problem.got) == ("The image of case a holds voxels that are not numbers.", got)
    assert (summary.channels[0].minimum, summary.channels[0].maximum, summary.channels[0].mean) == (1.0, 23.0, 12.0)


def test_an_image_of_nothing_but_nan_has_a_summary(nifti: MakeFile) -> None:
    (summary,), problems = check_cases(dataset(case("a", nifti("a.nii.gz", np.full((2, 3, 4), np.nan, np.float32)))), need_labels=False)
    assert summary.channels[0].percentiles == (0.0, 0.0, 0.0)
    assert len(problems) == 1


def test_a_constant_image_and_a_constant_channel(nifti: MakeFile) -> None:
    channels = np.stack([np.arange(24).reshape(2, 3, 4), np.full((2, 3, 4), 7)], axis=-1).astype(np.int16)
    data = dataset(case("b", nifti("b.nii.gz", channels)), modalities=("x", "y"))
    assert found(data) == ["warning: 1 of 2 channels of case b are constant."]
    (problem,) = check_cases(dataset(case("a", nifti("a.nii.gz", np.full((2, 3, 4), 7, np.int16)))), need_labels=False)[1]
    assert (problem.severity, problem.what, problem.got) == ("error", "The image of case a is constant.", "the value 7 everywhere")


def test_a_series_where_a_volume_was_meant(nifti: MakeFile) -> None:
    series = nifti("a.nii.gz", np.arange(48, dtype=np.int16).reshape(2, 3, 4, 2))
    (problem,) = check_cases(dataset(case("a", series)), need_labels=False)[1]
    assert (problem.expected, problem.got) == ("a 3-D volume", "a 4-D file of 2 volumes")
    data = dataset(case("a", nifti("b.nii.gz", np.arange(24, dtype=np.int16).reshape(2, 3, 4))), modalities=("x", "y"))
    (problem,) = check_cases(data, need_labels=False)[1]
    assert (problem.expected, problem.got) == ("2 channels: x, y", "a 3-D volume")


def test_a_missing_modality_names_who_has_it(nifti: MakeFile, tmp_path: Path) -> None:
    for patient in "ABC":
        nifti(f"data/{patient}/{patient}_T1.nii.gz")
    for patient in "AB":
        nifti(f"data/{patient}/{patient}_T2.nii.gz")
    (problem,) = check_cases(open_dataset(tmp_path / "data"), need_labels=False)[1]
    assert problem.what == "Case C lacks the modality T2."
    assert problem.where == tmp_path / "data/C/C_T2.nii.gz"
    assert (problem.expected, problem.got) == ("all of T1, T2", "A, B of 3 patients have it")


def test_a_label_without_image(nifti: MakeFile, label: MakeFile, tmp_path: Path) -> None:
    nifti("data/images/a.nii.gz")
    for name in "ab":
        label(f"data/labels/{name}.nii.gz", 1)
    problems = check_cases(open_dataset(tmp_path / "data"), need_labels=False)[1]
    assert [(problem.what, problem.where, problem.got) for problem in problems] == [
        ("Case b has no image.", tmp_path / "data/images/b.nii.gz", "the label b.nii.gz")
    ]


def test_missing_labels_matter_where_labels_are_needed(nifti: MakeFile, label: MakeFile) -> None:
    without = [case(name, nifti(f"{name}.nii.gz")) for name in "ab"]
    labelled = case("c", nifti("c.nii.gz"), label=label("c_seg.nii.gz", 1, 2))
    assert found(dataset(*without)) == []
    assert found(dataset(*without), need_labels=True) == ["error: No case has a label."]
    assert found(dataset(*without, labelled), need_labels=True) == ["warning: 2 of 3 cases have no label."]


def test_empty_labels_and_absent_classes_are_warnings(nifti: MakeFile, label: MakeFile) -> None:
    data = dataset(
        case("a", nifti("a.nii.gz"), label=label("a_seg.nii.gz", 1)),
        case("b", nifti("b.nii.gz"), label=label("b_seg.nii.gz")),
    )
    assert found(data) == ["warning: No label holds the class b.", "warning: The label of case b is empty."]


def test_equal_case_ids(nifti: MakeFile) -> None:
    data = dataset(case("a", nifti("x/a.nii.gz")), case("a", nifti("y/a.nii.gz")), case("b", nifti("b.nii.gz")))
    (problem,) = check_cases(data, need_labels=False)[1]
    assert problem.what == "The case id a occurs 2 times."
    assert "x/a.nii.gz" in str(problem.where)
    assert "y/a.nii.gz" in str(problem.where)


def test_pictures_and_volumes_in_one_data_set(nifti: MakeFile) -> None:
    data = dataset(case("a", nifti("a.nii.gz")), case("b", nifti("b.nii.gz", np.arange(6, dtype=np.int16).reshape(2, 3))))
    assert found(data) == ["error: Some images have two dimensions, others three."]


def test_every_file_is_read_once(nifti: MakeFile, label: MakeFile, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    read = Nifti.read
    monkeypatch.setattr(Nifti, "read", lambda self, path, *, labels: (reads.append(path.name), read(self, path, labels=labels))[1])
    data = dataset(case("a", nifti("a1.nii.gz"), nifti("a2.nii.gz"), label=label("a_seg.nii.gz", 1, 2)), modalities=("x", "y"))
    assert found(data, need_labels=True) == []
    assert sorted(reads) == ["a1.nii.gz", "a2.nii.gz", "a_seg.nii.gz"]


class Counting:
    """Progress that counts and can be made to stop the work."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.total, self.done, self.stop_after = 0, 0, stop_after

    @contextmanager
    def task(self, name: str, total: int):
        assert name
        self.total = total
        yield self

    def advance(self, n: int = 1, **figures: float) -> None:
        self.done += n
        if self.done == self.stop_after:
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        raise AssertionError(text)


def test_progress_counts_cases(nifti: MakeFile) -> None:
    data = dataset(*(case(name, nifti(f"{name}.nii.gz")) for name in "abc"))
    progress = Counting()
    check_cases(data, need_labels=False, progress=progress)
    assert (progress.total, progress.done) == (3, 3)


def test_the_work_stops_when_it_is_interrupted(nifti: MakeFile) -> None:
    data = dataset(*(case(str(n), nifti(f"{n}.nii.gz")) for n in range(20)))
    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        check_cases(data, need_labels=False, progress=Counting(stop_after=1))
    assert threading.active_count() == before


@pytest.mark.parametrize("executor", [ThreadPoolExecutor, partial(ProcessPoolExecutor, mp_context=get_context("spawn"))])
def test_any_executor_finds_the_same(nifti: MakeFile, label: MakeFile, tmp_path: Path, executor) -> None:
    (tmp_path / "broken.nii.gz").write_text("<html>")
    data = dataset(
        case("a", nifti("a.nii.gz"), label=label("a_seg.nii.gz", 1, 5)), case("b", tmp_path / "broken.nii.gz"), case("c", nifti("c.nii.gz"))
    )
    with executor(2) as pool:
        assert check_cases(data, need_labels=True, executor=pool) == check_cases(data, need_labels=True)
        assert pool.submit(int, "1").result() == 1  # a pool that was lent is left open
