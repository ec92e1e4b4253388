from __future__ import annotations

from pathlib import Path

from crgan.cases.layouts.plain import Plain

LAYOUT = Plain()


def test_every_image_is_a_case(folder) -> None:
    root = folder("b.nii.gz", "a.nii.gz", "notes.txt", "maps/a_fn.nii.gz", "._a.nii.gz")
    assert LAYOUT.detect(root)
    found = LAYOUT.cases(root)
    assert [(case.case_id, case.images, case.label) for case in found.cases] == [
        ("a", (root / "a.nii.gz",), None),
        ("b", (root / "b.nii.gz",), None),
    ]
    assert found.modalities == ("image",)


def test_labels_beside_images_are_found(folder) -> None:
    root = folder("a.nii.gz", "a_seg.nii.gz", "b_mask.nii.gz")
    cases = {case.case_id: case.label for case in LAYOUT.cases(root).cases}
    assert cases == {"a": root / "a_seg.nii.gz", "b_mask": None}  # a mask of nothing is an image


def test_a_single_file_is_a_case(folder) -> None:
    path = folder("a.nii.gz", "b.nii.gz") / "a.nii.gz"
    assert LAYOUT.detect(path)
    assert [case.case_id for case in LAYOUT.cases(path).cases] == ["a"]


def test_other_folders_are_not_taken(folder) -> None:
    root = folder("notes.txt", "images/a.nii.gz")
    assert not LAYOUT.detect(root)
    assert not LAYOUT.detect(root / "notes.txt")
    assert not LAYOUT.detect(Path("absent"))
