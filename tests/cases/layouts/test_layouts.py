"""Opening folders whose layout is not told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import LAYOUTS, open_dataset, open_labels
from crgan.errors import CrganError

FOUND = LabelScheme(classes={1: "class 1", 2: "class 2"})
NAMED = LabelScheme(classes={1: "a", 2: "b"})
PATIENTS = [f"{p}/{p}_{word}.nii.gz" for p in ("P1", "P2") for word in ("T1", "T2", "seg")]


def declare(root: Path, scheme: LabelScheme = NAMED) -> Path:
    (root / "labels.json").write_text(json.dumps(scheme.to_json()))
    return root


def task(root: Path) -> Path:
    (root / "dataset.json").write_text(json.dumps({"modality": {"0": "CT"}, "labels": {"0": "background", "1": "a", "2": "b"}}))
    return root


BRATS = [
    [f"{grade}{case}/{case}{ending}.nii.gz" for ending in endings]
    for grade, case, endings in [
        ("", "brats_2013_pat0001_1", ("_flair", "_t1ce", "_seg")),
        ("HGG/", "Brats17_2013_10_1", ("_flair", "_t1", "_t1ce", "_t2", "_seg")),
        ("LGG/", "Brats18_TCIA01_101_1", ("_flair", "_t1", "_t1ce", "_t2", "_seg")),
        ("", "BraTS19_TMC_06290_1", ("_flair", "_t1", "_t1ce", "_t2", "_seg")),
        ("", "BraTS20_Training_001", ("_flair", "_t1", "_t1ce", "_t2", "_seg")),
        ("", "BraTS2021_00000", ("_flair", "_t1", "_t1ce", "_t2", "_seg")),
        ("", "BraTS-GLI-00000-000", ("-t2f", "-t1n", "-t1c", "-t2w", "-seg")),
    ]
]
VSD = [f"HGG/brats_2013_pat0001_1/VSD.Brain.XX.O.{word}.{n}/VSD.Brain.XX.O.{word}.{n}.mha" for n, word in enumerate(["MR_T1c", "OT"])]


@pytest.mark.parametrize(
    ("names", "layout"),
    [
        *((names, "brats") for names in BRATS),
        (VSD, "brats"),
        (["volume-0.nii", "segmentation-0.nii"], "lits"),
        (["Training Batch 1/volume-0.nii", "Training Batch 2/segmentation-0.nii"], "lits"),
        (["imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz", "dataset.json"], "nnunet"),
        (["imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "dataset.json"], "msd"),
        (["imagesTr/a.nii.gz", "labelsTr/a.nii.gz"], "paired"),
        (["images/a.png", "labels/a.png"], "paired"),
        (PATIENTS, "patient_folders"),
        (["a_T1.nii.gz", "a_seg.nii.gz"], "patient_folders"),
        (["a.nii.gz", "b.nii.gz"], "plain"),
    ],
)
def test_the_layout_is_found_out(folder, names: list[str], layout: str) -> None:
    root = folder(*names)
    if "dataset.json" in names:
        task(root)
    dataset = open_dataset(root)
    assert dataset.layout == layout
    assert dataset.root == root
    # No other layout that goes by official names takes the folder for its own, whatever their order.
    official = [known.name for known in LAYOUTS if known.detect(root) and known.name not in {"paired", "patient_folders", "plain"}]
    assert official == [layout] * (layout in {"brats", "lits", "nnunet", "msd"})


def test_a_foreign_folder_of_thousands_of_files_is_looked_through_at_once(tmp_path: Path) -> None:
    from time import process_time

    for number in range(20):
        (tmp_path / f"p{number}").mkdir()
        for scan in range(100):
            (tmp_path / f"p{number}" / f"scan {scan}.nii.gz").touch()
    before = process_time()
    found = [known.name for known in LAYOUTS if known.detect(tmp_path)]
    assert found == ["patient_folders"]
    assert process_time() - before < 1


@pytest.mark.parametrize("odd", ["dataset.json", "labels.json", "HGG", "imagesTr", "VSD.Brain", "volume-1.nii", "BraTS2021_00000"])
def test_no_layout_stumbles_over_odd_folders(tmp_path: Path, odd: str) -> None:
    (tmp_path / odd).mkdir()
    (tmp_path / odd / odd).symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert not any(known.detect(tmp_path) for known in LAYOUTS)
    assert not any(known.detect(tmp_path / "loop" / odd) for known in LAYOUTS)


def test_cases_are_sorted_and_paths_may_be_text(folder) -> None:
    dataset = open_dataset(str(folder("b.nii.gz", "a.nii.gz", "c.nii.gz")))
    assert [case.case_id for case in dataset.cases] == ["a", "b", "c"]


def test_a_folder_that_may_not_be_read_is_told(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    root = folder(*PATIENTS)
    listed = os.scandir

    def scandir(path: Path):
        if path.name == "P2":
            raise PermissionError(13, "Permission denied")
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(CrganError, match=r"A folder cannot be read[\s\S]*P2[\s\S]*Permission denied"):
        open_dataset(root)


def test_what_is_written_beside_the_images_goes_before_what_a_layout_means(folder) -> None:
    root = folder(*BRATS[-2])
    assert open_dataset(root).labels.targets == ("WT", "TC", "ET")
    assert open_dataset(declare(root)).labels == NAMED
    assert open_dataset(root, layout="patient_folders").labels == NAMED


def test_the_value_to_ignore_may_be_told(folder) -> None:
    assert open_dataset(folder(*PATIENTS), ignore=2).labels == LabelScheme(classes={1: "class 1"}, ignore=2)


def test_labels_are_given_or_declared_or_found_out(folder) -> None:
    root = folder(*PATIENTS)
    assert open_dataset(root).labels == FOUND
    declare(root)
    assert open_dataset(root).labels == NAMED
    given = LabelScheme(classes={1: "x", 2: "y"}, regions={"both": (1, 2)})
    assert open_dataset(root, labels=given).labels == given


def test_given_labels_are_not_looked_up_in_files(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crgan.cases.schemes.read_labels", lambda path: pytest.fail(f"read {path}"))
    assert open_dataset(folder(*PATIENTS), labels=NAMED).labels == NAMED


def test_a_folder_of_images_has_no_labels(folder) -> None:
    dataset = open_dataset(folder("a.nii.gz"))
    assert dataset.labels is None
    assert dataset.labelled == ()
    with pytest.raises(CrganError, match=r"No case has a label[\s\S]*1 images, no labels"):
        open_dataset(dataset.root, need_labels=True)


def test_labels_can_be_ignored_whatever_is_wrong_with_them(folder) -> None:
    root = folder(*(f"{p}/{p}_{word}.nii.gz" for p in "AB" for word in ("T1", "seg", "lesion")), "C/C_seg.nii.gz", "D/D_T1.nii.gz")
    with pytest.raises(CrganError) as caught:
        open_dataset(root)
    assert len(caught.value.problems) == 2
    dataset = open_dataset(root, ignore_labels=True)
    assert [(case.case_id, case.label) for case in dataset.cases] == [("A", None), ("B", None), ("D", None)]
    assert dataset.labels is None


def test_labels_alone_are_no_images(folder) -> None:
    with pytest.raises(CrganError, match="There are no images"):
        open_dataset(folder("A/A_seg.nii.gz"), ignore_labels=True)


def test_the_layout_can_be_told(folder) -> None:
    root = folder("images/a.nii.gz", "labels/a.nii.gz", "x/x_T1.nii.gz")
    assert open_dataset(root).layout == "paired"
    assert open_dataset(root, layout="patient_folders").layout == "patient_folders"
    with pytest.raises(CrganError, match=r"not laid out[\s\S]*expected: msd: dataset\.json"):
        open_dataset(root, layout="msd")
    with pytest.raises(CrganError, match=r"no such layout[\s\S]*msd, .*patient_folders, plain[\s\S]*got:\s+nifti"):
        open_dataset(root, layout="nifti")


def test_a_pattern_takes_the_place_of_a_layout(folder) -> None:
    root = folder("site/P1/scan-a/T1.nii.gz", "site/P1/scan-a/truth.nii.gz")
    dataset = open_dataset(root, pattern="site/{patient}/{case}/{modality}.nii.gz")
    assert dataset.layout == "pattern"
    assert [(case.case_id, case.patient_id, case.label is not None) for case in dataset.cases] == [("scan-a", "P1", True)]
    with pytest.raises(CrganError, match=r"files named \{case\}\.png"):
        open_dataset(root, pattern="{case}.png")


@pytest.mark.parametrize(
    ("group", "patients"), [(r"^p(\d+)", ["1", "1", "2"]), (r"p\d+", ["p1", "p1", "p2"]), (r"(.*?)_", ["p1", "p1", "p2"])]
)
def test_patients_are_found_in_case_ids(folder, group: str, patients: list[str]) -> None:
    dataset = open_dataset(folder("images/p1_01.png", "images/p1_02.png", "images/p2_01.png"), group=group)
    assert [case.patient_id for case in dataset.cases] == patients


def test_patients_are_found_in_paths(folder) -> None:
    dataset = open_dataset(folder("ward3_P1/a.nii.gz", "ward3_P2/b.nii.gz"), group=r"_(P\d)/")
    assert [case.patient_id for case in dataset.cases] == ["P1", "P2"]


@pytest.mark.parametrize(
    ("group", "words"), [("(", "not a regular expression"), ("Q", "finds no patient in case a"), ("(x?)a", "finds no patient")]
)
def test_a_group_that_finds_nothing_is_refused(folder, group: str, words: str) -> None:
    with pytest.raises(CrganError, match=words):
        open_dataset(folder("a.nii.gz"), group=group)


def test_what_is_no_data_set_is_refused(folder, tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="no such folder"):
        open_dataset(tmp_path / "absent")
    root = folder()
    (root / ".DS_Store").touch()
    for opened in (open_dataset, open_labels):
        with pytest.raises(CrganError, match="The folder is empty"):
            opened(root)
    folder("notes.txt", "deep/er/a.nii.gz")
    with pytest.raises(CrganError) as caught:
        open_dataset(root)
    text = str(caught.value)
    assert "deep/, notes.txt" in text
    assert all(f"{known.name}: {known.expects}" in text for known in LAYOUTS)
    with pytest.raises(CrganError, match=r"a file named notes\.txt"):
        open_dataset(root / "notes.txt")


def test_what_predict_wrote_is_a_folder_of_labels(folder) -> None:
    root = declare(folder("a.nii.gz", "b.nii.gz", "maps/a_x_fn.nii.gz", "maps/b_x_fn.nii.gz"))
    files, scheme, _ = open_labels(root)
    assert files == {"a": root / "a.nii.gz", "b": root / "b.nii.gz"}
    assert scheme == NAMED


@pytest.mark.parametrize("part", ["labelsTr", "labelsTs"])
def test_the_label_folders_of_a_task_are_labels(folder, part: str) -> None:
    root = task(folder("imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "imagesTs/b.nii.gz", "labelsTs/b.nii.gz"))
    files, scheme, _ = open_labels(root / part)
    assert list(files.values()) == [root / part / ("a.nii.gz" if part == "labelsTr" else "b.nii.gz")]
    assert scheme == NAMED


def test_a_folder_of_labels_says_nothing_about_their_meaning(folder) -> None:
    root = folder("labels/b_mask.png", "labels/a_mask.png", "images/a.png")
    files, scheme, _ = open_labels(root / "labels")
    assert list(files) == ["a", "b"]
    assert scheme is None


@pytest.mark.parametrize(
    ("names", "ids"),
    [
        (PATIENTS, ["P1", "P2"]),
        (["images/a.png", "images/b.png", "labels/a.png"], ["a"]),
        (["a.nii.gz", "a_gt.nii.gz", "b.nii.gz"], ["a"]),
        (["a_T1.nii.gz", "a_seg.nii.gz"], ["a"]),
    ],
)
def test_a_labelled_data_set_gives_its_labels(folder, names: list[str], ids: list[str]) -> None:
    files, scheme, _ = open_labels(folder(*names))
    assert list(files) == ids
    assert all("seg" in path.name or "_gt" in path.name or "labels" in path.parts for path in files.values())
    assert scheme == FOUND


def test_labels_by_pattern(folder) -> None:
    root = folder("x/a.nii.gz", "y/a_truth.nii.gz")
    files, *_ = open_labels(root, pattern="x/{case}.nii.gz;y/{case}_truth.nii.gz")
    assert files == {"a": root / "y/a_truth.nii.gz"}


def test_a_single_label_file(folder) -> None:
    root = declare(folder("a.nii.gz"))
    assert open_labels(root / "a.nii.gz") == ({"a": root / "a.nii.gz"}, NAMED, {})


def test_a_data_set_without_labels_has_none_to_give(folder) -> None:
    with pytest.raises(CrganError, match="No case has a label"):
        open_labels(folder("P1/P1_T1.nii.gz"))
