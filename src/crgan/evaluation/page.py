"""The page that shows an evaluation: means first, then how they spread, then every case, the worst on top."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from crgan.evaluation.metrics import Choices, Empty, Metrics
from crgan.evaluation.scores import Scores
from crgan.evaluation.tables import mean_with_interval, number
from crgan.report.html import Figure, Table, write_report
from crgan.report.plots import draw_spread

MEANS = {"dice": "Dice", "fnr": "FNR", "precision": "precision", "fpr": "FPR", "hd95_mm": "HD95 mm", "assd_mm": "ASSD mm", "nsd": "NSD"}
LESIONS = {
    "lesion_sensitivity": "found",
    "lesion_precision": "precision",
    "lesion_f1": "F1",
    "lesions": "lesions",
    "lesions_missed": "missed",
    "lesion_false_alarms": "false alarms",
}
INSTANCES = {"seg": "SEG", "det": "DET", "ap_50": "AP at IoU .5", "ap_75": "AP at .75", "ap_50_95": "AP .5–.95", "pq": "PQ"}
PER_CASE = {
    "dice": "Dice",
    "fnr": "FNR",
    "precision": "precision",
    "hd95_mm": "HD95 mm",
    "lesions_missed": "lesions missed",
    "lesion_false_alarms": "false alarms",
    "truth_mm3": "truth mm³",
    "false_positive_mm3": "false mm³",
}
MOST_ROWS = 300
HOW_TO_READ = (
    "Dice: overlap with the expert, 1 is perfect. FNR: share of the truth that was missed. "
    "Precision: share of what was marked that is right. FPR: share of all other voxels that was marked. "
    "HD95: 95 % of the surfaces are closer than this. ASSD: mean distance of the surfaces. "
    "NSD: share of both surfaces that lies within the tolerance. "
    "Below, in brackets: the 95 % interval of the mean, by resampling patients. n: cases in which the first metric is defined."
)


def write_page(path: Path, scores: Scores, *, masks: Path, labels: Path, choices: Choices) -> None:
    """Write ``report.html`` for the scores of ``masks`` held against ``labels``."""
    patients = len(set(scores.patients.values()))
    tables = [_means(scores, "Mean over cases", MEANS, HOW_TO_READ)]
    tables += [
        _means(scores, caption, columns, note)
        for caption, columns, note in (
            ("Lesions, mean over cases", LESIONS, ABOUT_LESIONS),
            ("Objects, mean over cases", INSTANCES, ABOUT_INSTANCES),
        )
        if _measured(scores, columns)
    ]
    write_report(
        path,
        title="Segmentation scores",
        summary=_summary(scores, patients),
        tables=tables,
        figures=[_spread(scores)],
        details=[_case_table(scores), _all_means(scores)],
        settings={
            "masks": masks,
            "labels": labels,
            "cases": len(scores.cases),
            "patients": patients,
            "empty truth": _EMPTY[choices.empty],
            "tolerance of NSD": f"{choices.tolerance_mm:g} mm",
            "lesion sizes divided at": ", ".join(f"{split:g} mm" for split in choices.lesion_splits_mm) or "nowhere",
        },
    )


ABOUT_LESIONS = (
    "A lesion is a connected part of the truth, found if any of its voxels was marked; a false alarm is a connected part of the "
    "mask without any true voxel. Found: share of the lesions. Precision: share of the marks that touch a lesion. The last three are "
    "numbers per case."
)
ABOUT_INSTANCES = (
    "SEG and DET: the Cell Tracking Challenge's scores of outlines and of detections. AP: matched objects among matched, missed and "
    "false ones, at an overlap (IoU) above the threshold. PQ: panoptic quality."
)

_EMPTY: dict[Empty, str] = {
    "null": "agreement and distances are left out; false positives are counted",
    "brats": "as in the BraTS challenge: Dice 1 and 0 mm if nothing was marked either, else Dice 0 and 373.13 mm",
}


def _measured(scores: Scores, metrics: Iterable[str]) -> list[str]:
    """Those of the metrics that were measured."""
    known = next(iter(scores.summary.values()), {})
    return [name for name in metrics if name in known]


def _means(scores: Scores, caption: str, columns: Mapping[str, str], note: str) -> Table:
    names = _measured(scores, columns)
    rows = [
        [target, *(mean_with_interval(means[name]) for name in names), str(means[names[0]].n)] for target, means in scores.summary.items()
    ]
    return Table(caption=caption, columns=["target", *(columns[name] for name in names), "n"], rows=rows, note=note)


def _all_means(scores: Scores) -> Table:
    names = next(iter(scores.summary.values()), {})
    return Table(
        caption="Every metric, mean over cases",
        columns=["metric", *scores.summary],
        rows=[[name, *(mean_with_interval(means[name]) for means in scores.summary.values())] for name in names],
        note="The names are those of scores.json and scores.csv.",
    )


def _summary(scores: Scores, patients: int) -> str:
    parts = []
    for target, means in scores.summary.items():
        if means["dice"].mean is None:
            parts.append(f"{target} occurs in no case")
        else:
            missed = means["fnr"].mean
            parts.append(
                f"{target} has a mean Dice of {number(means['dice'].mean)}"
                + ("" if missed is None else f" and misses {100 * missed:.0f} % of its volume{_missed_lesions(scores, target)}")
            )
    cases = len(scores.cases)
    who = f"{cases} case{'s' if cases != 1 else ''} of {patients} patient{'s' if patients != 1 else ''}"
    return f"{who} held against the experts' labels: {'; '.join(parts)}."


def _missed_lesions(scores: Scores, target: str) -> str:
    """``" and 2 of 8 lesions, with 4 false alarms"``, if lesions were counted."""
    if "lesions" not in scores.summary[target]:
        return ""
    total, missed, alarms = (
        sum(int(case[target][name] or 0) for case in scores.cases.values()) for name in ("lesions", "lesions_missed", "lesion_false_alarms")
    )
    return f" and {missed} of {total} lesion{'s' if total != 1 else ''}, with {alarms} false alarm{'s' if alarms != 1 else ''}"


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
    names = _measured(scores, PER_CASE)
    return Table(
        caption="Every case, the lowest Dice first",
        columns=["case", "target", *(PER_CASE[name] for name in names)],
        rows=[[case, target, *(_cell(name, metrics[name]) for name in names)] for case, target, metrics in lines[:MOST_ROWS]],
        names=2,
        note=note,
    )


def _cell(metric: str, value: float | None) -> str:
    """Volumes in whole cubic millimetres and numbers of lesions as whole numbers, everything else with the digits that count."""
    whole = metric.endswith("_mm3") or metric in {"lesions_missed", "lesion_false_alarms"}
    return f"{value:,.0f}" if whole and value is not None else number(value)


def _badness(metrics: Metrics) -> tuple[bool, float]:
    dice = metrics["dice"]
    return dice is None, 0.0 if dice is None else dice
