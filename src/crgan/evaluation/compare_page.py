"""The page that shows a comparison: who is ahead and how surely, a line for each patient, differences and ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from crgan.evaluation.compare import (
    DIFFERENCE_COLUMNS,
    RANK_COLUMNS,
    Difference,
    SystemComparison,
    common_cases,
    difference_rows,
    heading,
    notes,
    p_value,
    rank_rows,
)
from crgan.evaluation.ranking import is_ranked, lower_is_better
from crgan.evaluation.scores import Scores
from crgan.evaluation.tables import number
from crgan.report.charts import draw_pairs
from crgan.report.html import Chart, Section, Table, write_report
from crgan.report.provenance import today, versions

ABOUT_LEADERS = (
    "Below, the means of the best and of the next; a difference may be chance if its 95 % interval holds 0. p is that of the "
    "permutation test."
)


def write_comparison(
    path: Path, scores: Mapping[str, Scores], comparison: SystemComparison, *, settings: Mapping[str, object] | None = None
) -> None:
    """Write a comparison as a page of its own.

    Parameters
    ----------
    path
        The file.
    scores
        Of each system, by its name.
    comparison
        What :func:`crgan.evaluation.compare.compare_scores` made of them.
    settings
        What the reader needs to make it again.
    """
    metrics = list(dict.fromkeys(difference.metric for difference in comparison.differences))
    note = " ".join(notes(comparison))
    write_report(
        path,
        title="Systems side by side",
        summary=f"{', '.join(comparison.systems[:-1])} and {comparison.systems[-1]} on the same patients. {note}\n\n{ABOUT_LEADERS}",
        points=leaders(comparison),
        sections=[
            Section(heading="Patient by patient", parts=pair_charts(scores, metrics)),
            Section(heading="Differences", parts=[_differences(comparison)]),
            Section(heading="Ranks", parts=[_ranks(comparison)]),
        ],
        settings={**(settings or {}), "versions": versions(), "date": today()},
    )


def _differences(comparison: SystemComparison) -> Table:
    return Table(
        caption="The second less the first, mean over patients",
        columns=DIFFERENCE_COLUMNS,
        rows=difference_rows(comparison),
        names=3,
        note="In brackets: the 95 % interval. Effect: +1 if the second is higher in every patient, −1 if it is lower in every one.",
    )


def _ranks(comparison: SystemComparison) -> Table:
    return Table(
        caption="By the mean over patients",
        columns=RANK_COLUMNS,
        rows=rank_rows(comparison),
        names=2,
        note="In brackets: the ranks in 95 % of bootstrap samples. First in: share of the samples in which no system is better.",
    )


def leaders(comparison: SystemComparison) -> dict[str, str]:
    """By target, who is ahead in each metric, by how much, and whether that may be chance."""
    sentences: dict[str, list[str]] = {}
    for metric, targets in comparison.ranking.items():
        for target, ranks in targets.items():
            if len(ranks) > 1:
                best, second = ranks[0], ranks[1]
                difference = _between(comparison, target, metric, {best.system, second.system})
                sentences.setdefault(target, []).append(
                    f"{heading(metric)}: {best.system} is ahead with {number(best.mean)}, "
                    f"then {second.system} with {number(second.mean)}{_surety(difference)}."
                )
    return {target: " ".join(words) for target, words in sentences.items()}


def pair_charts(scores: Mapping[str, Scores], metrics: Sequence[str]) -> list[Chart]:
    """Draw each patient as a line from system to system, a chart for each metric and a panel for each target.

    Parameters
    ----------
    scores
        Of each system, by its name; at least two.
    metrics
        Which to draw; those of which neither more nor less is better are left out.
    """
    first = next(iter(scores.values()))
    patients: dict[str, list[str]] = {}
    for case in common_cases(scores):
        patients.setdefault(first.patients[case], []).append(case)
    targets = [target for target in first.summary if all(target in found.summary for found in scores.values())]
    charts = []
    for metric in (name for name in metrics if is_ranked(name)):
        panels, words = [], []
        for target in targets:
            values = {
                name: [_mean([found.cases[case][target][metric] for case in cases]) for cases in patients.values()]
                for name, found in scores.items()
            }
            panels.append(draw_pairs(f"{target}: {heading(metric)}", values, list(patients), lower_better=lower_is_better(metric)))
            words.append(f"{target}: " + ", ".join(f"{name} {number(_mean(of_system))}" for name, of_system in values.items()))
        better = "lower" if lower_is_better(metric) else "higher"
        charts.append(
            Chart(
                panels=panels,
                alt=f"{heading(metric)} of each patient by system; means: {'; '.join(words)}.",
                caption=f"{heading(metric)}, {better} is better. Each line is a patient, orange where the last system is worse than the "
                "first; the thick line is the mean of the patients that all systems have a value for.",
            )
        )
    return charts


def _between(comparison: SystemComparison, target: str, metric: str, systems: set[str]) -> Difference:
    return next(
        difference
        for difference in comparison.differences
        if (difference.target, difference.metric) == (target, metric) and {difference.first, difference.second} == systems
    )


def _surety(difference: Difference) -> str:
    paired, p = difference.paired, difference.permutation_holm
    if paired.ci_low is None or paired.ci_high is None:
        return ", too few patients to tell whether that is chance"
    words = ", which may be chance" if paired.ci_low <= 0 <= paired.ci_high else ""
    if p is None:
        return f"{words} (too few patients for a test)"
    return f"{words} (p {'< 0.001' if p < 0.001 else f'= {p_value(p)}'})"


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
