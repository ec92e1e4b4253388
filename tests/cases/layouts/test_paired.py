from __future__ import annotations

import pytest

from crgan.cases.layouts.paired import Paired

LAYOUT = Paired()


@pytest.mark.parametrize(
    ("images", "labels", "ending", "suffixes"),
    [
        ("images", "labels", "", (".png", ".png")),
        ("images", "masks", "_mask", (".nii.gz", ".nii.gz")),
        ("imagesTr", "labelsTr", "", (".nii.gz", ".nii")),
    ],
)
def test_equal_stems_belong_together(folder, images: str, labels: str, ending: str, suffixes: tuple[str, str]) -> None:
    root = folder(*(f"{images}/{name}{suffixes[0]}" for name in "ab"), *(f"{labels}/{name}{ending}{suffixes[1]}" for name in "ab"))
    assert LAYOUT.detect(root)
    found = LAYOUT.cases(root)
    assert [(case.case_id, case.patient_id) for case in found.cases] == [("a", "a"), ("b", "b")]
    assert found.cases[1].images == (root / f"{images}/b{suffixes[0]}",)
    assert found.cases[1].label == root / f"{labels}/b{ending}{suffixes[1]}"
    assert found.modalities == ("image",)


def test_cases_without_label_and_labels_without_image_are_kept(folder) -> None:
    root = folder("images/a.png", "images/b.png", "labels/a.png", "labels/c.png")
    cases = {case.case_id: case for case in LAYOUT.cases(root).cases}
    assert cases["b"].label is None
    assert cases["c"].images == (root / "images/c.png",)
    assert not cases["c"].images[0].exists()


def test_images_alone_are_enough(folder) -> None:
    root = folder("images/a.png")
    assert LAYOUT.detect(root)
    assert [case.label for case in LAYOUT.cases(root).cases] == [None]


@pytest.mark.parametrize("names", [["labels/a.png"], ["a.png"], ["images/notes.txt"], ["imagesTr/a.nii.gz"]])
def test_other_folders_are_not_taken(folder, names: list[str]) -> None:
    assert not LAYOUT.detect(folder(*names))
