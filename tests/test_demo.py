from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from crgan.demo import AFTER, BEFORE, MARK, DemoSize, _clear, _rows, _summary, run_demo
from crgan.errors import CrganError
from crgan.evaluation.statistics import Mean

TINY = DemoSize(
    patients=3,
    unseen=3,
    shape=(32, 40, 32),
    steps=4,
    overrides=("planes=[axial]", "validations=1", "generator.widths=[4,8]", "refiner.widths=[4,8]", "batch.length=3"),
)


def some_scores(dice: float | None, fnr: float | None) -> SimpleNamespace:
    def mean(value: float | None) -> Mean:
        return Mean(mean=value, ci_low=None, ci_high=None, n=0 if value is None else 2)

    return SimpleNamespace(summary={"WT": {"dice": mean(dice), "fnr": mean(fnr), "fpr": mean(0.001), "hd95_mm": mean(None)}})


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> SimpleNamespace:
    out = tmp_path_factory.mktemp("demo") / "demo"
    return SimpleNamespace(out=out, result=run_demo(out, size=TINY))


@pytest.mark.slow
class TestWholeWay:
    def test_it_gives_a_row_per_region_before_and_after(self, demo) -> None:
        assert [row[0] for row in demo.result.rows] == [f"{region} {name}" for region in ("WT", "TC", "ET") for name in (BEFORE, AFTER)]
        assert all(len(row) == len(demo.result.columns) for row in demo.result.rows)

    def test_the_table_holds_what_was_scored(self, demo) -> None:
        scores = json.loads((demo.out / f"scores-{AFTER}" / "scores.json").read_text(encoding="utf-8"))
        assert len(scores["cases"]) == TINY.unseen
        fpr = scores["summary"]["WT"]["fpr"]["mean"]
        shown = demo.result.rows[1][demo.result.columns.index("FPR")].split()[0]
        assert float(shown) == pytest.approx(fpr, rel=0.1, abs=1e-3)

    def test_the_report_needs_no_other_file(self, demo) -> None:
        page = demo.result.report.read_text(encoding="utf-8")
        assert "data:image/png;base64," in page
        assert demo.result.title in page

    def test_it_may_be_replaced_only_on_request(self, demo) -> None:
        with pytest.raises(CrganError, match="not empty"):
            run_demo(demo.out, size=TINY)
        assert demo.result.report.exists()


def test_an_earlier_demo_is_removed(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / MARK).write_text("{}", encoding="utf-8")
    _clear(tmp_path / "demo", overwrite=True)
    assert not (tmp_path / "demo").exists()


def test_nothing_that_is_no_demo_is_ever_removed(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work", encoding="utf-8")
    with pytest.raises(CrganError, match="no earlier demo"):
        _clear(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").exists()


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("a note", encoding="utf-8")
    with pytest.raises(CrganError):
        _clear(tmp_path / "demo", overwrite=True)
    assert (tmp_path / "demo").exists()


@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_or_absent_folder_is_fine(tmp_path: Path, exists: bool) -> None:
    if exists:
        (tmp_path / "demo").mkdir()
    _clear(tmp_path / "demo", overwrite=False)


def test_a_worse_result_is_told_like_a_better_one() -> None:
    scores = {BEFORE: some_scores(0.75, 0.125), AFTER: some_scores(0.5, 0.25)}
    assert _summary(scores).startswith("WT: mean Dice 0.750 before refinement and 0.500 after it; share missed 12.5% and 25.0%.")
    rows = _rows(scores, ("dice", "fnr", "fpr", "hd95_mm"))
    assert rows == [["WT before", "0.750", "0.125", "0.001", "–"], ["WT after", "0.500", "0.250", "0.001", "–"]]


def test_what_could_not_be_scored_is_said() -> None:
    assert _summary({BEFORE: some_scores(None, None), AFTER: some_scores(0.5, 0.5)}).startswith("WT could not be scored.")
