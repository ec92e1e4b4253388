"""The paper's tables in its own rows and columns, what was measured here above what was printed there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from crgan.evaluation.scores import Scores
from crgan.evaluation.statistics import Mean, bootstrap_mean
from crgan.evaluation.tables import mean_with_interval
from crgan.study.plan import DataSet, Study
from crgan.study.results import ALONE, SetResults

MEASURED, PRINTED = "measured", "printed, other data"
_ABOUT_PRINTED = (
    "Printed rows were measured on the paper's data, not on these: they show the form and the order of size, "
    "and tell nothing about which system is better."
)
_UNKNOWN = Mean(mean=None, ci_low=None, ci_high=None, n=0)

# A printed metric of a case, made from one that is kept.
_MADE_OF: Mapping[str, tuple[str, Callable[[float], float]]] = {
    "sensitivity": ("fnr", lambda fnr: 1 - fnr),
    "specificity_foreground": ("fpr_foreground", lambda fpr: 1 - fpr),
    "voe_percent": ("dice", lambda dice: 100 * (1 - dice / (2 - dice))),
    "rvd_percent": ("rvd", lambda rvd: 100 * rvd),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperRow:
    """A row: what it is of, where it comes from, and a mean for each column; printed ones have no interval and no n."""

    name: str
    source: str
    means: Sequence[Mean]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """One of the paper's tables.

    Parameters
    ----------
    number
        As in the paper.
    set_name
        The data set that fills it.
    caption
        What it shows.
    columns
        Headings of the means.
    rows
        What was measured and what was printed.
    note
        What a reader must know.
    """

    number: int
    set_name: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[PaperRow]
    note: str


def paper_tables(study: Study, results: Sequence[SetResults]) -> list[PaperTable]:
    """Fill those of the paper's tables that the sets of a study name (``tables: brain``, ``liver`` or ``cells``)."""
    printed = yaml.safe_load((resources.files("crgan.study") / "printed.yaml").read_text(encoding="utf-8"))
    return [
        table
        for found in results
        if (kind := study.sets[found.name].tables) is not None
        for form in printed[kind]
        for table in _fill(form, study, found, study.sets[found.name])
    ]


def _fill(form: Mapping[str, Any], study: Study, found: SetResults, data: DataSet) -> list[PaperTable]:
    """One table, or two where none of the paper's targets is among those of the data: then ours has columns of its own."""
    own = list(next(iter(found.rows.values())).summary)
    wanted = list(dict.fromkeys(column["target"] for column in form["columns"] if "target" in column))
    known = _resolve(wanted, own, data.targets)
    systems = {row.label: row.system for row in study.rows(found.name)}
    printed = [PaperRow(name=row["name"], source=PRINTED, means=[_mean(value) for value in row["values"]]) for row in form["rows"]]
    if known or not wanted:
        names, ours = [column["name"] for column in form["columns"]], _measured(form, form["columns"], found, systems, known)
        return [_table(form, found, names, _beside(ours, printed), known)]
    columns = [
        {**column, "name": column["name"].replace(column["target"], target), "target": target}
        for column in form["columns"]
        if column["target"] == wanted[0]
        for target in own
    ]
    ours = _measured(form, columns, found, systems, {target: target for target in own})
    first = _table(form, found, [column["name"] for column in columns], ours, known)
    return [first, _table(form, found, [column["name"] for column in form["columns"]], printed, known)]


def _resolve(wanted: Sequence[str], own: Sequence[str], named: Mapping[str, str]) -> dict[str, str]:
    """Our target by the paper's: as the study says, of the same name, or because there is but one of either."""
    by_name = {target.casefold(): target for target in own}
    known = {target: named.get(target) or by_name.get(target.casefold(), "") for target in wanted}
    known = {target: ours for target, ours in known.items() if ours in own}
    return dict(zip(wanted, own, strict=True)) if not known and len(wanted) == len(own) == 1 else known


def _measured(
    form: Mapping[str, Any], columns: Sequence[Mapping[str, str]], found: SetResults, systems: Mapping[str, str], known: Mapping[str, str]
) -> list[PaperRow]:
    """Our rows; in the table of a single system a row is a metric, and in those without targets each of ours has its own."""
    if "system" in form:
        label = next((label for label, system in systems.items() if system == form["system"]), None)
        if label is None:
            return []
        return [
            PaperRow(
                name=row["name"],
                source=MEASURED,
                # The validation patients chose the weights and the dial: what they would say is left out.
                means=[
                    _UNKNOWN if "side" in column else _of(found.rows[label], known.get(column["target"], ""), row["metric"])
                    for column in columns
                ],
            )
            for row in form["rows"]
        ]
    paper = {row["system"]: row["name"] for row in form["rows"] if "system" in row}
    rows = []
    for label, scores in found.rows.items():
        system = systems.get(label.removesuffix(ALONE), "")
        name = f"{paper[system]} ({label})" if system in paper and not label.endswith(ALONE) else label
        if all("target" in column for column in columns):
            means = [_of(scores, known.get(column["target"], ""), column["metric"]) for column in columns]
            rows.append(PaperRow(name=name, source=MEASURED, means=means))
        else:
            rows += [
                PaperRow(name=f"{name}, {target}", source=MEASURED, means=[_of(scores, target, column["metric"]) for column in columns])
                for target in scores.summary
            ]
    return rows


def _beside(ours: Sequence[PaperRow], printed: Sequence[PaperRow]) -> list[PaperRow]:
    """Each printed row below ours of the same name; then ours that the paper has not, then printed ones that we have not."""
    rows: list[PaperRow] = []
    taken: set[int] = set()
    for line in printed:
        mine = [index for index, row in enumerate(ours) if row.name == line.name or row.name.startswith(f"{line.name} (")]
        if mine:
            rows += [*(ours[index] for index in mine), line]
            taken |= set(mine)
    others = [row for index, row in enumerate(ours) if index not in taken]
    return [*rows, *others, *(line for line in printed if line not in rows)]


def _table(
    form: Mapping[str, Any], found: SetResults, columns: Sequence[str], rows: Sequence[PaperRow], known: Mapping[str, str]
) -> PaperTable:
    renamed = [f"{theirs} is {ours} here" for theirs, ours in known.items() if theirs != ours]
    notes = [
        _ABOUT_PRINTED,
        *([f"{'; '.join(renamed)}."] if renamed else []),
    ]
    if any(column.startswith(("FPR", "Spec")) for column in columns) or any(row.name == "Spec" for row in rows):
        notes.append("FPR and specificity: within the foreground of the image.")
    return PaperTable(
        number=form["number"], set_name=found.name, caption=form["caption"], columns=columns, rows=list(rows), note=" ".join(notes)
    )


def _of(scores: Scores, target: str, metric: str) -> Mean:
    source, make = _MADE_OF.get(metric, (metric, float))
    if target not in scores.summary or source not in scores.summary[target]:
        return _UNKNOWN
    values = [case[target][source] for case in scores.cases.values()]
    made = [None if value is None else make(value) for value in values]
    return bootstrap_mean(made, [scores.patients[case] for case in scores.cases])


def _mean(value: float | None) -> Mean:
    return Mean(mean=value, ci_low=None, ci_high=None, n=0)


def cell(row: PaperRow, mean: Mean) -> str:
    """A figure as text: measured ones with their interval, printed ones with the digits they were printed with."""
    if row.source == MEASURED:
        return mean_with_interval(mean)
    if mean.mean is None:
        return "–"
    return f"{mean.mean:.2f}" if abs(mean.mean) < 1 and round(mean.mean, 2) == mean.mean else f"{mean.mean:g}"
