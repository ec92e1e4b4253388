"""The page that shows an evaluation: in words, means, how patients differ, pictures, lesions by size, failures, every case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from crgan.evaluation.evidence import Evaluation
from crgan.evaluation.failures import Failure, find_failures
from crgan.evaluation.metrics import Empty, Metrics
from crgan.evaluation.page_charts import calibration_charts, size_charts, spread_charts
from crgan.evaluation.page_texts import (
    ABOUT_CALIBRATION,
    ABOUT_INSTANCES,
    ABOUT_LESIONS,
    ABOUT_PICTURES,
    ABOUT_SIZES,
    BY_SIZE,
    HOW_TO_READ,
    INSTANCES,
    LESIONS,
    MEANS,
    PER_CASE,
)
from crgan.evaluation.pictures import anchors, choose, draw, shown_modality
from crgan.evaluation.review_section import review_sections
from crgan.evaluation.tables import mean_with_interval, number
from crgan.evaluation.words import lead, points
from crgan.report.html import Link, Section, Table, write_report
from crgan.report.provenance import today, versions
from crgan.report.viewer import Viewer, Viewers

MOST_ROWS = 300
MOST_FAILURES = 60
_EMPTY: dict[Empty, str] = {
    "null": "agreement and distances are left out; false positives are counted",
    "brats": "as in the BraTS challenge: Dice 1 and 0 mm if nothing was marked either, else Dice 0 and 373.13 mm",
}


def write_page(path: Path, evaluation: Evaluation, *, settings: Mapping[str, object]) -> None:
    """Write ``report.html`` of an evaluation; ``settings`` says what was scored, and stands before how."""
    failures = find_failures(evaluation)
    viewers = draw(evaluation, choose(evaluation, failures))
    places = anchors(evaluation)
    pictured = {case: places[case] for case in places if any(viewer.anchor == places[case] for viewer in viewers)}
    choices = evaluation.choices
    write_report(
        path,
        title="Segmentation scores",
        summary=lead(evaluation, failures),
        points=points(evaluation),
        sections=[
            Section(heading="Means and intervals", parts=_mean_tables(evaluation)),
            Section(heading="How patients differ", parts=[spread_charts(evaluation, pictured)]),
            Section(heading="Best, median and worst patients", parts=[_pictures(evaluation, viewers)]),
            *_sizes(evaluation),
            *_failures(evaluation, failures, pictured),
            *_calibration(evaluation),
            *review_sections(evaluation),
            Section(heading="In detail", parts=[_case_table(evaluation, pictured), _all_means(evaluation)]),
        ],
        settings={
            **settings,
            "empty truth": _EMPTY[choices.empty],
            "tolerance of NSD": f"{choices.tolerance_mm:g} {evaluation.unit}",
            "lesion sizes divided at": ", ".join(f"{split:g} {evaluation.unit}" for split in choices.lesion_splits_mm) or "nowhere",
            "left out": ", ".join(choices.without) or "nothing",
            "intervals": "BCa bootstrap over patients, 2,000 resamples, seed 0",
            "versions": versions(),
            "date": today(),
        },
    )


def _measured(evaluation: Evaluation, metrics: Iterable[str]) -> list[str]:
    """Those of the metrics that were measured."""
    return [name for name in metrics if evaluation.measured(name)]


def _mean_tables(evaluation: Evaluation) -> list[Table]:
    tables = [
        ("Mean over cases", MEANS, HOW_TO_READ),
        ("Lesions, mean over cases", LESIONS, ABOUT_LESIONS),
        ("Objects, mean over cases", INSTANCES, ABOUT_INSTANCES),
    ]
    return [_means(evaluation, caption, columns, note) for caption, columns, note in tables if _measured(evaluation, columns)]


def _means(evaluation: Evaluation, caption: str, columns: Mapping[str, str], note: str) -> Table:
    names = _measured(evaluation, columns)
    rows = [
        [target, *(mean_with_interval(means[name]) for name in names), str(means[names[0]].n)]
        for target, means in evaluation.scores.summary.items()
    ]
    return Table(caption=caption, columns=["target", *(columns[name] for name in names), "n"], rows=rows, note=note)


def _pictures(evaluation: Evaluation, viewers: Sequence[Viewer]) -> Viewers:
    pairs = {pair.case_id: pair for pair in evaluation.pairs}
    image = "Masks alone, since no images were given (--images). "
    if evaluation.imaged:
        modality = shown_modality(next(iter(evaluation.imaged.values())))
        image = f"Of the images it shows: {modality}. " if modality else ""
    left = len(pairs) - len(viewers)
    return Viewers(
        viewers=viewers,
        targets=evaluation.targets,
        note=image + ABOUT_PICTURES + (f" {left} further cases are not pictured." if left else ""),
    )


def _sizes(evaluation: Evaluation) -> list[Section]:
    charts = size_charts(evaluation)
    if charts is None:
        return []
    rows = []
    for target, means in evaluation.scores.summary.items():
        for sensitivity in (name for name in means if name.startswith("lesion_sensitivity_")):
            size = sensitivity.removeprefix("lesion_sensitivity_")
            total, missed = (evaluation.total(target, f"{name}_{size}") for name in ("lesions", "lesions_missed"))
            if not total:
                continue
            figures = (mean_with_interval(means[name]) for name in (sensitivity, f"lesion_dice_{size}", f"lesion_assd_mm_{size}"))
            words = size.replace("_", " ").replace("mm", f" {evaluation.unit}")
            rows.append([target, words, str(total), str(missed), *figures, str(means[sensitivity].n)])
    table = Table(caption="Lesions by size", columns=BY_SIZE, rows=rows, names=2, note=ABOUT_SIZES)
    return [Section(heading="Lesions by size", parts=[charts, table])]


def _failures(evaluation: Evaluation, failures: Sequence[Failure], pictured: Mapping[str, str]) -> list[Section]:
    if not failures:
        return []
    owners = evaluation.scores.patients
    rows = [[_linked(failure.case, pictured), owners[failure.case], "; ".join(failure.reasons)] for failure in failures[:MOST_FAILURES]]
    columns, names = ["case", "patient", "what went wrong"], 2
    if all(owner == case for case, owner in owners.items()):
        rows, columns, names = [[case, reasons] for case, _, reasons in rows], ["case", "what went wrong"], 1
    note = "Names that are links lead to the pictures above."
    if len(failures) > MOST_FAILURES:
        note += f" The {MOST_FAILURES} worst of {len(failures)}; all figures are in scores.csv."
    table = Table(caption="The worst first", columns=columns, rows=rows, names=names, words=1, note=note)
    return [Section(heading="Failures", parts=[table])]


def _calibration(evaluation: Evaluation) -> list[Section]:
    charts = calibration_charts(evaluation)
    if charts is None:
        return []
    rows = []
    for target, means in evaluation.scores.summary.items():
        pooled = evaluation.reliability(target)
        if pooled is not None:
            figures = (mean_with_interval(means["ece"]), mean_with_interval(means["brier"]), number(pooled.ece), number(pooled.brier))
            rows.append([target, *figures, str(means["ece"].n)])
    columns = ["target", "ECE", "Brier", "ECE, pooled", "Brier, pooled", "n"]
    within = ABOUT_CALIBRATION["foreground" if evaluation.imaged else "box"]
    table = Table(caption="Probabilities, mean over cases", columns=columns, rows=rows, note=f"{ABOUT_CALIBRATION['what']} {within}")
    return [Section(heading="Are the probabilities right?", parts=[charts, table])]


def _all_means(evaluation: Evaluation) -> Table:
    summary = evaluation.scores.summary
    names = next(iter(summary.values()), {})
    return Table(
        caption="Every metric, mean over cases",
        columns=["metric", *summary],
        rows=[[name, *(mean_with_interval(means[name]) for means in summary.values())] for name in names],
        note="The names are those of scores.json and scores.csv.",
    )


def _case_table(evaluation: Evaluation, pictured: Mapping[str, str]) -> Table:
    """Every case and target, the lowest Dice first, those without a Dice last."""
    lines = [(case, target, metrics) for case, targets in evaluation.scores.cases.items() for target, metrics in targets.items()]
    note = f"The {MOST_ROWS} lowest of {len(lines)}; all of them are in scores.csv." if len(lines) > MOST_ROWS else ""
    lines = sorted(lines, key=lambda line: _badness(line[2]))[:MOST_ROWS]
    names = _measured(evaluation, PER_CASE)
    return Table(
        caption="Every case, the lowest Dice first",
        columns=["case", "target", *(PER_CASE[name] for name in names)],
        rows=[[_linked(case, pictured), target, *(_cell(name, metrics[name]) for name in names)] for case, target, metrics in lines],
        names=2,
        note=note,
    )


def _linked(case: str, pictured: Mapping[str, str]) -> str:
    return Link(case, pictured[case]) if case in pictured else case


def _cell(metric: str, value: float | None) -> str:
    """Volumes in whole cubic millimetres and numbers of lesions as whole numbers, everything else with the digits that count."""
    whole = metric.endswith("_mm3") or metric in {"lesions_missed", "lesion_false_alarms"}
    return f"{value:,.0f}" if whole and value is not None else number(value)


def _badness(metrics: Metrics) -> tuple[bool, float]:
    dice = metrics["dice"]
    return dice is None, 0.0 if dice is None else dice
