"""The tables of a study: Markdown to read, LaTeX to print, CSV to go on with, and a page."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from crgan.evaluation.compare import difference_rows, notes, rank_rows
from crgan.evaluation.scores import Scores
from crgan.evaluation.tables import mean_with_interval, shown
from crgan.files import atomic_write, write_json
from crgan.report.html import Figure, Table, write_report
from crgan.report.plots import draw_spread
from crgan.study.plan import Study
from crgan.study.results import SetResults

DIFFERENCES = ("target", "metric", "systems", "difference", "effect", "p rank", "p perm.", "n")
RANKS = ("target", "metric", "rank", "system", "mean", "first", "n")
_ABOUT = "Means over the test cases, in brackets the 95 % interval over patients. Every figure of a case is first averaged over the seeds."


def write_results(out: Path, study: Study, results: Sequence[SetResults]) -> None:
    """Write ``tables.md``, ``tables.tex``, ``tables.csv``, ``comparison.json`` and ``report.html`` of a study."""
    tables = {found.name: metric_tables(found.rows) for found in results}
    _write(out / "tables.md", "\n".join(_markdown(name, table) for name, parts in tables.items() for table in parts))
    _write(out / "tables.tex", "\n".join(_latex(name, table) for name, parts in tables.items() for table in parts))
    _write(out / "tables.csv", _csv(results))
    write_json(out / "comparison.json", {found.name: found.comparison and found.comparison.to_json() for found in results})
    _write_page(out / "report.html", study, results, tables)


def metric_tables(rows: Mapping[str, Scores]) -> list[Table]:
    """One table per metric: a row per system, a column per class or region."""
    first = next(iter(rows.values()))
    targets = list(first.summary)
    return [
        Table(
            caption=heading,
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
        for metric, heading in shown(first.summary).items()
    ]


def _markdown(set_name: str, table: Table) -> str:
    lines = [f"**{set_name}: {table.caption}**", "", _piped(table.columns), _piped(["---"] * len(table.columns))]
    return "\n".join([*lines, *(_piped(row) for row in table.rows), ""])


def _piped(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _latex(set_name: str, table: Table) -> str:
    body = [" & ".join(_escaped(cell) for cell in row) + r" \\" for row in (table.columns, *table.rows)]
    return "\n".join(
        [
            r"\begin{table}",
            rf"  \caption{{{_escaped(set_name)}: {_escaped(table.caption)}. {_escaped(_ABOUT)}}}",
            rf"  \begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}",
            r"    \toprule",
            f"    {body[0]}",
            r"    \midrule",
            *(f"    {line}" for line in body[1:]),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
            "",
        ]
    )


_SPECIAL = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--"}


def _escaped(text: str) -> str:
    return "".join(_SPECIAL.get(letter, f"\\{letter}" if letter in "&%$#_{}" else letter) for letter in text)


def _csv(results: Sequence[SetResults]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["set", "system", "target", "metric", "mean", "ci_low", "ci_high", "n"])
    for found in results:
        for name, scores in found.rows.items():
            for target, means in scores.summary.items():
                for metric, mean in means.items():
                    values = (mean.mean, mean.ci_low, mean.ci_high)
                    writer.writerow([found.name, name, target, metric, *("" if value is None else value for value in values), mean.n])
    return text.getvalue()


def _write_page(path: Path, study: Study, results: Sequence[SetResults], tables: Mapping[str, Sequence[Table]]) -> None:
    shown_tables, figures, details = [], [], []
    for found in results:
        shown_tables += [
            Table(caption=f"{found.name}: {part.caption}", columns=part.columns, rows=part.rows, note="" if number else _ABOUT)
            for number, part in enumerate(tables[found.name])
        ]
        figures.append(_spread(found))
        if found.comparison is not None:
            note = " ".join(notes(found.comparison))
            details.append(
                Table(caption=f"{found.name}: differences", columns=DIFFERENCES, rows=difference_rows(found.comparison), names=3, note=note)
            )
            details.append(Table(caption=f"{found.name}: ranking", columns=RANKS, rows=rank_rows(found.comparison), names=2))
    write_report(
        path,
        title="Systems side by side",
        summary="\n\n".join(_summary(found) for found in results),
        tables=shown_tables,
        figures=figures,
        details=details,
        settings={
            "recipe": study.recipe,
            "length of a training": f"{study.minutes:g} minutes" if study.minutes is not None else f"{study.steps} steps",
            "seeds": ", ".join(map(str, study.seeds)),
            **{f"{name}, length": f"{data.minutes:g} minutes" for name, data in study.sets.items() if data.minutes is not None},
            **({"settings": ", ".join(study.set)} if study.set else {}),
            "generators": "shared by systems that differ in the refiner only" if study.share_generators else "each system trains its own",
        },
    )


def _summary(found: SetResults) -> str:
    """The first and the last row in words, and the best."""
    scores = next(iter(found.rows.values()))
    best = []
    for target in scores.summary:
        means = {name: row.summary[target]["dice"].mean for name, row in found.rows.items()}
        defined = {name: mean for name, mean in means.items() if mean is not None}
        if defined:
            name = max(defined, key=lambda name: defined[name])
            missed = found.rows[name].summary[target]["fnr"].mean
            best.append(f"{target}: {name}, Dice {defined[name]:.3f}" + ("" if missed is None else f", {missed:.1%} missed"))
    patients = len(set(scores.patients.values()))
    return (
        f"{found.name}: {len(found.rows)} rows on {len(scores.cases)} cases of {patients} patients. Highest mean Dice of "
        f"{'; '.join(best)}. Whether that is more than chance is told by the differences below."
    )


def _spread(found: SetResults) -> Figure:
    targets = list(next(iter(found.rows.values())).summary)
    panels = {
        label: {
            f"{name} · {target}": [value for case in scores.cases.values() if (value := case[target][metric]) is not None]
            for target in targets
            for name, scores in found.rows.items()
        }
        for metric, label in (("dice", "Dice (higher is better)"), ("fnr", "FNR (lower is better)"))
    }
    return Figure(
        png=draw_spread(panels),
        alt=f"Box plots of Dice and FNR of every system over the cases of {found.name}; the figures are in the tables.",
        caption=f"{found.name}: each dot is a case, the box holds the middle half, the line in it is the median.",
    )


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
