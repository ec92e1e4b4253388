"""The tables of a study as rows of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from crgan.evaluation.compare import (
    DIFFERENCE_COLUMNS,
    RANK_COLUMNS,
    Difference,
    difference_rows,
    difference_text,
    notes,
    p_value,
    rank_rows,
)
from crgan.evaluation.scores import Scores
from crgan.evaluation.tables import FAIR, mean_with_interval, shown
from crgan.report.html import Table
from crgan.study.fair import MEAN, UP_TO
from crgan.study.paper_tables import PaperTable, cell
from crgan.study.plan import Study
from crgan.study.record import SYSTEM
from crgan.study.results import SetResults

ABOUT = (
    "Means over the test cases, in brackets the 95 % interval over patients. Every figure of a case is first averaged over the seeds; "
    "differences, further down, are over the seeds that both systems have."
)
_RANKS = "By the means over each system's own seeds, which are not the same ones for all systems in every study."
_TABLED = ("fnr_matched", "fpr_matched", "dice_best", "fnr_best", "curve_area")
_ABLATED = ("fnr_matched", "dice_best", "fnr_best")


def metric_tables(name: str, rows: Mapping[str, Scores]) -> list[Table]:
    """One table per metric, by the systems' own decisions: a row per system, a column per class or region."""
    first = next(iter(rows.values()))
    tables = [_by_target(f"{name}: {heading}", rows, metric) for metric, heading in shown(first.summary).items()]
    return [replace(tables[0], note=ABOUT), *tables[1:]]


def fair_tables(found: SetResults) -> list[Table]:
    """One table per figure at the operating points chosen on validation patients."""
    tables = [_by_target(f"{found.name}: {FAIR[metric]}", found.fair, metric) for metric in _TABLED]
    note = (
        "Every system at a threshold of its own, chosen by the same rule on its own validation patients, for each target alone: the one "
        f"that misses least at no more false positives, within the foreground, than {found.reference} has where its Dice is best; and "
        "the one with the best Dice. Means over test patients, of whom none was looked at for that."
    )
    about_area = f"Mean FNR over all false positive rates up to {UP_TO:g} times the matched one: the area under the curve, 0 is best."
    means = [_overall_table(found)] if found.overall else []
    return [*means, replace(tables[0], note=note), *tables[1:-1], replace(tables[-1], note=about_area)]


def _overall_table(found: SetResults) -> Table:
    """The mean of all targets at the operating points, and what a single test says of it beside the reference."""
    rows = []
    for name, scores in found.overall.items():
        means = scores.summary[MEAN]
        beside = [] if found.overall_comparison is None else found.overall_comparison.between(found.reference, name, "fnr_matched")
        p = p_value(beside[0].paired.permutation_p) if beside else "–"
        rows.append([name, *(mean_with_interval(means[metric]) for metric in _TABLED), p, str(means["fnr_matched"].n)])
    return Table(
        caption=f"{found.name}: means over the targets",
        columns=["system", *(FAIR[metric] for metric in _TABLED), "p", "n"],
        rows=rows,
        note="A patient's figure is the mean over its targets. p is that of one permutation test, of FNR at matched FPR beside "
        f"{found.reference}, and not corrected.",
    )


def ablation_table(study: Study, found: SetResults) -> Table | None:
    """What every named system lacks of another one, and what that costs; None where the study has no such systems."""
    rows = []
    for row in study.rows(found.name):
        if row.ablation_of is None or row.ablation_of not in found.rows:
            continue
        for metric in _ABLATED:
            for difference in _differences(found, row.ablation_of, row.label, metric):
                means = found.fair[row.label].summary[difference.target][metric]
                cells = (mean_with_interval(means), difference_text(difference), p_value(difference.permutation_holm))
                rows.append([row.label, row.ablation_of, difference.target, FAIR[metric], *cells, str(difference.paired.n)])
    if not rows:
        return None
    return Table(
        caption=f"{found.name}: ablations",
        columns=["system", "compared with", "target", "figure", "value", "difference to it", "p perm.", "n"],
        rows=rows,
        names=4,
        note="Differences on the same test patients, each system at its own operating point; p as in the differences below.",
    )


def fewer_table(found: SetResults) -> Table | None:
    """Dice and FNR against the number of training patients; None where all trainings had all of them."""
    if not found.fewer:
        return None
    targets = list(next(iter(found.rows.values())).summary)
    return Table(
        caption=f"{found.name}: Dice and FNR against the number of training patients",
        columns=["system", "patients", *(f"{heading} {target}" for heading in ("Dice", "FNR") for target in targets)],
        rows=[
            [name, str(count), *(mean_with_interval(scores.summary[target][metric]) for metric in ("dice", "fnr") for target in targets)]
            for name, by_count in found.fewer.items()
            for count, scores in by_count.items()
        ],
        names=1,
        note="Fewer patients are always among more; the validation patients are the same.",
    )


def cost_table(found: SetResults) -> Table:
    """What every system's training took, and where its dial came to stand."""
    rows = []
    for name, records in found.records.items():
        minutes = [record.minutes for _, record in records]
        first = records[0][1].dial
        dials = ", ".join(f"{target} ({p:g}, {q:g})" for target, (p, q) in first.items()) if found.kinds[name] == SYSTEM else "–"
        patients = sorted({record.trained_on for _, record in records})
        cells = (str(len(records)), f"{sum(minutes) / len(minutes):.1f}", ", ".join(map(str, patients)), dials)
        rows.append([name, *cells])
    return Table(
        caption=f"{found.name}: trainings",
        columns=["system", "trainings", "minutes each", "training patients", "dial (p, q) of the first"],
        rows=rows,
        note="Minutes of all stages together; a generator that was taken over counts as if it had been trained anew, "
        "and the row of a generator alone names the whole training that it is part of.",
    )


def detail_tables(found: SetResults) -> list[Table]:
    """Every difference and every rank, by own decisions and at the operating points, of each target and of their mean."""
    tables = []
    compared = {"": found.comparison, " at the operating points": found.fair_comparison, " of the means there": found.overall_comparison}
    for words, comparison in compared.items():
        if comparison is not None:
            note = " ".join(notes(comparison))
            rows = difference_rows(comparison)
            tables.append(Table(caption=f"{found.name}: differences{words}", columns=DIFFERENCE_COLUMNS, rows=rows, names=3, note=note))
            ranks = rank_rows(comparison)
            tables.append(Table(caption=f"{found.name}: ranking{words}", columns=RANK_COLUMNS, rows=ranks, names=2, note=_RANKS))
    return tables


def as_table(table: PaperTable) -> Table:
    """One of the paper's tables as text."""
    return Table(
        caption=f"{table.set_name}, in the form of the paper's Table {table.number}: {table.caption}",
        columns=["approach", "source", *table.columns],
        rows=[[row.name, row.source, *(cell(row, mean) for mean in row.means)] for row in table.rows],
        names=2,
        note=table.note,
    )


def _by_target(caption: str, rows: Mapping[str, Scores], metric: str) -> Table:
    targets = list(next(iter(rows.values())).summary)
    return Table(
        caption=caption,
        columns=["system", *targets, "n"],
        rows=[
            [
                name,
                *(mean_with_interval(scores.summary[target][metric]) for target in targets),
                str(max(scores.summary[target][metric].n for target in targets)),
            ]
            for name, scores in rows.items()
        ],
    )


def _differences(found: SetResults, first: str, second: str, metric: str) -> Sequence[Difference]:
    return [] if found.fair_comparison is None else found.fair_comparison.between(first, second, metric)
