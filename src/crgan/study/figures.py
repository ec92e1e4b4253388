"""The figures of a study: pictures of patients, training curves, FNR against FPR, the dial, and the number of training patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from crgan.evaluation.operating_points import OperatingPoints, curve
from crgan.evaluation.scores import Scores
from crgan.evaluation.statistics import bootstrap_mean
from crgan.files import atomic_write
from crgan.report.html import Figure
from crgan.report.lines import Line, Panel, draw_lines
from crgan.report.plots import draw_spread
from crgan.study.dial_sweep import DIAL
from crgan.study.fair import UP_TO
from crgan.study.job import PICTURES
from crgan.study.plan import Study, folder_name
from crgan.study.record import SYSTEM, Record
from crgan.study.results import SetResults
from crgan.study.words import headline

_DIAL_LINES = (0.1, 0.3, 0.5, 0.7, 0.9)
_SHOWN_CURVES, _READ_AT = 3.0, 300  # times the matched rate, at so many places

_SHOWN_STAGES = ("adversarial", "refinement")  # generators for the refiner to learn from take time, and are no system

Draw = Callable[[Literal["png", "svg"]], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Drawing:
    """A figure before it is drawn: its file's name, what draws it (None: it is a picture already), and its words."""

    name: str
    draw: Draw
    alt: str
    caption: str
    vector: bool = True


def write_figures(folder: Path, study: Study, found: SetResults, out: Path) -> list[Figure]:
    """Draw all figures of a data set into ``folder``, as PNG and, what is made of lines, as SVG; gives those for the page.

    Parameters
    ----------
    folder
        Where the files go.
    study, found
        What to show.
    out
        The study's folder, whose jobs have made the pictures of patients.
    """
    drawings = [
        _spread(found),
        _curves(found),
        _training(found),
        *(drawing for drawing in (_dial(study, found), _fewer(found)) if drawing is not None),
    ]
    shown = []
    for drawing in drawings:
        png = drawing.draw("png")
        _write(folder / f"{drawing.name}.png", png)
        if drawing.vector:
            _write(folder / f"{drawing.name}.svg", drawing.draw("svg"))
        shown.append(Figure(png=png, alt=drawing.alt, caption=drawing.caption))
    return [*_pictures(folder, study, found, out), *shown]


def _pictures(folder: Path, study: Study, found: SetResults, out: Path) -> list[Figure]:
    """Copy the pictures of each system's first training; on the page are those of the main system and of what it is held against."""
    shown = []
    main = headline(study, found)
    on_page = {found.reference if main is None else main.label}
    on_page |= {row.label for row in study.rows(found.name) if row.ablation_of in on_page}
    for row in study.rows(found.name):
        if row.label not in found.records or found.kinds[row.label] != SYSTEM:
            continue
        job, _ = found.records[row.label][0]
        source = out / job.folder / PICTURES
        if not source.exists():  # a record that was carried here without its picture
            continue
        png = source.read_bytes()
        name = f"{folder_name(found.name)}-{folder_name(row.label)}-patients"
        _write(folder / f"{name}.png", png)
        if row.label in on_page:
            shown.append(
                Figure(
                    png=png,
                    alt=f"Slices of test patients of {found.name}, by {row.label}: image, truth, generator, refiner's maps, final mask.",
                    caption=f"{found.name}, {row.label}: the test patients with the least, the median and the most truth, each on the "
                    "slice that holds most of it. No result was looked at to choose them.",
                )
            )
    return shown


def _spread(found: SetResults) -> _Drawing:
    targets = list(next(iter(found.rows.values())).summary)
    panels = {
        label: {
            f"{name} · {target}": [value for case in scores.cases.values() if (value := case[target][metric]) is not None]
            for target in targets
            for name, scores in found.rows.items()
        }
        for metric, label in (("dice", "Dice (higher is better)"), ("fnr", "FNR (lower is better)"))
    }
    return _Drawing(
        name=f"{folder_name(found.name)}-spread",
        draw=lambda _: draw_spread(panels),
        alt=f"Box plots of Dice and FNR of every system over the cases of {found.name}; the figures are in the tables.",
        caption=f"{found.name}: each dot is a case, the box holds the middle half, the line in it is the median.",
        vector=False,
    )


def _curves(found: SetResults) -> _Drawing:
    """FNR against FPR on the test patients, a panel for each target."""
    panels = []
    for target in next(iter(found.fair.values())).summary:
        lines = []
        matched = [scores.summary[target]["fpr_matched"].mean for scores in found.fair.values()]
        limit = _SHOWN_CURVES * max((rate for rate in matched if rate is not None), default=0.0)
        for name, records in found.records.items():
            points = [record.rows[found.kinds[name]].test.points(target) for _, record in records]
            known = [run for run in points if not np.isnan(run.mean("fnr")).all()]
            if known and limit:
                lines.append(Line(name=name, points=_mean_curve(known, limit)))
        panels.append(Panel(title=f"FNR, {target}", x_label="FPR in the foreground", lines=lines, steps=True, x_limit=limit or None))
    return _Drawing(
        name=f"{folder_name(found.name)}-fnr-fpr",
        draw=partial(_lines, panels),
        alt=f"Curves of the share missed against the share of false positives, for every system on {found.name}; lower is better.",
        caption=f"{found.name}: what every threshold gives on the test patients, each target alone; lower is better. The table of the "
        f"curve averages it up to {UP_TO:g} times the rate that the systems are matched at.",
    )


def _mean_curve(runs: Sequence[OperatingPoints[float]], limit: float) -> list[tuple[float, float]]:
    """The mean of the staircases of several trainings, read at evenly spaced rates up to the limit."""
    rates = np.linspace(0, limit, _READ_AT)
    fnr = np.mean([heights[np.searchsorted(corners, rates, side="right") - 1] for corners, heights in map(curve, runs)], axis=0)
    return [(float(x), float(y)) for x, y in zip(rates, fnr, strict=True)]


def _training(found: SetResults) -> _Drawing:
    """The validations of every training over its minutes, the refiner's after its generator's."""
    panels = []
    for metric, title in (("dice", "Dice on validation patients"), ("fnr", "FNR on validation patients"), ("loss", "training loss")):
        lines = [
            Line(name=name, points=_over_time(record, metric))
            for name, records in found.records.items()
            if found.kinds[name] == SYSTEM
            for _, record in records
        ]
        panels.append(Panel(title=title, x_label="minutes of training", lines=lines))
    return _Drawing(
        name=f"{folder_name(found.name)}-training",
        draw=partial(_lines, panels),
        alt=f"Validation Dice, FNR and training loss of every system on {found.name} over the minutes of training.",
        caption=f"{found.name}: every dot is a validation on whole patients, a line for each training. "
        "Where a refiner begins, its loss is another one.",
    )


def _over_time(record: Record, metric: str) -> list[tuple[float, float]]:
    ended, stage, last = 0.0, "", 0.0
    points = []
    for row in record.journal:
        if row["stage"] != stage:
            ended, stage = ended + last, row["stage"]
        last = float(row["seconds"])
        if stage in _SHOWN_STAGES:
            points.append(((ended + last) / 60, float(row[metric])))
    return points


def _dial(study: Study, found: SetResults) -> _Drawing | None:
    """Dice and FNR over p, a line for each q, mean over targets and trainings."""
    row = headline(study, found)
    sweeps = [] if row is None else [record.dial_sweep for _, record in found.records.get(row.label, ()) if record.dial_sweep is not None]
    if row is None or not sweeps:
        return None
    panels = []
    for name, title in (("dice", "Dice"), ("fnr", "FNR")):
        tables = [np.array(table, np.float64) for sweep in sweeps for table in getattr(sweep, name).values()]
        known = [table for table in tables if not np.isnan(table).any()]
        if not known:
            return None
        mean = np.mean(known, axis=0)
        lines = [
            Line(name=f"q = {q:g}", points=[(p, float(mean[index, DIAL.index(q)])) for index, p in enumerate(DIAL)]) for q in _DIAL_LINES
        ]
        panels.append(Panel(title=f"{title}, mean over targets", x_label="p: add what the refiner calls missed this surely", lines=lines))
    return _Drawing(
        name=f"{folder_name(found.name)}-dial",
        draw=partial(_lines, panels),
        alt=f"Dice and FNR of {row.label} on {found.name} over the dial: a smaller p and a larger q miss less.",
        caption=f"{found.name}, {row.label}: what the dial does on the test patients, each target alone. A smaller p adds more, a larger q "
        "removes less. Shown, and not used to choose anything.",
    )


def _fewer(found: SetResults) -> _Drawing | None:
    """Dice and FNR against the number of training patients, mean over targets."""
    if not found.fewer:
        return None
    panels = []
    for metric, title in (("dice", "Dice"), ("fnr", "FNR")):
        lines = []
        for name, by_count in found.fewer.items():
            means = [(count, bootstrap_mean(_over_targets(scores, metric), _owners(scores))) for count, scores in by_count.items()]
            known = [(count, mean) for count, mean in means if mean.mean is not None]
            intervals = [(mean.ci_low, mean.ci_high) for _, mean in known if mean.ci_low is not None and mean.ci_high is not None]
            lines.append(
                Line(
                    name=name,
                    points=[(count, mean.mean) for count, mean in known if mean.mean is not None],
                    intervals=intervals if len(intervals) == len(known) else (),
                )
            )
        panels.append(Panel(title=f"{title}, mean over targets", x_label="training patients", lines=lines))
    return _Drawing(
        name=f"{folder_name(found.name)}-patients",
        draw=partial(_lines, panels),
        alt=f"Dice and FNR on the test patients of {found.name} against the number of training patients.",
        caption=f"{found.name}: what more training patients bring, with 95 % intervals over test patients.",
    )


def _over_targets(scores: Scores, metric: str) -> list[float | None]:
    """Each case's mean over the targets it has."""
    return [_mean([targets[target][metric] for target in targets]) for targets in scores.cases.values()]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _owners(scores: Scores) -> list[str]:
    patients: Mapping[str, str] = scores.patients
    return [patients[case] for case in scores.cases]


def _lines(panels: Sequence[Panel], file_format: Literal["png", "svg"]) -> bytes:
    return draw_lines(panels, file_format=file_format)


def _write(path: Path, data: bytes) -> None:
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)
