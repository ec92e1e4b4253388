from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from crgan.cases.labels import LabelScheme
from crgan.cases.schemes import count_values, declared_scheme, discover_scheme, ignoring, read_scheme
from crgan.errors import CrganError

MakeFile = Callable[..., Path]

TUMOUR = LabelScheme(classes={1: "necrosis", 2: "oedema"}, regions={"WT": (1, 2), "TC": (1,)})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.json", json.dumps(TUMOUR.to_json())),
        ("labels.json", '{"classes": {"0": "background", "2": "oedema", "1": "necrosis"}, "regions": {"WT": [1, 2], "TC": [1]}}'),
        ("labels.yaml", "labels:\n  1: necrosis\n  2: oedema\nregions:\n  WT: [1, 2]\n  TC: [1]\n"),
    ],
)
def test_declared_labels_are_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert declared_scheme(tmp_path) == TUMOUR


def test_a_folder_without_declaration_declares_nothing(tmp_path: Path) -> None:
    assert declared_scheme(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("labels.json", "[1, 2]", "does not declare labels"),
        ("labels.json", '{"classes": {"one": "a"}}', "does not declare labels"),
        ("labels.json", '{"classes": [1]}', "does not declare labels"),
        ("labels.json", '{"classes": {}}', "no classes"),
        ("labels.json", '{"classes": {"1": "a"}, "regions": {"R": [1, 5]}}', r"unnamed values \[5\]"),
        ("labels.json", '{"classes": {"1": "a", "2": "b"}, "instances": true}', "Instances are of one class"),
        ("labels.json", "{", "not valid JSON"),
        ("labels.yaml", "a: [", "not valid YAML"),
    ],
)
def test_a_declaration_that_is_none_is_refused(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(CrganError, match=words) as caught:
        read_scheme(tmp_path / name)
    assert caught.value.problems[0].where == tmp_path / name


def test_values_found_in_files_get_numbers_for_names(label: MakeFile) -> None:
    assert discover_scheme([label("a.nii.gz", 1, 4), label("b.nii.gz", 2)]) == LabelScheme(
        classes={1: "class 1", 2: "class 2", 4: "class 4"}
    )


def test_no_files_and_empty_labels_give_no_scheme(label: MakeFile) -> None:
    assert discover_scheme([]) is None
    assert discover_scheme([label("a.nii.gz")]) is None


def test_unreadable_labels_are_left_out_unless_all_are(label: MakeFile, tmp_path: Path) -> None:
    (tmp_path / "b.nii.gz").write_text("no gzip")
    assert discover_scheme([label("a.nii.gz", 3), tmp_path / "b.nii.gz"]) == LabelScheme(classes={3: "class 3"})
    with pytest.raises(CrganError, match="not gzip-compressed"):
        discover_scheme([tmp_path / "b.nii.gz"])


@pytest.mark.parametrize(
    ("files", "dtype", "instances"),
    [
        ([range(1, 31), range(1, 61)], np.uint16, True),
        ([range(1, 31)], np.uint16, True),
        ([[*range(1, 15), *range(16, 31)], range(1, 61)], np.uint16, True),  # an object was deleted
        ([range(1, 31), range(1, 61)], np.uint8, False),  # an atlas in 8 bits
        ([range(1, 31), range(1, 31)], np.uint16, False),  # the same classes in every patient
        ([range(1, 118), range(1, 118, 2)], np.uint16, False),  # classes absent from a patient leave gaps
        ([range(1, 4), range(1, 3)], np.uint16, False),  # few values
        ([[2, 4, 5, 41, 1035, *range(2000, 2030)], [2, 4, 5, 41]], np.uint16, False),  # FreeSurfer
    ],
)
def test_instance_ids_are_told_from_classes(nifti: MakeFile, files, dtype: type, instances: bool) -> None:
    paths = []
    for number, values in enumerate(files):
        array = np.zeros((10, 10, 2), dtype)
        array.flat[: len(values)] = list(values)
        paths.append(nifti(f"{number}.nii.gz", array))
    scheme = discover_scheme(paths)
    assert scheme is not None
    assert scheme.instances is instances
    if instances:
        assert scheme.classes == {1: "object"}


@given(
    hnp.arrays(
        st.sampled_from([np.uint8, np.uint16, np.int32, np.int64]), hnp.array_shapes(max_dims=4, min_side=0), elements=st.integers(0, 99)
    )
)
def test_voxels_are_counted(array: np.ndarray) -> None:
    values, counts = np.unique(array, return_counts=True)
    assert count_values(array) == dict(zip(values.tolist(), counts.tolist(), strict=True))


def test_negative_and_large_values_are_counted_too() -> None:
    assert count_values(np.array([-5, 3, 3, 10**9])) == {-5: 1, 3: 2, 10**9: 1}
    assert count_values(np.full(3_000_000, 7, np.uint8)) == {7: 3_000_000}  # more than one part


def test_the_value_to_ignore_is_no_class(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text('{"classes": {"1": "lesion", "9": "unknown"}, "ignore": 9}')
    assert read_scheme(path) == LabelScheme(classes={1: "lesion"}, ignore=9)
    scheme = LabelScheme(classes={1: "lesion", 9: "class 9"}, regions={"all": (1,)})
    assert ignoring(scheme, 9) == replace(scheme, classes={1: "lesion"}, ignore=9)
    assert ignoring(scheme, None) is scheme
    for value, got in [(1, "part of the region all"), (0, "the background")]:
        with pytest.raises(CrganError, match=f"cannot be ignored[\\s\\S]*{got}"):
            ignoring(scheme, value)
