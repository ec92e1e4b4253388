from __future__ import annotations

import pytest

from crgan.cases.layouts.pattern import Pattern
from crgan.errors import CrganError


def rows(root, found) -> list[tuple[str, str, list[str], str | None]]:
    return sorted(
        (
            case.case_id,
            case.patient_id,
            [path.relative_to(root).as_posix() for path in case.images],
            case.label and case.label.relative_to(root).as_posix(),
        )
        for case in found.cases
    )


@pytest.mark.parametrize(
    ("pattern", "files", "modalities", "expected"),
    [
        (
            "{patient}/{case}_{modality}.nii.gz",
            ["P1/v1_T1.nii.gz", "P1/v1_seg.nii.gz", "P1/v2_T1.nii.gz", "extra/deep/v1_T1.nii.gz"],
            ("T1",),
            [("v1", "P1", ["P1/v1_T1.nii.gz"], "P1/v1_seg.nii.gz"), ("v2", "P1", ["P1/v2_T1.nii.gz"], None)],
        ),
        (
            "{patient}/{patient}_{modality}",
            ["A/A_b.nii.gz", "A/A_a.nii", "A/B_a.nii", "A/A_gt.nii.gz"],
            ("a", "b"),
            [("A", "A", ["A/A_a.nii", "A/A_b.nii.gz"], "A/A_gt.nii.gz")],
        ),
        (
            "images/{patient}/{case}.png;masks/{case}_labels.png",
            ["images/P/x.png", "images/P/y.png", "masks/x_labels.png"],
            ("image",),
            [("x", "P", ["images/P/x.png"], "masks/x_labels.png"), ("y", "P", ["images/P/y.png"], None)],
        ),
        (
            "*/{modality}/{case}.nii.gz ; truth/{case}.nii.gz",
            ["site1/T1/a.nii.gz", "site1/T2/a.nii.gz", "site2/T1/b.nii.gz", "site2/T2/b.nii.gz", "truth/a.nii.gz"],
            ("T1", "T2"),
            [
                ("a", "a", ["site1/T1/a.nii.gz", "site1/T2/a.nii.gz"], "truth/a.nii.gz"),
                ("b", "b", ["site2/T1/b.nii.gz", "site2/T2/b.nii.gz"], None),
            ],
        ),
        (
            "{patient}/{case}.nii.gz;{patient}/{case}_seg.nii.gz",  # the first part matches the labels too
            ["P/scan.nii.gz", "P/scan_seg.nii.gz", "Q/scan.nii.gz"],
            ("image",),
            [("P_scan", "P", ["P/scan.nii.gz"], "P/scan_seg.nii.gz"), ("Q_scan", "Q", ["Q/scan.nii.gz"], None)],
        ),
        (
            "{patient}/ses-*/anat/{case}_{modality}.nii.gz",
            ["s1/ses-1/anat/s1_1_T1.nii.gz", "s1/ses-1/dwi/s1_1_T1.nii.gz"],
            ("T1",),
            [("s1_1", "s1", ["s1/ses-1/anat/s1_1_T1.nii.gz"], None)],
        ),
        (
            "{case}+(1).nii.gz",  # characters that regular expressions take for more
            ["a+(1).nii.gz", "aa1.nii.gz"],
            ("image",),
            [("a", "a", ["a+(1).nii.gz"], None)],
        ),
    ],
)
def test_names_are_read_as_the_pattern_says(folder, pattern: str, files: list[str], modalities: tuple[str, ...], expected) -> None:
    root = folder(*files)
    layout = Pattern(pattern)
    assert layout.detect(root)
    found = layout.cases(root)
    assert found.modalities == modalities
    assert rows(root, found) == expected


def test_a_missing_modality_is_named_where_it_would_be(folder) -> None:
    root = folder("T1/a.nii.gz", "T2/a.nii.gz", "T2/b.nii.gz")
    found = Pattern("{modality}/{case}.nii.gz").cases(root)
    assert found.cases[1].images == (root / "T1/b.nii.gz", root / "T2/b.nii.gz")


def test_nothing_that_fits_is_not_taken(folder) -> None:
    root = folder("a.nii.gz", "b.txt")
    assert not Pattern("{patient}/{case}.nii.gz").detect(root)
    assert not Pattern("{case}.txt").detect(root)
    assert not Pattern("{case}.nii.gz").detect(root / "a.nii.gz")


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{patient}/{subject}.nii.gz", "unknown placeholder"),
        ("*/{modality}.nii.gz", "does not tell cases apart"),
        ("a.nii.gz", "does not tell cases apart"),
        ("{case};{case}_a;{case}_b", "more than two parts"),
        ("{case}.nii.gz;{patient}.nii.gz", "no placeholder in common"),
    ],
)
def test_a_pattern_that_cannot_work_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(CrganError, match=words):
        Pattern(pattern)


def test_two_files_for_one_place_are_told(folder) -> None:
    root = folder("x/a.nii.gz", "y/a.nii.gz", "x/l_seg.nii.gz", "y/l_seg.nii.gz")
    with pytest.raises(CrganError, match=r"Two files are the image image of case a[\s\S]*x/a\.nii\.gz, y/a\.nii\.gz"):
        Pattern("*/{case}.nii.gz").cases(root)
    (problem,) = Pattern("*/{case}_{modality}.nii.gz").cases(root).ambiguous
    assert (problem.what, problem.got) == ("Case l has 2 label files.", "l_seg.nii.gz, l_seg.nii.gz")
