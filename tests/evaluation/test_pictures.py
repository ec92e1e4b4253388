from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from crgan.cases.case import Case
from crgan.cases.labels import LabelScheme
from crgan.cases.reading import COLOURS
from crgan.evaluation.evidence import Evaluation
from crgan.evaluation.failures import find_failures
from crgan.evaluation.images import Imaged
from crgan.evaluation.pairs import Pair
from crgan.evaluation.pictures import _targets, choose, draw, read_pictured, shown_modality
from crgan.evaluation.reading import Schemes

Make = Callable[..., Evaluation]


def why(made: Evaluation) -> dict[str, str]:
    return {choice.case: choice.why for choice in choose(made, find_failures(made))}


def test_best_median_and_worst_patients_come_first(evaluation: Make) -> None:
    chosen = why(evaluation({"b": 0.2, "a": 0.9, "d": 0.5, "c": 0.6, "e": 0.1}))
    assert list(chosen.items())[:5] == [
        ("e", "Worst patient"),
        ("d", "Median patient"),
        ("a", "Best patient"),
        ("b", "Second worst"),
        ("c", "Failed"),
    ]


@pytest.mark.parametrize(
    ("dice", "expected"),
    [
        ({"a": 0.5}, {"a": "Only patient"}),
        ({"a": 0.5, "b": 0.4}, {"b": "Worst patient", "a": "Best patient"}),
        ({"a": 0.5, "b": 0.4, "c": 0.45}, {"b": "Worst patient", "c": "Median patient", "a": "Best patient"}),
        ({"a": None}, {}),
    ],
)
def test_few_patients_are_called_what_they_are(evaluation: Make, dice: dict[str, float | None], expected: dict[str, str]) -> None:
    assert why(evaluation(dice)) == expected


def test_a_patient_is_shown_by_the_case_with_the_lowest_dice(evaluation: Make) -> None:
    made = evaluation({"a1": 0.9, "a2": 0.7, "b1": 0.1}, patients={"a1": "a", "a2": "a", "b1": "b"})
    assert why(made) == {"b1": "Worst patient", "a2": "Best patient", "a1": "Failed"}


def test_pictures_stop_at_the_budget_but_show_three(evaluation: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made = evaluation({f"p{i}": i / 10 for i in range(9)})
    choices = choose(made, find_failures(made))
    assert len(draw(made, choices)) == 9
    monkeypatch.setattr("crgan.evaluation.pictures.MOST_BYTES", 10)
    assert [viewer.name for viewer in draw(made, choices)] == [choice.case for choice in choices[:3]]


def test_flair_is_shown_where_there_is_one() -> None:
    case = Case(case_id="a", patient_id="a", images=())
    assert shown_modality(Imaged(case=case, modalities=("t1", "FLAIR"))) == "FLAIR"
    assert shown_modality(Imaged(case=case, modalities=("t1", "t2"))) == "t1"
    assert "colours" in shown_modality(Imaged(case=case, modalities=COLOURS))


def test_image_and_masks_lie_on_each_other(tmp_path: Path) -> None:
    affine = np.diag([-1.0, 2.0, 3.0, 1.0])  # the first axis runs to the left
    labels = np.zeros((5, 6, 4), np.uint8)
    labels[1, 2, 3] = 1
    nib.save(nib.Nifti1Image(labels, affine), tmp_path / "a.nii.gz")
    nib.save(nib.Nifti1Image(np.stack([labels * 7.0, labels * 9.0], axis=-1).astype(np.float32), affine), tmp_path / "a_img.nii.gz")
    scheme = LabelScheme(classes={1: "lesion"})
    pair = Pair(case_id="a", mask=tmp_path / "a.nii.gz", label=tmp_path / "a.nii.gz")
    imaged = Imaged(case=Case(case_id="a", patient_id="a", images=(tmp_path / "a_img.nii.gz",)), modalities=("t1", "flair"))
    shown = read_pictured(pair, Schemes(mask=scheme, truth=scheme), imaged)
    assert shown.spacing_mm == (3, 2, 1)
    assert shown.truth.shape == (1, 4, 6, 5)
    assert np.argwhere(shown.truth[0]).tolist() == np.argwhere(shown.image == 9).tolist() == [[3, 2, 3]]
    assert not shown.flat


def test_touching_objects_are_parted() -> None:
    (mask,) = _targets(np.array([[[0, 5, 5, 9, 9, 0, 0]]]), LabelScheme(classes={1: "cell"}, instances=True))
    assert mask.tolist() == [[[False, True, False, True, True, False, False]]]
