from __future__ import annotations

import json
from dataclasses import replace
from math import pi
from pathlib import Path

import pytest

from crgan.cases.case import Case, Dataset
from crgan.cases.labels import LabelScheme
from crgan.cases.overview import _by_axis, _counted, equivalent_diameter, overview, to_json
from crgan.cases.summary import CaseSummary, ChannelSummary, TargetSummary
from crgan.errors import Problem

REGIONS = LabelScheme(classes={1: "core", 2: "oedema", 4: "enhancing"}, regions={"WT": (1, 2, 4), "ET": (4,)})


def a_dataset(labels: LabelScheme | None = REGIONS, *, cases: int = 2) -> Dataset:
    return Dataset(
        root=Path("DATA"),
        layout="patient_folders",
        cases=tuple(Case(case_id=f"c{n}", patient_id="p", images=(Path(f"c{n}_t1.nii.gz"),), label=Path("l")) for n in range(cases)),
        modalities=("t1",),
        labels=labels,
    )


def a_summary(case_id: str, label_voxels: dict[int, int] | None, *, low: float = -1.0, median: float = 5.0, dimensions: int = 3):
    return CaseSummary(
        case_id=case_id,
        patient_id="p",
        shape=(10, 10, 10 if dimensions == 3 else 1),
        spacing_mm=(1.0, 1.0, 2.5),
        orientation="RAS",
        dimensions=dimensions,
        dtype="int16",
        channels=(
            ChannelSummary(minimum=low, maximum=90.0, mean=6.0, percentiles=(0.0, median, 80.0), foreground=(2.0, 3.0, median, 8.0, 80.0)),
        ),
        label_voxels=label_voxels,
        bytes_on_disk=1_500_000,
    )


def test_the_whole_of_a_data_set() -> None:
    summaries = [a_summary("c0", {0: 900, 1: 60, 4: 40}), a_summary("c1", {0: 980, 2: 20}, low=-3.0, median=7.0)]
    files, modalities, targets, _ = overview(a_dataset(), summaries)
    assert files.rows == [
        ["layout", "patient_folders"],
        ["cases", "2 of 1 patients, 2 labelled"],
        ["size", "10 × 10 × 10 voxels"],
        ["spacing", "1 × 1 × 2.5 mm"],
        ["orientation", "RAS"],
        ["type", "int16"],
        ["on disk", "3.0 MB"],
    ]
    assert modalities.rows == [["t1", "-3", "2", "6", "80", "90"]]
    assert targets.rows == [["WT", "1, 2, 4", "2 of 2", "2.000%", "6.000%", "10.000%"], ["ET", "4", "1 of 2", "4.000%", "4.000%", "4.000%"]]
    for sheet in overview(a_dataset(), summaries):
        assert {len(row) for row in sheet.rows} == {len(sheet.columns)}


def test_instances_count_whatever_their_ids() -> None:
    scheme = LabelScheme(classes={1: "cell"}, instances=True)
    *_, targets, _ = overview(a_dataset(scheme), [a_summary("c0", {0: 900, 17: 50, 300: 50})])
    assert targets.rows == [["cell", "any", "1 of 1", "10.000%", "10.000%", "10.000%"]]


def test_a_target_that_never_occurs_has_no_share() -> None:
    *_, targets, _ = overview(a_dataset(), [a_summary("c0", {0: 1000})])
    assert targets.rows[1] == ["ET", "4", "0 of 1", "–", "–", "–"]


@pytest.mark.parametrize(("labels", "voxels"), [(None, None), (None, {0: 5}), (REGIONS, None)])
def test_without_labels_there_is_no_sheet_of_targets(labels: LabelScheme | None, voxels: dict[int, int] | None) -> None:
    assert len(overview(a_dataset(labels), [a_summary("c0", voxels)])) == 2


def test_pictures_have_two_axes_and_no_orientation() -> None:
    rows = overview(a_dataset(None), [a_summary("c0", None, dimensions=2)])[0].rows
    assert ["size", "10 × 10 pixels"] in rows
    assert not [row for row in rows if row[0] == "orientation"]


def test_nothing_readable_gives_what_the_names_tell() -> None:
    files, modalities = overview(a_dataset(), [])
    assert [row[0] for row in files.rows] == ["layout", "cases"]
    assert modalities.rows == [["t1", "–", "–", "–", "–", "–"]]


def test_axes() -> None:
    assert _by_axis([(36, 50, 35), (34, 52, 35)]) == "34–36 × 50–52 × 35"


def test_counts() -> None:
    assert _counted(["RAS", "LAS", "RAS"]) == "RAS (2), LAS (1)"
    assert _counted(["RAS", "RAS"]) == "RAS"


def test_json_is_plain_and_complete() -> None:
    problems = [Problem(what="The file is cut short.", where=Path("c0_t1.nii.gz"), got="7 bytes"), Problem(what="Odd.", severity="warning")]
    found = json.loads(json.dumps(to_json(a_dataset(), [a_summary("c0", {0: 9, 4: 1}), a_summary("c1", None)], problems), allow_nan=False))
    assert (found["root"], found["layout"], found["modalities"]) == ("DATA", "patient_folders", ["t1"])
    assert LabelScheme.from_json(found["labels"]) == REGIONS
    assert [case["label_voxels"] for case in found["cases"]] == [{"0": 9, "4": 1}, None]
    assert found["cases"][0]["channels"][0]["percentiles"] == [0.0, 5.0, 80.0]
    assert [problem["where"] for problem in found["problems"]] == ["c0_t1.nii.gz", None]
    assert to_json(a_dataset(None), [], [])["labels"] is None


def test_shares_leave_out_what_is_to_be_ignored() -> None:
    scheme = LabelScheme(classes={1: "lesion"}, ignore=9)
    *_, targets, _ = overview(a_dataset(scheme), [a_summary("c0", {0: 90, 1: 10, 9: 900})])
    assert targets.rows == [["lesion", "1", "1 of 1", "10.000%", "10.000%", "10.000%"]]


def test_diameters_of_a_ball_and_a_disc() -> None:
    assert equivalent_diameter(4 / 3 * pi * 5**3, dimensions=3) == pytest.approx(10)
    assert equivalent_diameter(pi * 5**2, dimensions=2) == pytest.approx(10)
    assert equivalent_diameter(0, dimensions=3) == 0


def with_lesions(*sizes: int, dimensions: int = 3) -> CaseSummary:
    targets = (TargetSummary(name="WT", voxels=sum(sizes), lesions=sizes), TargetSummary(name="ET", voxels=0, lesions=()))
    return replace(a_summary("c0", {0: 900, 1: sum(sizes)}, dimensions=dimensions), targets=targets)


def test_lesions_are_counted_and_measured() -> None:
    *_, lesions = overview(a_dataset(), [with_lesions(40, 4), with_lesions(20)])
    # Voxels of 2.5 mm³: 10, 50 and 100 mm³.
    assert lesions.rows == [["WT", "3", "1–2", "10", "50", "100", "4.57 mm"], ["ET", "0", "–", "–", "–", "–", "–"]]
    assert "smallest mm³" in lesions.columns
    *_, flat = overview(a_dataset(), [with_lesions(9, dimensions=2)])
    assert flat.columns[3] == "smallest mm²"
    assert flat.rows[0][3] == "9"


def test_json_holds_every_lesion() -> None:
    (case,) = to_json(a_dataset(), [with_lesions(40, 4)], [])["cases"]
    target = case["targets"][0]
    assert (target["name"], target["voxels"], target["share"], target["hole_voxels"]) == ("WT", 44, 44 / 1000, 0)
    assert [(lesion["voxels"], lesion["mm3"]) for lesion in target["lesions"]] == [(40, 100.0), (4, 10.0)]
    assert target["lesions"][0]["diameter_mm"] == pytest.approx((600 / pi) ** (1 / 3))


def test_a_movie_is_as_large_as_its_frames_and_as_long_as_there_are() -> None:
    movie = replace(a_summary("01", {0: 900, 1: 100}, dimensions=2), shape=(12_000, 10_000, 7))
    rows = dict(overview(a_dataset(cases=1), [movie])[0].rows)
    assert rows["size"] == "12000 × 10000 × 7 pixels and frames"
    assert rows["spacing"] == "1 × 1 mm"
