from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crgan.cases.case import Case, Dataset
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import open_dataset, open_labels
from crgan.cases.layouts.manifest import Manifest, write_manifest
from crgan.errors import CrganError

LAYOUT = Manifest()
SCHEME = LabelScheme(classes={1: "oedema", 2: "core"}, regions={"whole": (1, 2), "core": (2,)}, ignore=9)
PATIENTS = [f"{p}/{p}_{word}.nii.gz" for p in ("P1", "P2") for word in ("T1", "T2", "seg")]


def essence(dataset: Dataset) -> tuple[object, ...]:
    return dataset.cases, dataset.modalities, dataset.labels


def write(root: Path, text: str, name: str = "list.csv") -> Path:
    (root / name).write_text(text, encoding="utf-8")
    return root / name


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_of_cases(folder, delimiter: str) -> None:
    rows = ["case,patient,T1,T2,label", "v1,p,a.nii.gz,b.nii.gz,s.nii.gz", "v2,p,deep/c.nii.gz,../d.nii.gz,", "", "v3,,e.nii.gz,e.nii.gz"]
    path = write(folder(), "\ufeff" + "\n".join(rows).replace(",", delimiter))
    root = path.parent
    assert LAYOUT.detect(path)
    found = LAYOUT.cases(path)
    assert found.modalities == ("T1", "T2")
    assert [(case.case_id, case.patient_id) for case in found.cases] == [("v1", "p"), ("v2", "p"), ("v3", "v3")]
    assert [case.images for case in found.cases] == [
        (root / "a.nii.gz", root / "b.nii.gz"),
        (root / "deep/c.nii.gz", root.parent / "d.nii.gz"),
        (root / "e.nii.gz",),  # one file that holds all modalities
    ]
    assert [case.label for case in found.cases] == [root / "s.nii.gz", None, None]


def test_a_list_with_the_meaning_of_labels(folder) -> None:
    cases = [
        {"case": "v1", "patient": "p", "images": ["a.nii.gz"], "label": "s.nii.gz"},
        {"case": "v2", "images": ["b.nii.gz"], "label": None},
    ]
    data = {"modalities": ["T1"], "classes": {"1": "oedema", "2": "core"}, "regions": {"whole": [1, 2], "core": [2]}, "ignore": 9}
    path = write(folder(), json.dumps({**data, "cases": cases}), "list.json")
    dataset = open_dataset(path)
    assert (dataset.layout, dataset.root, dataset.labels) == ("manifest", path, SCHEME)
    assert [(case.patient_id, case.label) for case in dataset.cases] == [("p", path.parent / "s.nii.gz"), ("v2", None)]
    assert open_labels(path)[:2] == ({"v1": path.parent / "s.nii.gz"}, SCHEME)


@pytest.mark.parametrize("place", ["list.json", "elsewhere/list.json", "P1/list.json"])
@pytest.mark.parametrize(
    ("names", "declared"),
    [
        (PATIENTS, SCHEME),
        (PATIENTS, None),
        (["imagesTr/a.nii.gz", "labelsTr/a.nii.gz"], SCHEME),
        (["a.nii.gz", "b.nii.gz"], None),
        (
            [f"BraTS-GLI-00000-00{n}/BraTS-GLI-00000-00{n}-{word}.nii.gz" for n in (0, 1) for word in ("t1n", "t1c", "t2w", "t2f", "seg")],
            None,
        ),
        ([f"{kind}-{n}.nii" for kind in ("volume", "segmentation") for n in (0, 1)], None),
    ],
)
def test_what_was_found_in_any_layout_reads_back_the_same(folder, place: str, names: list[str], declared: LabelScheme | None) -> None:
    root = folder(*names)
    if declared is not None:
        (root / "labels.json").write_text(json.dumps(declared.to_json()))
    dataset = open_dataset(root)
    path = root / place
    write_manifest(path, dataset)
    assert essence(open_dataset(path)) == essence(dataset)
    assert str(root) not in path.read_text()  # the list moves along with the files


def test_a_table_reads_back_the_same_but_for_the_meaning_of_labels(folder) -> None:
    dataset = open_dataset(folder(*PATIENTS))
    path = dataset.root / "list.csv"
    write_manifest(path, dataset)
    assert path.read_text().splitlines()[:2] == ["case,patient,T1,T2,label", "P1,P1,P1/P1_T1.nii.gz,P1/P1_T2.nii.gz,P1/P1_seg.nii.gz"]
    assert essence(open_dataset(path)) == essence(dataset)
    write_manifest(path, replace(dataset, labels=SCHEME))
    assert open_dataset(path).labels == dataset.labels  # found out


@pytest.mark.parametrize("name", ["list.csv", "list.json"])
def test_a_file_of_several_channels_reads_back_the_same(folder, name: str) -> None:
    import nibabel as nib

    root = folder("imagesTr/a.nii.gz", "labelsTr/a.nii.gz")
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 3), np.uint8), np.eye(4)), root / "imagesTr/a.nii.gz")
    (root / "dataset.json").write_text(json.dumps({"modality": {"0": "x", "1": "y", "2": "z"}, "labels": {"1": "class 1", "2": "class 2"}}))
    dataset = open_dataset(root)
    write_manifest(root / name, dataset)
    assert essence(open_dataset(root / name)) == essence(dataset)


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="/\\\0\r", exclude_categories=("Cs", "Zs", "Zl", "Zp", "Cc")), min_size=1, max_size=8
)


@given(
    st.lists(st.tuples(NAMES, NAMES, st.lists(NAMES, min_size=2, max_size=2), st.none() | NAMES), min_size=1, max_size=4),
    st.sampled_from(["csv", "json"]),
)
def test_whatever_files_are_called_they_are_found_again(cases: list[tuple[str, str, list[str], str | None]], kind: str) -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        dataset = Dataset(
            root=root,
            layout="test",
            cases=tuple(
                Case(
                    case_id=case_id,
                    patient_id=patient,
                    images=(root / "scans" / f"{images[0]}.nii", root.parent / f"{images[1]} 2.nii"),
                    label=None if label is None else root / f"{label}.nii",
                )
                for case_id, patient, images, label in cases
            ),
            modalities=("T1", "x, y"),
            labels=None,
        )
        write_manifest(root / f"list.{kind}", dataset)
        found = LAYOUT.cases(root / f"list.{kind}")
    assert (found.cases, found.modalities) == (dataset.cases, dataset.modalities)


@pytest.mark.parametrize("name", ["list.csv", "list.json"])
def test_labels_that_are_no_label_map_stay_so(folder, name: str) -> None:
    root = folder("a.nii.gz", "b.nii.gz")
    cases = (
        Case(case_id="a", patient_id="a", images=(root / "a.nii.gz",), label=root / "a objects", label_format="objects"),
        Case(case_id="b", patient_id="b", images=(root / "b.nii.gz",)),
    )
    dataset = Dataset(root=root, layout="test", cases=cases, modalities=("T1",), labels=None)
    write_manifest(root / name, dataset)
    assert LAYOUT.cases(root / name).cases == cases
    text = (root / name).read_text().replace("objects\n", "dreams\n").replace('"objects"', '"dreams"')
    with pytest.raises(CrganError, match=r"format that is not known[\s\S]*objects[\s\S]*got:\s+dreams"):
        LAYOUT.cases(write(root, text, name))


def test_another_ending_is_refused(folder) -> None:
    with pytest.raises(CrganError, match=r"another ending[\s\S]*\.csv or \.json[\s\S]*\.txt"):
        write_manifest(folder("a.nii.gz") / "list.txt", open_dataset(folder()))


@pytest.mark.parametrize(
    "text",
    ["", "patient,T1\np,a.nii", "case,label\na,b.nii", "case,T1,T1\na,b.nii,c.nii", "\x00"],
)
def test_other_tables_are_refused(folder, text: str) -> None:
    with pytest.raises(CrganError, match=r"other columns[\s\S]*case, patient, one for each modality"):
        LAYOUT.cases(write(folder(), text))


def test_a_line_with_a_comma_too_many_is_told(folder) -> None:
    with pytest.raises(CrganError, match=r"too long[\s\S]*line 3[\s\S]*3 fields under 2 columns"):
        LAYOUT.cases(write(folder(), "case,T1\na,a.nii\nb,scans, old/b.nii\n"))


def test_a_table_without_end_is_refused(folder) -> None:
    with pytest.raises(CrganError, match=r"no table[\s\S]*field larger"):
        LAYOUT.cases(write(folder(), 'case,T1\na,"' + "x" * 200_000))


def test_a_table_that_is_no_text_is_refused(folder) -> None:
    path = folder() / "list.csv"
    path.write_bytes(b"case,T1\n\xff,a.nii")
    with pytest.raises(CrganError, match="could not be read"):
        LAYOUT.cases(path)


@pytest.mark.parametrize(
    ("data", "got"),
    [
        ([], "AttributeError"),
        ({"cases": []}, "modalities"),
        ({"modalities": ["T1"]}, "cases"),
        ({"modalities": "T1", "cases": []}, "'T1' where a list was meant"),
        ({"modalities": ["T1"], "cases": [{"case": "a"}]}, "images"),
        ({"modalities": ["T1"], "cases": [{"case": "a", "images": ["a.nii"], "lable": "b.nii"}]}, "unknown lable"),
        ({"modalities": ["T1"], "cases": [], "rules": 1}, "unknown rules"),
    ],
)
def test_other_json_is_refused(folder, data: object, got: str) -> None:
    with pytest.raises(CrganError, match=rf"no manifest[\s\S]*{got}"):
        LAYOUT.cases(write(folder(), json.dumps(data), "list.json"))


def test_all_that_is_wrong_is_told_at_once(folder) -> None:
    with pytest.raises(CrganError) as caught:
        LAYOUT.cases(write(folder(), "case,T1,T2\n,a.nii,b.nii\nb,a.nii,\n"))
    assert [(problem.what, str(problem.where).split(", ")[-1]) for problem in caught.value.problems] == [
        ("A case of the manifest has no name.", "line 2"),
        ("A case of the manifest has no T2.", "line 3"),
    ]
    cases = [{"case": "a", "images": ["x", "y", "z"]}]
    with pytest.raises(CrganError, match=r"another number of images[\s\S]*case 1[\s\S]*2 files \(T1, T2\)[\s\S]*got:\s+3"):
        LAYOUT.cases(write(folder(), json.dumps({"modalities": ["T1", "T2"], "cases": cases}), "list.json"))


def test_other_files_and_folders_are_not_taken(folder) -> None:
    root = folder("a.nii.gz")
    assert not LAYOUT.detect(root)
    assert not LAYOUT.detect(root / "a.nii.gz")
    assert not LAYOUT.detect(root / "absent.csv")
