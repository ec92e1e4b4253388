"""Fifty-two faults, each planted alone in a sound data set: each is found once, with the file and how to mend it."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage
from typer.testing import CliRunner

from crgan.cli import app
from crgan.files import write_json

SHAPE = (24, 28, 16)
SPACING = (0.8, 0.8, 2.0)
CASES = 10
SPLIT = {"train": [f"p{n}" for n in range(7)], "test": [f"p{n}" for n in range(7, CASES)]}


def draw(index: int) -> dict[str, np.ndarray]:
    """A body with an organ that is bright in T1 and dark in FLAIR, and a lesion in it that is bright in FLAIR."""
    random = np.random.default_rng([11, index])
    grid = np.indices(SHAPE).astype(float)

    def ball(centre: tuple[float, float, float], radii: tuple[float, float, float]) -> np.ndarray:
        return sum(((grid[axis] - centre[axis]) / radii[axis]) ** 2 for axis in range(3)) < 1

    body = ball((11.5, 13.5, 7.5), (11, 13, 8))
    shift = random.uniform(-1.5, 1.5, 3)
    centre = (15 + shift[0], 9 + shift[1], 10 + shift[2] / 2)
    organ = ball(centre, (5, 6, 4)) & body
    lesion = ball((centre[0] + 1, centre[1] - 1, centre[2]), (2.5, 2.5, 2)) & organ
    gain = random.uniform(0.6, 1.6, 2)
    t1 = gain[0] * (300 + 300 * organ - 150 * lesion) + random.normal(0, 15, SHAPE)
    flair = gain[1] * (200 - 100 * organ + 500 * lesion) + random.normal(0, 12, SHAPE)
    return {
        "t1": np.where(body, np.maximum(t1, 1), 0).astype(np.int16),
        "flair": np.where(body, np.maximum(flair, 1), 0).astype(np.int16),
        "seg": (organ.astype(np.uint8) + lesion).astype(np.uint8),
    }


def save(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> None:
    nib.save(nib.Nifti1Image(array, np.diag([*SPACING, 1.0]) if affine is None else affine), path)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clean") / "data"
    for index in range(CASES):
        (folder / f"p{index}").mkdir(parents=True)
        for name, array in draw(index).items():
            save(folder / f"p{index}" / f"p{index}_{name}.nii.gz", array)
    write_json(folder / "labels.json", {"classes": {1: "organ", 2: "lesion"}})
    return folder


@pytest.fixture
def data(clean: Path, tmp_path: Path) -> Path:
    return shutil.copytree(clean, tmp_path / "data")


def file(data: Path, case: int, kind: str) -> Path:
    return data / f"p{case}" / f"p{case}_{kind}.nii.gz"


def read(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def run(folder: Path, *options: object) -> tuple[int, list[dict[str, str]]]:
    """Exit code of ``crgan check`` and the problems it told."""
    found = folder.parent / "found.json"
    result = CliRunner().invoke(app, ["check", str(folder), "--json", str(found), *map(str, options)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result.exit_code, json.loads(found.read_text(encoding="utf-8"))["problems"]


def test_a_sound_data_set_has_nothing_wrong_with_it(clean: Path, tmp_path: Path) -> None:
    write_json(tmp_path / "split.json", SPLIT)
    assert run(clean, "--split", tmp_path / "split.json") == (0, [])


# How to plant each fault. All are in case 3, unless it takes more.


def change(kind: str, function: Callable[[np.ndarray], np.ndarray], affine: np.ndarray | None = None) -> Callable[[Path], None]:
    def plant(data: Path) -> None:
        path = file(data, 3, kind)
        save(path, function(read(path)), affine)

    return plant


def regrid(function: Callable[[np.ndarray], np.ndarray], kinds: Iterable[str] = ("t1", "flair", "seg")) -> Callable[[Path], None]:
    """Give the files of case 3 another affine."""

    def plant(data: Path) -> None:
        for kind in kinds:
            path = file(data, 3, kind)
            save(path, read(path), function(np.diag([*SPACING, 1.0])))

    return plant


def zero_spacing(data: Path) -> None:
    """An affine that leaves the third axis no length."""
    path = file(data, 3, "t1")
    content = bytearray(gzip.decompress(path.read_bytes()))
    for row in (280, 296, 312):  # srow_x, srow_y, srow_z
        content[row + 8 : row + 12] = bytes(4)
    path.write_bytes(gzip.compress(bytes(content)))


def slices(data: Path) -> None:
    for kind in ("t1", "flair", "seg"):
        save(file(data, 3, kind), read(file(data, 3, kind))[:, :, 9:12])


def cut(kind: str) -> Callable[[Path], None]:
    def plant(data: Path) -> None:
        path = file(data, 3, kind)
        path.write_bytes(path.read_bytes()[:-40])

    return plant


def write(content: bytes) -> Callable[[Path], None]:
    return lambda data: file(data, 3, "t1").write_bytes(content) and None


def unpacked(data: Path) -> None:
    path = file(data, 3, "t1")
    path.write_bytes(gzip.decompress(path.read_bytes()))


def cut_plain(data: Path) -> None:
    path = file(data, 3, "t1")
    path.with_name("p3_t1.nii").write_bytes(gzip.decompress(path.read_bytes())[:-1000])
    path.unlink()


def packed_plain(data: Path) -> None:
    file(data, 3, "t1").rename(data / "p3" / "p3_t1.nii")


def exchange(one: tuple[int, str], other: tuple[int, str]) -> Callable[[Path], None]:
    def plant(data: Path) -> None:
        first, second = file(data, *one), file(data, *other)
        kept = first.read_bytes()
        first.write_bytes(second.read_bytes())
        second.write_bytes(kept)

    return plant


def copy(source: tuple[int, str], target: tuple[int, str]) -> Callable[[Path], None]:
    def plant(data: Path) -> None:
        save(file(data, *target), read(file(data, *source)).astype(np.float32))  # stored otherwise: only the voxels are the same

    return plant


def both(*plants: Callable[[Path], None]) -> Callable[[Path], None]:
    def plant(data: Path) -> None:
        for one in plants:
            one(data)

    return plant


def without_labels(data: Path) -> None:
    for case in range(CASES):
        file(data, case, "seg").unlink()


def without_class(data: Path) -> None:
    for case in range(CASES):
        save(file(data, case, "seg"), np.minimum(read(file(data, case, "seg")), 1))


def hole(labels: np.ndarray) -> np.ndarray:
    inside = np.argwhere(ndimage.binary_erosion(labels > 0, iterations=2))
    centre = np.rint(inside[np.abs(inside - inside.mean(0)).sum(1).argmin()]).astype(int)
    labels = np.where(labels > 0, 1, 0).astype(np.uint8)
    labels[tuple(slice(c - 1, c + 2) for c in centre)] = 0
    return labels


def blank(image: np.ndarray) -> np.ndarray:
    image = image.copy()
    image[:, :, 8] = 0
    return image


def with_value(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def function(image: np.ndarray) -> np.ndarray:
        image = image.astype(np.float32)
        image[12, 12, 8] = value
        return image

    return function


def hounsfield(data: Path) -> None:
    """CT in place of T1: all cases in Hounsfield units, but for one without its intercept."""
    for case in range(CASES):
        image = read(file(data, case, "t1")).astype(np.float32)
        scaled = np.where(image > 0, image * (1200 / image.max()), 0) - (0 if case == 3 else 1024)
        save(file(data, case, "t1"), scaled.astype(np.int16))


class Fault(NamedTuple):
    plant: Callable[[Path], None]
    kind: str
    where: str
    fix: str
    severity: str = "error"


T1, FLAIR, SEG = "p3_t1.nii.gz", "p3_flair.nii.gz", "p3_seg.nii.gz"
WARNING = "warning"
FAULTS = {
    # Files
    "image cut short": Fault(cut("t1"), "unreadable", T1, "source"),
    "label cut short": Fault(cut("seg"), "unreadable", SEG, "source"),
    "web page under an image's name": Fault(write(b"<html>" * 90), "unreadable", T1, "source"),
    "empty file": Fault(write(b""), "unreadable", T1, "source"),
    "plain file named .gz": Fault(unpacked, "unreadable", T1, "rename it to p3_t1.nii"),
    "compressed file not named .gz": Fault(packed_plain, "unreadable", "p3_t1.nii", "rename it to p3_t1.nii.gz"),
    "plain file cut short": Fault(cut_plain, "unreadable", "p3_t1.nii", "source"),
    "complex numbers": Fault(change("t1", lambda a: a.astype(np.complex64)), "unreadable", T1, "magnitude"),
    "missing modality": Fault(lambda data: file(data, 3, "flair").unlink(), "missing-modality", FLAIR, "add the file"),
    "missing label": Fault(lambda data: file(data, 3, "seg").unlink(), "missing-labels", "data", "add them", WARNING),
    "no labels at all": Fault(without_labels, "missing-labels", "data", "add label files"),
    # Grids
    "label of another shape": Fault(change("seg", lambda a: a[:-1]), "grids", SEG, "resample"),
    "label of another spacing": Fault(regrid(lambda a: a @ np.diag([1, 1, 1.5, 1]), ["seg"]), "grids", SEG, "header"),
    "label of another orientation": Fault(regrid(lambda a: np.diag([-1, 1, 1, 1]) @ a, ["seg"]), "grids", SEG, "orientation"),
    "label at another place": Fault(regrid(lambda a: a + 9 * np.eye(4, k=3), ["seg"]), "grids", SEG, "header"),
    "modality on another grid": Fault(regrid(lambda a: a @ np.diag([1, 1, 2, 1]), ["flair"]), "resampled", FLAIR, "registered", WARNING),
    "modality of another place": Fault(regrid(lambda a: a + 90 * np.eye(4, k=3), ["flair"]), "grids", FLAIR, "register"),
    "left and right exchanged": Fault(regrid(lambda a: np.diag([-1, 1, 1, 1]) @ a), "mirrored", FLAIR, "sign", WARNING),
    "voxels ten times as long": Fault(regrid(lambda a: a @ np.diag([1, 1, 12, 1])), "spacing", FLAIR, "header", WARNING),
    "nominal spacing": Fault(regrid(lambda _: np.eye(4)), "nominal-spacing", FLAIR, "original", WARNING),
    "metres": Fault(regrid(lambda a: np.diag([1e-3, 1e-3, 1e-3, 1]) @ a), "units", FLAIR, "1000"),
    "micrometres": Fault(regrid(lambda a: np.diag([1e3, 1e3, 1e3, 1]) @ a), "spacing", FLAIR, "header"),
    "spacing of zero": Fault(zero_spacing, "unreadable", T1, "source"),
    "sheared": Fault(
        regrid(lambda a: a + np.array([[0, 0, 0, 0], [0, 0, 0.5, 0], [0, 0, 0, 0], [0, 0, 0, 0]])), "sheared", FLAIR, "resample", WARNING
    ),
    "few slices": Fault(slices, "few-slices", FLAIR, "complete", WARNING),
    # Images
    "NaN": Fault(change("t1", with_value(np.nan)), "not-numbers", T1, "replace"),
    "infinity": Fault(change("t1", with_value(np.inf)), "not-numbers", T1, "replace"),
    "constant": Fault(change("t1", np.zeros_like), "constant", T1, "export"),
    "a series for a volume": Fault(change("t1", lambda a: np.stack([a, a + 1], -1)), "channels", T1, "split the series"),
    "the same slice again and again": Fault(change("t1", lambda a: np.repeat(a[:, :, 8:9], SHAPE[2], 2)), "repeated-slice", T1, "export"),
    "lost slices": Fault(change("t1", blank), "blank-slices", T1, "export", WARNING),
    "another bit scale": Fault(change("t1", lambda a: (a / a.max()).astype(np.float32)), "intensity-scale", T1, "convert", WARNING),
    "no rescale intercept": Fault(hounsfield, "intensity-offset", T1, "intercept", WARNING),
    "modalities exchanged": Fault(exchange((3, "t1"), (3, "flair")), "exchanged-modalities", T1, "exchange", WARNING),
    "one modality twice": Fault(copy((3, "t1"), (3, "flair")), "same-modalities", FLAIR, "right file", WARNING),
    # Labels
    "undeclared value": Fault(change("seg", lambda a: np.where(a == 2, 7, a).astype(np.uint8)), "undeclared-labels", SEG, "declare"),
    "negative value": Fault(change("seg", lambda a: np.where(a == 2, -1, a).astype(np.int16)), "undeclared-labels", SEG, "declare"),
    "classes one too large": Fault(change("seg", lambda a: np.where(a, a + 1, 0).astype(np.uint8)), "shifted-labels", SEG, "subtract 1"),
    "everything one too large": Fault(change("seg", lambda a: a + np.uint8(1)), "shifted-labels", SEG, "subtract 1"),
    "mask of 0 and 255": Fault(change("seg", lambda a: np.where(a, 255, 0).astype(np.uint8)), "stretched-labels", SEG, "divide"),
    "soft mask": Fault(change("seg", lambda a: np.where(a, 0.5 + a / 8, 0).astype(np.float32)), "unreadable", SEG, "from 0.5"),
    "noise on the values": Fault(
        change("seg", lambda a: (a + np.random.default_rng(0).normal(0, 0.02, a.shape)).astype(np.float32)), "unreadable", SEG, "round"
    ),
    "colour label": Fault(change("seg", lambda a: np.stack([a, a * 2, a], -1)), "unreadable", SEG, "one channel"),
    "empty mask": Fault(change("seg", np.zeros_like), "empty-label", SEG, "healthy", WARNING),
    "a class nobody has": Fault(without_class, "absent-class", "data", "declared", WARNING),
    "inverted mask": Fault(change("seg", lambda a: (a == 0).astype(np.uint8)), "inverted-label", SEG, "exchanged", WARNING),
    "hole in a mask": Fault(change("seg", hole), "label-holes", SEG, "fill", WARNING),
    # Pairs
    "slices of the mask in reversed order": Fault(change("seg", lambda a: a[:, :, ::-1]), "turned-label", SEG, "turn"),
    "mask upside down": Fault(change("seg", lambda a: a[:, ::-1]), "turned-label", SEG, "turn"),
    "one label for two cases": Fault(copy((4, "seg"), (3, "seg")), "same-labels", SEG, "belongs", WARNING),
    "a case twice": Fault(both(copy((4, "t1"), (3, "t1")), copy((4, "flair"), (3, "flair"))), "duplicates", FLAIR, "copies", WARNING),
    "a case in training and in test": Fault(
        both(copy((8, "t1"), (3, "t1")), copy((8, "flair"), (3, "flair"))), "split-duplicates", FLAIR, "one side"
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_once_and_can_be_mended(data: Path, name: str) -> None:
    fault = FAULTS[name]
    fault.plant(data)
    write_json(data.parent / "split.json", SPLIT)
    options = ["--split", data.parent / "split.json"] if "split" in fault.kind else []
    code, problems = run(data, *options)
    assert [(problem["kind"], problem["severity"]) for problem in problems] == [(fault.kind, fault.severity)], problems
    assert fault.where in problems[0]["where"]
    assert fault.fix in problems[0]["fix"]
    assert code == (1 if fault.severity == "error" else 0)


def test_labels_of_two_cases_exchanged(data: Path) -> None:
    # The organ of one case elsewhere, so that the labels are not interchangeable.
    for kind in ("t1", "flair", "seg"):
        save(file(data, 3, kind), read(file(data, 3, kind))[::-1, ::-1])
    exchange((3, "seg"), (6, "seg"))(data)
    code, (problem,) = run(data)
    assert (code, problem["kind"]) == (1, "exchanged-labels")
    assert "p3_seg.nii.gz" in problem["where"]
    assert "p6_seg.nii.gz" in problem["where"]


def test_a_label_that_has_nothing_to_do_with_its_image(data: Path) -> None:
    labels = read(file(data, 3, "seg"))
    save(file(data, 3, "seg"), np.roll(labels, (-7, 0, -3), (0, 1, 2)))
    code, problems = run(data)
    assert (code, [problem["kind"] for problem in problems]) == (0, ["unrelated-label"])


def test_all_masks_in_reversed_order(data: Path) -> None:
    for case in range(CASES):
        save(file(data, case, "seg"), read(file(data, case, "seg"))[:, :, ::-1])
    code, problems = run(data)
    assert code == 1
    assert [problem["kind"] for problem in problems] == ["turned-label"] * CASES


def test_one_case_alone_in_reversed_order(data: Path) -> None:
    for case in range(CASES):
        if case != 3:
            shutil.rmtree(data / f"p{case}")
    change("seg", lambda a: a[:, :, ::-1])(data)
    code, problems = run(data)
    assert (code, [problem["kind"] for problem in problems]) == (1, ["turned-label"])


def test_an_empty_folder_is_told_at_once(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(tmp_path)])
    assert result.exit_code == 2
    assert "The folder is empty." in result.output


def test_two_faults_are_both_told(data: Path) -> None:
    cut("flair")(data)
    change("seg", lambda a: np.where(a == 2, 7, a).astype(np.uint8))(data)
    assert {problem["kind"] for problem in run(data)[1]} == {"unreadable", "undeclared-labels"}
