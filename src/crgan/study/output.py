"""Everything a study writes once its jobs are over: tables, figures, comparisons, and a page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from crgan.evaluation.compare_page import pair_charts
from crgan.evaluation.scores import Scores
from crgan.evaluation.statistics import Mean
from crgan.files import atomic_write, write_json
from crgan.report.html import Section, Table, write_report
from crgan.report.provenance import today, versions
from crgan.study.figures import write_figures
from crgan.study.formats import latex, markdown
from crgan.study.paper_tables import PaperTable, paper_tables
from crgan.study.plan import Job, Study
from crgan.study.results import SetResults
from crgan.study.tables import ablation_table, as_table, cost_table, detail_tables, fair_tables, fewer_table, metric_tables
from crgan.study.words import sentences

FIGURES = "figures"


def write_results(out: Path, study: Study, results: Sequence[SetResults], *, left_out: Sequence[Job] = ()) -> None:
    """Write ``report.html``, ``tables.*``, ``paper-tables.*``, ``comparison.json`` and ``figures/`` of a study.

    Parameters
    ----------
    out
        The study's folder.
    study
        What was done.
    results
        What was found on each of its data sets.
    left_out
        Jobs of a larger study that are not over; the page names them.
    """
    tables = {found.name: _tables(study, found) for found in results}
    paper = paper_tables(study, results)
    _write(out / "tables.csv", _csv(results))
    _write_texts(out, "tables", [table for parts in tables.values() for table in parts])
    if paper:
        _write_texts(out, "paper-tables", [as_table(table) for table in paper])
        _write(out / "paper-tables.csv", _paper_csv(paper))
    write_json(out / "comparison.json", {found.name: _comparison(found) for found in results})
    sections = [
        section for found in results for section in _sections(out, study, found, [*tables[found.name], *_of_set(paper, found.name)])
    ]
    _write_page(out / "report.html", study, results, sections, left_out)


def _of_set(paper: Sequence[PaperTable], name: str) -> list[Table]:
    return [as_table(table) for table in paper if table.set_name == name]


def _sections(out: Path, study: Study, found: SetResults, tables: Sequence[Table]) -> list[Section]:
    """What the page shows of a data set."""
    sections = [Section(heading=found.name, parts=[*write_figures(out / FIGURES, study, found, out), *tables])]
    if len(found.rows) > 1:
        sections.append(Section(heading=f"{found.name}: patient by patient", parts=pair_charts(found.rows, ("dice", "fnr"))))
    return sections


def _tables(study: Study, found: SetResults) -> list[Table]:
    more = (ablation_table(study, found), fewer_table(found))
    return [*fair_tables(found), *metric_tables(found.name, found.rows), *(table for table in more if table is not None), cost_table(found)]


def _write_texts(out: Path, name: str, tables: Sequence[Table]) -> None:
    _write(out / f"{name}.md", "\n".join(markdown(table) for table in tables))
    _write(out / f"{name}.tex", "\n".join(latex(table) for table in tables))


def _comparison(found: SetResults) -> dict[str, object] | None:
    if found.comparison is None or found.fair_comparison is None:
        return None
    overall = {} if found.overall_comparison is None else {"means_of_targets": found.overall_comparison.to_json()}
    return {**found.comparison.to_json(), "reference": found.reference, "operating_points": found.fair_comparison.to_json(), **overall}


def _csv(results: Sequence[SetResults]) -> str:
    """Every mean, by own decisions and at the operating points."""
    lines = (
        [found.name, name, target, metric, *_values(mean), mean.n]
        for found in results
        for rows in (found.rows, found.fair, found.overall)
        for name, scores in rows.items()
        for target, metric, mean in _means(scores)
    )
    return _written(["set", "system", "target", "metric", "mean", "ci_low", "ci_high", "n"], lines)


def _means(scores: Scores) -> Iterator[tuple[str, str, Mean]]:
    for target, means in scores.summary.items():
        for metric, mean in means.items():
            yield target, metric, mean


def _paper_csv(tables: Sequence[PaperTable]) -> str:
    lines = (
        [table.set_name, table.number, row.name, row.source, column, *_values(mean), mean.n or ""]
        for table in tables
        for row in table.rows
        for column, mean in zip(table.columns, row.means, strict=True)
    )
    return _written(["set", "table", "approach", "source", "column", "mean", "ci_low", "ci_high", "n"], lines)


def _values(mean: Mean) -> list[float | str]:
    return ["" if value is None else value for value in (mean.mean, mean.ci_low, mean.ci_high)]


def _written(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return text.getvalue()


def _write_page(path: Path, study: Study, results: Sequence[SetResults], sections: Sequence[Section], left_out: Sequence[Job]) -> None:
    write_report(
        path,
        title="Systems side by side",
        summary="Does the refiner miss less, at the same share of false alarms? How much less, how sure is that, and what does it cost? "
        "p-values are of a permutation test over patients: of several targets one of their mean, and those of each target corrected for "
        "their number.",
        points={found.name: sentences(study, found) for found in results},
        sections=sections,
        details=[table for found in results for table in detail_tables(found)],
        settings={
            "recipe": study.recipe,
            "length of a training": _length(study, results),
            "seeds": ", ".join(map(str, study.seeds)),
            **({"settings": ", ".join(study.set)} if study.set else {}),
            "generators": "systems without refiner are scored by the generators of those with it"
            if study.share_generators
            else "those of systems that differ in the refiner alone are trained once",
            **({"not finished, left out": ", ".join(job.folder.as_posix() for job in left_out)} if left_out else {}),
            "trained with": "; ".join(sorted({_versions(found) for found in results})),
            "tables made with": versions(),
            "date": today(),
        },
    )


def _length(study: Study, results: Sequence[SetResults]) -> str:
    """What was asked of each set's trainings."""
    lengths = {}
    for found in results:
        data = study.sets[found.name]
        own = data.minutes is not None or data.steps is not None
        minutes, steps = (data.minutes, data.steps) if own else (study.minutes, study.steps)
        lengths[found.name] = f"{minutes:g} minutes" if minutes is not None else f"{steps} steps"
    return ", ".join(f"{name}: {length}" for name, length in lengths.items())


def _versions(found: SetResults) -> str:
    records = [record for rows in found.records.values() for _, record in rows]
    return "; ".join(sorted({", ".join(f"{name} {version}" for name, version in record.versions.items()) for record in records}))


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
