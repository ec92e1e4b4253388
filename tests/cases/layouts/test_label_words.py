from __future__ import annotations

import pytest

from crgan.cases.layouts.label_words import is_helper, is_modality, is_time_point, split_token, strip_label_word


@pytest.mark.parametrize(
    ("stem", "base"),
    [
        ("patient001_frame01_gt", "patient001_frame01"),
        ("brats_2013_pat0001_1_seg", "brats_2013_pat0001_1"),
        ("patient07_lesion", "patient07"),
        ("t1w_seg-manual", "t1w"),
        ("t2s_uncropped_gmseg_manual", "t2s_uncropped"),
        ("BraTS-GLI-00000-000-seg", "BraTS-GLI-00000-000"),
        ("case.label", "case"),
        ("P1_Segmentation", "P1"),
        ("P1_lesion_mask", "P1"),
        ("P1_consensus_gt", "P1_consensus"),
        ("seg", ""),
        ("mask", ""),
        ("patient001_frame01", None),
        ("P1_T1", None),
        ("segmented", None),
        ("bighttps", None),
        ("label_01", None),  # a number at the end tells cases apart
    ],
)
def test_labels_are_known_by_their_last_words(stem: str, base: str | None) -> None:
    assert strip_label_word(stem) == base


@pytest.mark.parametrize(
    "word", ["T1", "t1ce", "T1POST", "t2w", "T2s", "flair", "FLAIR", "dwi", "ADC", "ct", "pet", "t1c", "t1n", "t2f", "MR", "t1gd"]
)
def test_modalities_are_known(word: str) -> None:
    assert is_modality(word)
    assert not is_time_point(word)


@pytest.mark.parametrize("word", ["frame01", "12", "visit2", "tp3", "ses-1", "0001", "slice17"])
def test_time_points_are_known(word: str) -> None:
    assert is_time_point(word)
    assert not is_modality(word)


@pytest.mark.parametrize("word", ["uncropped", "a", "left", "T3", "image"])
def test_other_words_are_neither(word: str) -> None:
    assert not is_time_point(word)
    assert not is_modality(word)


def test_masks_of_the_brain_are_no_labels() -> None:
    assert is_helper("P1_brainmask")
    assert is_helper("P1_brain_mask")
    assert is_helper("brain_mask")
    assert not is_helper("P1_mask")
    assert not is_helper("P1_lesion_mask")


@pytest.mark.parametrize(("stem", "expected"), [("p1_frame01", ("p1", "frame01")), ("a-b.c", ("a-b", "c")), ("t2", None), ("", None)])
def test_the_last_word_is_cut_off(stem: str, expected: tuple[str, str] | None) -> None:
    assert split_token(stem) == expected
