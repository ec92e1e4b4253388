from __future__ import annotations

from pathlib import Path

import pytest

from crgan.errors import CrganError
from crgan.evaluation.pairs import Pair, find_masks, find_patients, pair_up, some


def test_masks_are_the_images_right_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "maps").mkdir()
    for name in ("b.nii.gz", "a.png", ".hidden.nii.gz", "labels.json", "notes.txt", "maps/b_probability.nii.gz"):
        (tmp_path / name).touch()
    assert find_masks(tmp_path) == {"a": tmp_path / "a.png", "b": tmp_path / "b.nii.gz"}


def test_pairs_keep_the_order_asked_for_and_take_each_case_once() -> None:
    masks, labels = ({case: Path(folder) / case for case in "abc"} for folder in ("m", "l"))

    def ids(cases: list[str] | None) -> list[str]:
        return [pair.case_id for pair in pair_up(masks, labels, masks=Path("m"), labels=Path("l"), cases=cases)]

    assert ids(["c", "a", "c"]) == ["c", "a"]
    assert ids(None) == ["a", "b", "c"]
    with pytest.raises(CrganError, match="no case to score"):
        ids([])


@pytest.mark.parametrize(
    ("paths", "group", "patients"),
    [
        (("a_1", "a_2", "b_1"), None, ("a_1", "a_2", "b_1")),
        (("x/a_1", "x/a_2", "y/b_1"), None, ("l/x", "l/x", "l/y")),
        (("a_1", "a_2", "b_1"), "^([ab])_", ("a", "a", "b")),
        (("a_1", "a_2", "b_1"), "^[ab]", ("a", "a", "b")),
        (("x/a_1", "x/a_2", "y/b_1"), "([xy])/", ("x", "x", "y")),  # found in the path where the id has none
    ],
)
def test_whose_a_case_is(paths: tuple[str, ...], group: str | None, patients: tuple[str, ...]) -> None:
    pairs = [Pair(case_id=Path(path).name, mask=Path("m") / path, label=Path("l") / path) for path in paths]
    found = find_patients(pairs, Path("l"), group)
    assert [Path(found[pair.case_id]) for pair in pairs] == [Path(patient) for patient in patients]


def test_long_lists_are_cut() -> None:
    assert some([]) == "none"
    assert some("abc") == "a, b, c"
    assert some(range(12)) == "0, 1, 2, 3, 4, 5, 6, 7 and 4 more"
