from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from crgan.cases.labels import LabelScheme
from crgan.errors import CrganError
from crgan.evaluation.case import score_case
from crgan.evaluation.evaluate import evaluate
from crgan.evaluation.metrics import BRATS_WORST_MM

SCHEME = LabelScheme(classes={1: "core", 2: "oedema", 4: "enhancing"}, regions={"WT": (1, 2, 4), "TC": (1, 4), "ET": (4,)})
AFFINE = np.diag([1.0, 2.0, 3.0, 1.0])
BODY = (slice(2, 6), slice(2, 6), slice(2, 4))  # 32 voxels of 6 mm³


def label_map(**boxes: tuple[slice, ...]) -> np.ndarray:
    """A map of 8 × 8 × 6 voxels, with each value (``v2=…``) in its box."""
    labels = np.zeros((8, 8, 6), np.uint8)
    for name, box in boxes.items():
        labels[box] = int(name[1:])
    return labels


def save(path: Path, labels: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(labels, affine), path)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Masks of three patients: one right, one shifted by half, one missed."""
    folder = tmp_path / "masks"
    save(folder / "p1.nii.gz", label_map(v2=BODY))
    save(folder / "p2.nii.gz", label_map(v2=(slice(4, 8), *BODY[1:])))
    save(folder / "p3.nii.gz", label_map())
    (folder / "maps").mkdir()
    save(folder / "maps" / "p1_WT_probability.nii.gz", label_map())
    (folder / "labels.json").write_text(json.dumps(SCHEME.to_json()))
    return folder


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    folder = tmp_path / "labels"
    for case in ("p1", "p2", "p3"):
        save(folder / f"{case}.nii.gz", label_map(v2=BODY))
    return folder


def problems(*arguments: Path, **options: object) -> list[str]:
    with pytest.raises(CrganError) as caught:
        evaluate(*arguments, **{"out": None, **options})
    return [str(problem) for problem in caught.value.problems]


def test_figures_by_hand(masks: Path, labels: Path) -> None:
    scores = evaluate(masks, labels, out=None)
    whole = {case: targets["WT"] for case, targets in scores.cases.items()}
    assert [metrics["dice"] for metrics in whole.values()] == [1, 0.5, 0]
    assert [metrics["fnr"] for metrics in whole.values()] == [0, 0.5, 1]
    assert [metrics["false_positive_mm3"] for metrics in whole.values()] == [0, 16 * 6, 0]
    assert [metrics["hausdorff_mm"] for metrics in whole.values()] == [0, 2, None]  # 2 voxels of 1 mm along the first axis
    assert scores.cases["p1"]["ET"] == scores.cases["p1"]["ET"] | {"dice": None, "fnr": None, "hd95_mm": None, "fpr": 0}
    assert scores.summary["WT"]["dice"].mean == pytest.approx(0.5)
    assert (scores.summary["WT"]["hausdorff_mm"].mean, scores.summary["WT"]["hausdorff_mm"].n) == (1, 2)
    assert scores.summary["ET"]["dice"].n == 0


def test_brats_counts_what_is_empty(masks: Path, labels: Path) -> None:
    scores = evaluate(masks, labels, out=None, empty="brats")
    assert scores.cases["p1"]["ET"]["dice"] == 1
    assert scores.cases["p3"]["WT"]["hd95_mm"] == BRATS_WORST_MM
    assert scores.summary["ET"]["dice"].n == 3


def test_nested_regions_take_in_what_lies_inside() -> None:
    truth = label_map(
        v2=(slice(0, 4), slice(0, 4), slice(0, 4)), v1=(slice(0, 2), slice(0, 4), slice(0, 4)), v4=(slice(0, 1), slice(0, 4), slice(0, 4))
    )
    prediction = np.where(truth == 4, 1, truth)  # enhancing tissue taken for core
    scores = score_case(prediction, truth, SCHEME, spacing_mm=(1, 1, 1)).metrics
    assert {target: metrics["dice"] for target, metrics in scores.items()} == {"WT": 1, "TC": 1, "ET": 0}


def test_exclusive_classes_are_scored_each_alone() -> None:
    scheme = LabelScheme(classes={1: "anterior", 2: "posterior"})
    truth, prediction = np.array([[1, 1, 2, 2]]), np.array([[1, 2, 2, 2]])
    scores = score_case(prediction, truth, scheme, spacing_mm=(1, 1)).metrics
    assert scores["anterior"]["dice"] == pytest.approx(2 / 3)
    assert scores["posterior"]["dice"] == pytest.approx(4 / 5)


def test_instances_are_scored_as_one_mask_and_one_by_one() -> None:
    scheme = LabelScheme(classes={1: "cell"}, instances=True)
    scores = score_case(np.array([[0, 3, 3, 70]]), np.array([[0, 1, 2, 2]]), scheme, spacing_mm=(1, 1)).metrics
    assert scores["cell"]["dice"] == 1
    assert scores["cell"]["ap_50"] == 0  # each predicted object holds half of a true one, and no more
    assert "lesion_f1" not in scores["cell"]  # touching cells are no lesion


def test_files_hold_the_scores(masks: Path, labels: Path, tmp_path: Path) -> None:
    scores = evaluate(masks, labels, out=tmp_path / "new" / "scores")
    folder = tmp_path / "new" / "scores"
    assert sorted(path.name for path in folder.iterdir()) == ["lesions.csv", "report.html", "scores.csv", "scores.json"]
    assert json.loads((folder / "scores.json").read_text()) == scores.to_json()
    with (folder / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["case"], row["target"]) for row in rows] == [
        (case, target) for case in ("p1", "p2", "p3") for target in ("WT", "TC", "ET")
    ]
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "3 cases of 3 patients" in page
    assert page.count('class="viewer"') == 3
    with (folder / "lesions.csv").open(newline="") as file:
        lesions = list(csv.DictReader(file))
    assert [(row["case"], row["found"], row["dice"], row["assd_mm"]) for row in lesions] == [
        ("p1", "1", "1", "0"),
        ("p2", "1", "0.5", lesions[1]["assd_mm"]),
        ("p3", "0", "0", ""),
    ]
    assert float(lesions[0]["diameter_mm"]) == pytest.approx((6 / np.pi * 32 * 6) ** (1 / 3), rel=1e-3)


def test_old_scores_are_replaced_only_if_asked(masks: Path, labels: Path, tmp_path: Path) -> None:
    evaluate(masks, labels, out=tmp_path / "out")
    (tmp_path / "out" / "scores.csv").write_text("old")
    (told,) = problems(masks, labels, out=tmp_path / "out")
    assert "--overwrite" in told
    assert (tmp_path / "out" / "scores.csv").read_text() == "old"
    evaluate(masks, labels, out=tmp_path / "out", overwrite=True)
    assert (tmp_path / "out" / "scores.csv").read_text() != "old"


def test_number_of_workers_changes_nothing(masks: Path, labels: Path) -> None:
    assert evaluate(masks, labels, out=None, workers=1) == evaluate(masks, labels, out=None, workers=3)


def test_labels_without_masks_and_masks_without_labels_are_told_together(masks: Path, labels: Path) -> None:
    (labels / "p3.nii.gz").rename(labels / "p4.nii.gz")
    told = problems(masks, labels)
    assert len(told) == 2
    assert any("p4" in text and "has no mask" in text for text in told)
    assert any("p3" in text and "has no label" in text for text in told)


def test_cases_name_a_subset(masks: Path, labels: Path) -> None:
    (masks / "p2.nii.gz").unlink()
    assert len(problems(masks, labels)) == 1
    assert list(evaluate(masks, labels, out=None, cases=["p3", "p1"]).cases) == ["p3", "p1"]
    assert "has no mask" in problems(masks, labels, cases=["p1", "p2"])[0]
    assert "has no label" in problems(masks, labels, cases=["p1", "p9"])[0]
    assert "no case" in problems(masks, labels, cases=[])[0]


def test_a_mask_without_a_label_is_told_even_if_cases_are_named(masks: Path, labels: Path) -> None:
    save(masks / "stranger.nii.gz", label_map())
    assert "stranger" in problems(masks, labels, cases=["p1"])[0]


def test_all_grids_that_differ_are_told_together(masks: Path, labels: Path) -> None:
    shifted = AFFINE.copy()
    shifted[0, 3] = 5
    save(masks / "p1.nii.gz", label_map(), shifted)
    save(masks / "p2.nii.gz", np.zeros((8, 8, 5), np.uint8))
    flipped = AFFINE.copy()
    flipped[0, 0] = -1
    save(masks / "p3.nii.gz", label_map(), flipped)
    told = problems(masks, labels)
    assert ["shape" in text.splitlines()[0] for text in told] == [False, True, False]
    assert all("grid of" in text for text in told)
    assert "LAS" in told[2]


def test_values_that_nobody_declared_are_told_for_all_files(masks: Path, labels: Path) -> None:
    save(masks / "p1.nii.gz", label_map(v3=BODY))
    save(labels / "p2.nii.gz", label_map(v7=BODY))
    told = problems(masks, labels)
    assert len(told) == 2
    assert {("p1" if "p1" in text else "p2"): text.split("got:")[1].split()[0] for text in told} == {"p1": "3", "p2": "7"}


def test_unreadable_files_are_told_together(masks: Path, labels: Path) -> None:
    for path in (masks / "p1.nii.gz", labels / "p3.nii.gz"):
        path.write_bytes(path.read_bytes()[:60])
    assert len(problems(masks, labels)) == 2


def test_masks_without_a_scheme_take_the_one_of_the_labels(masks: Path, labels: Path) -> None:
    (masks / "labels.json").rename(labels / "labels.json")
    assert evaluate(masks, labels, out=None).cases["p1"]["WT"]["dice"] == 1
    (labels / "labels.json").unlink()
    assert "labels.json" in problems(masks, labels)[0]


def test_folder_of_masks_must_be_there(tmp_path: Path, labels: Path) -> None:
    assert "masks" in problems(tmp_path / "nowhere", labels)[0]


def test_two_masks_of_one_case_are_told(masks: Path, labels: Path) -> None:
    save(masks / "p1.nii", label_map())
    assert "p1.nii, p1.nii.gz" in problems(masks, labels)[0] or "p1.nii.gz, p1.nii" in problems(masks, labels)[0]


def six_cases(tmp_path: Path, pattern: str) -> tuple[Path, Path]:
    rng = np.random.default_rng(0)
    for number in range(6):
        patient = f"a{number // 2}"
        truth = rng.random((6, 6, 6)) < 0.3
        wrong = rng.random(truth.shape) < 0.05 * (number // 2)
        name = f"{patient}_t{number}"
        save(tmp_path / "truth" / pattern.format(patient=patient, case=name), truth.astype(np.uint8))
        save(tmp_path / "masks" / f"{name}.nii.gz", (truth ^ wrong).astype(np.uint8))
    (tmp_path / "masks" / "labels.json").write_text('{"classes": {"1": "lesion"}}')
    return tmp_path / "masks", tmp_path / "truth"


def test_intervals_are_over_the_patients_that_group_finds(tmp_path: Path) -> None:
    masks, labels = six_cases(tmp_path, "{case}.nii.gz")
    by_case = evaluate(masks, labels, out=None).summary["lesion"]["dice"]
    by_patient = evaluate(masks, labels, out=None, group=r"^(a\d)").summary["lesion"]["dice"]
    assert by_case.mean == by_patient.mean
    assert by_case.n == by_patient.n == 6
    assert by_patient.ci_low < by_case.ci_low  # three patients tell less than six
    assert evaluate(masks, labels, out=None, group=r"^a[01]_|a2").summary["lesion"]["dice"].ci_low == by_patient.ci_low
    assert "no patient" in problems(masks, labels, group="^(b)")[0]
    assert "regular expression" in problems(masks, labels, group="(")[0]


def test_intervals_are_over_folders_where_labels_lie_in_several(tmp_path: Path) -> None:
    for number in range(6):
        save(tmp_path / "truth" / f"a{number // 2}" / f"a{number // 2}_t{number}_img.nii.gz", np.zeros((6, 6, 6), np.int16))
    masks, labels = six_cases(tmp_path, "{patient}/{case}_seg.nii.gz")
    by_folder = evaluate(masks, labels, out=None, pattern="{patient}/{case}_{modality}.nii.gz").summary["lesion"]["dice"]
    save_flat = tmp_path / "flat"
    save_flat.mkdir()
    for path in labels.rglob("*_seg.nii.gz"):
        path.rename(save_flat / path.name.replace("_seg", ""))
    assert by_folder == evaluate(masks, save_flat, out=None, group=r"^(a\d)").summary["lesion"]["dice"]


def test_two_dimensional_images_are_measured_in_the_plane(tmp_path: Path) -> None:
    from PIL import Image

    for folder, shift in (("masks", 3), ("labels", 0)):
        (tmp_path / folder).mkdir()
        picture = np.zeros((20, 30), np.uint8)
        picture[5:12, 4 + shift : 11 + shift] = 1
        Image.fromarray(picture).save(tmp_path / folder / "cell.png")
    (tmp_path / "masks" / "labels.json").write_text('{"classes": {"1": "cell"}}')
    metrics = evaluate(tmp_path / "masks", tmp_path / "labels", out=None).cases["cell"]["cell"]
    assert metrics["dice"] == pytest.approx(4 / 7)
    assert metrics["hausdorff_mm"] == 3
    assert metrics["assd_mm"] > 1


def test_progress_counts_cases(masks: Path, labels: Path) -> None:
    told: list[object] = []

    class Listener:
        @contextmanager
        def task(self, name: str, total: int) -> Iterator[Listener]:
            told.append((name, total))
            yield self

        def advance(self, n: int = 1, **figures: float) -> None:
            told.append(n)

        def note(self, text: str) -> None:
            told.append(text)

    evaluate(masks, labels, out=None, progress=Listener())
    assert told == [("scoring", 3), 1, 1, 1]


def test_what_nobody_annotated_is_not_scored(masks: Path, labels: Path) -> None:
    truth = np.full((8, 8, 6), 9, np.uint8)
    truth[:, :, 2] = label_map(v2=BODY)[:, :, 2]
    save(labels / "p2.nii.gz", truth)
    assert any("9" in problem and "nobody declared" in problem for problem in problems(masks, labels))
    (labels / "labels.json").write_text(json.dumps({"classes": {"1": "core", "2": "oedema", "4": "enhancing"}, "ignore": 9}))
    save(masks / "p2.nii.gz", np.where(np.arange(6) == 2, label_map(v2=(slice(4, 8), *BODY[1:])), 1).astype(np.uint8))
    scores = evaluate(masks, labels, out=None)  # the regions beside the masks, the value to ignore beside the labels
    whole = scores.cases["p2"]["WT"]
    assert (whole["dice"], whole["fnr"], whole["false_positive_mm3"], whole["hausdorff_mm"]) == (0.5, 0.5, 8 * 6, 2)
    assert scores.cases["p2"]["TC"]["fpr"] == 0


def test_images_tell_where_false_alarms_could_be(masks: Path, labels: Path, tmp_path: Path) -> None:
    body = np.zeros((8, 8, 6), np.int16)
    body[1:7, 1:7, 1:5] = 100 + np.arange(6 * 6 * 4).reshape(6, 6, 4) % 7
    for case in ("p1", "p2", "p3"):
        save(tmp_path / "images" / f"{case}.nii.gz", body)
    scores = evaluate(masks, labels, out=None, images=tmp_path / "images")
    # 144 voxels are body, 32 of them lesion; the shifted mask has 16 voxels outside the lesion, of which 8 are within the body.
    assert scores.cases["p2"]["WT"]["fpr_foreground"] == pytest.approx(8 / (144 - 32))
    assert scores.cases["p2"]["WT"]["fpr"] == pytest.approx(16 / (384 - 32))
    assert evaluate(masks, labels, out=None).cases["p2"]["WT"]["fpr_foreground"] is None
    save(tmp_path / "images" / "p2.nii.gz", body[:, :, :5])
    (tmp_path / "images" / "p3.nii.gz").unlink()
    assert ["no image" in text for text in problems(masks, labels, images=tmp_path / "images")] == [True]
    told = problems(masks, labels, images=tmp_path / "images", cases=["p1", "p2"])
    assert "differ in shape" in told[0]


def test_options_reach_the_figures_and_are_written_down(masks: Path, labels: Path) -> None:
    scores = evaluate(masks, labels, out=None, tolerance_mm=2, lesion_splits_mm=[3, 8], without=["lesions"])
    assert scores.cases["p2"]["WT"]["nsd"] == 1
    assert "lesions" not in scores.cases["p2"]["WT"]
    settings = {"empty": "null", "tolerance_mm": 2, "lesion_splits_mm": [3, 8], "without": ["lesions"]}
    assert scores.to_json()["settings"] == settings | {"calibration_within": "box"}
    assert evaluate(masks, labels, out=None, lesion_splits_mm=[3]).cases["p2"]["WT"]["lesions_from_3mm"] == 1
    assert "--lesion-split" in problems(masks, labels, lesion_splits_mm=[8, 3])[0]


def test_negative_instance_ids_are_told(tmp_path: Path) -> None:
    for folder in ("masks", "labels"):
        save(tmp_path / folder / "a.nii.gz", np.full((4, 4, 4), -1 if folder == "masks" else 1, np.int16))
    (tmp_path / "masks" / "labels.json").write_text('{"classes": {"1": "cell"}, "instances": true}')
    assert "negative" in problems(tmp_path / "masks", tmp_path / "labels")[0]
    save(tmp_path / "masks" / "a.nii.gz", np.full((4, 4, 4), 7, np.int16))
    assert evaluate(tmp_path / "masks", tmp_path / "labels", out=None).cases["a"]["cell"]["seg"] == 1


def test_the_same_targets_may_have_other_values_in_the_truth(masks: Path, labels: Path) -> None:
    moved = {"classes": {"1": "core", "2": "oedema", "3": "enhancing"}, "regions": {"WT": [1, 2, 3], "TC": [1, 3], "ET": [3]}}
    save(masks / "p1.nii.gz", label_map(v4=BODY))
    save(labels / "p1.nii.gz", label_map(v3=BODY))
    assert any("nobody declared" in problem for problem in problems(masks, labels))
    (labels / "labels.json").write_text(json.dumps(moved))
    assert evaluate(masks, labels, out=None).cases["p1"]["ET"]["dice"] == 1


def test_probabilities_are_held_against_the_truth(masks: Path, labels: Path, tmp_path: Path) -> None:
    probability = np.where(label_map(v2=BODY) > 0, 0.75, 0.0).astype(np.float32)
    save(masks / "maps" / "p1_WT_probability.nii.gz", probability)
    scores = evaluate(masks, labels, out=tmp_path / "out")
    # The box reaches 10 mm beyond the body, which is the whole grid: 32 voxels are off by 0.25, the others are right.
    assert scores.cases["p1"]["WT"]["ece"] == pytest.approx(32 * 0.25 / 384)
    assert scores.cases["p1"]["WT"]["brier"] == pytest.approx(32 * 0.25**2 / 384)
    assert scores.cases["p2"]["WT"]["ece"] is None
    assert scores.cases["p1"]["TC"]["ece"] is None
    assert scores.summary["WT"]["ece"].n == 1
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "given 0.75 true in 1.00" in page
    (masks / "maps" / "p1_WT_probability.nii.gz").unlink()
    assert "ece" not in evaluate(masks, labels, out=None).cases["p1"]["WT"]


def test_probabilities_are_counted_within_the_foreground_where_images_tell_it(masks: Path, labels: Path, tmp_path: Path) -> None:
    body = np.zeros((8, 8, 6), np.int16)
    body[1:7, 1:7, 1:5] = 100 + np.arange(6 * 6 * 4).reshape(6, 6, 4) % 7
    for case in ("p1", "p2", "p3"):
        save(tmp_path / "images" / f"{case}.nii.gz", body)
    save(masks / "maps" / "p1_WT_probability.nii.gz", np.where(label_map(v2=BODY) > 0, 0.75, 0.0).astype(np.float32))
    scores = evaluate(masks, labels, out=None, images=tmp_path / "images")
    assert scores.cases["p1"]["WT"]["ece"] == pytest.approx(32 * 0.25 / 144)
    assert scores.settings["calibration_within"] == "foreground"


def test_maps_that_are_none_are_told_together(masks: Path, labels: Path) -> None:
    save(masks / "maps" / "p1_WT_probability.nii.gz", np.full((8, 8, 6), 1.5, np.float32))
    save(masks / "maps" / "p2_WT_probability.nii.gz", np.zeros((8, 8, 5), np.float32))
    told = problems(masks, labels)
    assert ["no probabilities" in text for text in told].count(True) == 1
    assert ["different shape" in text for text in told].count(True) == 1


def test_the_report_quotes_the_command(masks: Path, labels: Path, tmp_path: Path) -> None:
    evaluate(masks, labels, out=tmp_path / "out", command="crgan evaluate --tolerance 2")
    assert "crgan evaluate --tolerance 2" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
