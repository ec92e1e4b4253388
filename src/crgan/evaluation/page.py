"""The page that shows an evaluation: means first, then how they spread, then every case, the worst on top."""

from __future__ import annotations

from pathlib import Path

from crgan.evaluation.metrics import Empty, Metrics
from crgan.evaluation.scores import Scores
from crgan.evaluation.tables import mean_with_interval, number
from crgan.report.html import Figure, Table, write_report
from crgan.report.plots import draw_spread

MEANS = {"dice": "Dice", "fnr": "FNR", "precision": "precision", "fpr": "FPR", "hd95_mm": "HD95 mm", "assd_mm": "ASSD mm"}
PER_CASE = {
    "dice": "Dice",
    "fnr": "FNR",
    "precision": "precision",
    "hd95_mm": "HD95 mm",
    "truth_mm3": "truth mm³",
    "false_positive_mm3": "false mm³",
}
MOST_ROWS = 300
HOW_TO_READ = (
    "Dice: overlap with the expert, 1 is perfect. FNR: share of the truth that was missed. "
    "Precision: share of what was marked that is right. FPR: share of all other voxels that was marked. "
    "HD95: 95 % of the surfaces are closer than this. ASSD: mean distance of the surfaces. "
    "Below, in brackets: the 95 % interval of the mean, by resampling patients. n: cases in which the Dice is defined."
)


def write_page(path: Path, scores: Scores, *, masks: Path, labels: Path, empty: Empty, patients: int) -> None:
    """Write ``report.html`` for the scores of ``masks`` held against ``labels``."""
    columns = ["target", *MEANS.values(), "n"]
    rows = [
        [target, *(mean_with_interval(means[name]) for name in MEANS), str(means["dice"].n)] for target, means in scores.summary.items()
    ]
    write_report(
        path,
        title="Segmentation scores",
        summary=_summary(scores, patients),
        tables=[Table(caption="Mean over cases", columns=columns, rows=rows, note=HOW_TO_READ)],
        figures=[_spread(scores)],
        details=[_case_table(scores)],
        settings={"masks": masks, "labels": labels, "cases": len(scores.cases), "patients": patients, "empty truth": _EMPTY[empty]},
    )


_EMPTY: dict[Empty, str] = {
    "null": "agreement and distances are left out; false positives are counted",
    "brats": "as in the BraTS challenge: Dice 1 and 0 mm if nothing was marked either, else Dice 0 and 373.13 mm",
}


def _summary(scores: Scores, patients: int) -> str:
    parts = []
    for target, means in scores.summary.items():
        if means["dice"].mean is None:
            parts.append(f"{target} occurs in no case")
        else:
            missed = means["fnr"].mean
            parts.append(
                f"{target} has a mean Dice of {number(means['dice'].mean)}"
                + ("" if missed is None else f" and misses {100 * missed:.0f} %")
            )
    cases = len(scores.cases)
    who = f"{cases} case{'s' if cases != 1 else ''} of {patients} patient{'s' if patients != 1 else ''}"
    return f"{who} held against the experts' labels: {'; '.join(parts)}."


def _spread(scores: Scores) -> Figure:
    panels = {
        label: {
            target: [value for case in scores.cases.values() if (value := case[target][metric]) is not None] for target in scores.summary
        }
        for metric, label in (("dice", "Dice (higher is better)"), ("fnr", "FNR (lower is better)"))
    }
    words = [f"{label} {target}: {_quartiles(values)}" for label, groups in panels.items() for target, values in groups.items()]
    return Figure(
        png=draw_spread(panels),
        alt="Box plots of Dice and FNR over cases. " + "; ".join(words) + ".",
        caption="How Dice and FNR spread over cases: each dot is a case, the box holds the middle half, the line in it is the median.",
    )


def _quartiles(values: list[float]) -> str:
    return f"from {number(min(values))} to {number(max(values))}" if values else "no values"


def _case_table(scores: Scores) -> Table:
    """Every case and target, the lowest Dice first, those without a Dice last."""
    lines = [(case, target, metrics) for case, targets in scores.cases.items() for target, metrics in targets.items()]
    lines.sort(key=lambda line: _badness(line[2]))
    note = f"The {MOST_ROWS} lowest of {len(lines)}; all of them are in scores.csv." if len(lines) > MOST_ROWS else ""
    return Table(
        caption="Every case, the lowest Dice first",
        columns=["case", "target", *PER_CASE.values()],
        rows=[[case, target, *(_cell(name, metrics[name]) for name in PER_CASE)] for case, target, metrics in lines[:MOST_ROWS]],
        names=2,
        note=note,
    )


def _cell(metric: str, value: float | None) -> str:
    """Volumes in whole cubic millimetres, everything else with the digits that count."""
    return f"{value:,.0f}" if metric.endswith("_mm3") and value is not None else number(value)


def _badness(metrics: Metrics) -> tuple[bool, float]:
    dice = metrics["dice"]
    return dice is None, 0.0 if dice is None else dice
