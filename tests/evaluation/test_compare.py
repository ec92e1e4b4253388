from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crgan.errors import CrganError
from crgan.evaluation.compare import compare, compare_scores, difference_rows, notes, p_value, rank_rows, read_scores
from crgan.evaluation.scores import Scores

CASES = [f"p{number}" for number in range(12)]


def scores_of(shift: float, *, cases: list[str] = CASES, targets: tuple[str, ...] = ("WT", "ET"), tolerance_mm: float = 1) -> Scores:
    rng = np.random.default_rng(5)
    values = {case: 0.5 + 0.2 * rng.random() for case in CASES}
    figures = {
        case: {
            target: {
                "dice": values[case] + shift,
                "fnr": 0.4 - values[case] / 2 - shift,
                "hd95_mm": None if case == "p3" and shift else 3.0,
                "rvd": shift,
            }
            for target in targets
        }
        for case in cases
    }
    return Scores.of(figures, patients={case: case for case in cases}, settings={"empty": "null", "tolerance_mm": tolerance_mm})


def write(folder: Path, scores: Scores) -> Path:
    scores.write_json(folder / "scores.json")
    return folder


def test_differences_and_ranks_of_three_systems(tmp_path: Path) -> None:
    folders = {name: write(tmp_path / name, scores_of(shift)) for name, shift in (("unet", 0.0), ("full", 0.1), ("cgan", 0.02))}
    found = compare(folders)
    assert (found.systems, found.cases, found.patients, found.left_out) == (("unet", "full", "cgan"), 12, 12, ())
    assert len(found.differences) == 3 * 2 * 3  # metrics known to all, targets, pairs
    first = found.differences[0]
    assert (first.target, first.metric, first.first, first.second) == ("WT", "dice", "unet", "full")
    assert first.paired.difference == pytest.approx(0.1)
    assert first.wilcoxon_holm == pytest.approx(6 * 2 / 2**12)  # three pairs of two targets
    hd95 = next(d for d in found.differences if d.metric == "hd95_mm" and d.second == "full")
    assert (hd95.paired.n, hd95.paired.difference, hd95.wilcoxon_holm) == (11, 0, 1)
    assert [rank.system for rank in found.ranking["dice"]["WT"]] == ["full", "cgan", "unet"]
    assert [rank.system for rank in found.ranking["fnr"]["ET"]] == ["full", "cgan", "unet"]
    assert {rank.n for rank in found.ranking["hd95_mm"]["WT"]} == {11}


def test_a_pair_may_have_scores_of_its_own() -> None:
    scores = {"unet": scores_of(0.0), "full": scores_of(0.1), "cgan": scores_of(0.02)}
    found = compare_scores(scores, metrics=["dice", "hd95_mm"], pairs={("unet", "full"): {"unet": scores_of(0.0), "full": scores_of(0.3)}})
    one, other, third = (found.between(*pair, "dice")[0] for pair in (("unet", "full"), ("unet", "cgan"), ("full", "cgan")))
    assert [one.paired.difference, other.paired.difference, third.paired.difference] == pytest.approx([0.3, 0.02, -0.08])
    mean = scores["unet"].summary["WT"]["dice"].mean
    assert (one.first_mean, one.second_mean) == pytest.approx((mean, mean + 0.3))
    assert (one.reversed().first_mean, one.reversed().second_mean) == (one.second_mean, one.first_mean)
    assert [rank.mean for rank in found.ranking["dice"]["WT"]] == pytest.approx([mean + 0.1, mean + 0.02, mean])
    assert found.between("unet", "full", "hd95_mm")[0].second_mean == 3


def test_means_of_nothing_are_undefined() -> None:
    nothing = Scores.of({"p": {"WT": {"dice": None}}}, patients={"p": "p"})
    (difference,) = compare_scores({"a": nothing, "b": nothing}, metrics=["dice"]).differences
    assert (difference.first_mean, difference.second_mean) == (None, None)


def test_json_is_plain_and_complete() -> None:
    data = json.loads(
        json.dumps(compare_scores({"a": scores_of(0), "b": scores_of(0.1)}, metrics=["dice", "rvd"]).to_json(), allow_nan=False)
    )
    assert set(data["differences"][0]) == {
        *("target", "metric", "first", "second", "first_mean", "second_mean", "n", "difference", "ci_low", "ci_high", "effect"),
        *("wilcoxon_p", "wilcoxon_holm", "permutation_p", "permutation_holm"),
    }
    assert list(data["ranking"]) == ["dice"]  # neither more nor less volume is better
    assert data["ranking"]["dice"]["WT"][0]["system"] == "b"


def test_tables_and_notes() -> None:
    found = compare_scores({"a": scores_of(0), "b": scores_of(0.1)}, metrics=["dice"])
    assert difference_rows(found)[0] == ["WT", "Dice", "b − a", "+0.100 [+0.100, +0.100]", "+1.00", "<0.001", "<0.001", "12"]
    assert rank_rows(found)[0][:4] == ["WT", "Dice", "1 [1, 1]", "b"]
    assert rank_rows(found)[0][5:] == ["100 %", "12"]
    assert "corrected" in notes(found)[-1]
    assert difference_rows(compare_scores({"a": scores_of(0.1), "b": scores_of(0)}, metrics=["dice"]))[0][3:5] == [
        "−0.100 [−0.100, −0.100]",
        "−1.00",
    ]


def test_few_patients_are_described_only() -> None:
    found = compare_scores({"a": scores_of(0, cases=CASES[:2]), "b": scores_of(0.1, cases=CASES[:4])})
    assert found.left_out == ("p2", "p3")
    assert {difference.wilcoxon_holm for difference in found.differences} == {None}
    assert difference_rows(found)[0][3:] == ["+0.100", "+1.00", "–", "–", "2"]
    assert rank_rows(found)[0][2:] == ["1", "b", rank_rows(found)[0][4], "–", "2"]
    told = " ".join(notes(found))
    assert "Left out, because not all systems have them: p2, p3." in told
    assert "not tested" in told


def test_what_no_patient_has_is_told_as_nothing() -> None:
    empty = {case: {"WT": {"dice": None}} for case in CASES}
    scores = Scores.of(empty, patients={case: case for case in CASES})
    found = compare_scores({"a": scores, "b": scores})
    assert difference_rows(found)[0][3:] == ["–", "–", "–", "–", "0"]
    assert rank_rows(found) == []


@pytest.mark.parametrize(
    ("other", "metrics", "told"),
    [
        (scores_of(0, cases=["p1"], targets=("liver",)), None, "nothing in common"),
        (Scores.of({"q": {"WT": {"dice": 0.5}}}, patients={"q": "q"}), None, "nothing in common"),
        (scores_of(0), ["dice", "dise"], "dise"),
        (scores_of(0, tolerance_mm=2), None, "other conventions"),
    ],
)
def test_what_cannot_be_compared_is_told(tmp_path: Path, other: Scores, metrics: list[str] | None, told: str) -> None:
    folders = {"a": write(tmp_path / "a", scores_of(0)), "b": write(tmp_path / "b", other)}
    with pytest.raises(CrganError, match=told):
        compare(folders, metrics=metrics)


def test_one_system_is_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="at least two"):
        compare({"a": write(tmp_path / "a", scores_of(0))})


@pytest.mark.parametrize("text", ["[]", '{"cases": {}}', '{"cases": {"a": 1}, "summary": {"WT": {"dice": {"mean": 1}}}}', "{"])
def test_files_that_hold_no_scores_are_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "scores.json").write_text(text)
    with pytest.raises(CrganError, match=r"scores\.json"):
        read_scores(tmp_path)


@pytest.mark.parametrize(("p", "text"), [(None, "–"), (0.0004, "<0.001"), (0.0312, "0.031"), (1.0, "1.000")])
def test_p_values(p: float | None, text: str) -> None:
    assert p_value(p) == text


def test_a_difference_the_other_way_round() -> None:
    scores = {
        name: Scores.of({f"p{n}": {"x": {"dice": value + n / 100}} for n in range(4)}, patients={f"p{n}": f"p{n}" for n in range(4)})
        for name, value in (("one", 0.5), ("two", 0.7))
    }
    comparison = compare_scores(scores, metrics=["dice"])
    (forth,), (back,) = comparison.between("one", "two", "dice"), comparison.between("two", "one", "dice")
    assert forth.paired.difference == pytest.approx(0.2)
    assert (back.first, back.second, back.paired.difference) == ("two", "one", pytest.approx(-0.2))
    assert (back.paired.ci_low, back.paired.ci_high) == pytest.approx((-(forth.paired.ci_high or 0), -(forth.paired.ci_low or 0)))
    assert (back.paired.effect, back.paired.n) == (-1, 4)
    assert comparison.between("one", "three", "dice") == []
