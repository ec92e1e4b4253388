"""The results of a study's systems, each over all of its seeds and folds, and how they compare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from crgan.evaluation.compare import SystemComparison, compare_scores
from crgan.evaluation.metrics import Metrics
from crgan.evaluation.scores import Scores
from crgan.evaluation.tables import FAIR
from crgan.study.fair import Trained, fair_scores, mean_over_seeds, over_targets
from crgan.study.plan import REFINED, Job, Row, Study, generator_sources
from crgan.study.record import GENERATOR, RECORD, SYSTEM, Record, read_record, settings_digest

Found = list[tuple[Job, Record]]
"""Trainings, each with its record."""

ALONE = ", its generator alone"
"""After a system's name: the row of its generator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetResults:
    """What a study found on one data set.

    Parameters
    ----------
    name
        Of the data set.
    rows
        The scores of each row of the tables, in their order, by the systems' own decisions.
    comparison
        Of every two rows on the same patients; None if there is only one.
    fair
        Of each row, the figures of every patient at operating points chosen by the same rule.
    fair_comparison
        Of every two rows there; None if there is only one.
    overall, overall_comparison
        The same of each patient's mean over the targets; no rows, and None, where there is one target.
    reference
        The system whose false positive rate the others are held to.
    records
        By row, the record of each training with its job.
    kinds
        By row, which part of the records it is: the system, or its generator alone.
    fewer
        By row and number of training patients, the scores of trainings on some of the patients, and on all.
    """

    name: str
    rows: Mapping[str, Scores]
    comparison: SystemComparison | None
    fair: Mapping[str, Scores]
    fair_comparison: SystemComparison | None
    overall: Mapping[str, Scores]
    overall_comparison: SystemComparison | None
    reference: str
    records: Mapping[str, Found]
    kinds: Mapping[str, str]
    fewer: Mapping[str, Mapping[int, Scores]] = field(default_factory=dict)


def gather(study: Study, set_name: str, out: Path) -> SetResults:
    """Read the records of all jobs of a data set.

    A case's figures are averaged over the seeds before anything else: seeds are no patients, and do not narrow an interval
    over patients. Two systems are compared over the seeds that both were trained with, if there are any: another seed has other
    validation patients, and so other thresholds. With a refiner there is a row more, for the generator alone, unless it was
    taken over.
    """
    records: dict[str, Found] = {}
    kinds: dict[str, str] = {}
    fewer: dict[str, dict[int, Scores]] = {}
    listed = study.rows(set_name)
    sources = generator_sources(study.jobs())
    for row in listed:
        refined = study.refined(set_name, row)
        if refined is not None:
            records[row.label], kinds[row.label] = _records(study, set_name, refined, out), GENERATOR
            continue
        found = _records(study, set_name, row, out)
        own = any(job.folder not in sources for job, _ in found)  # else another row shows its generator already
        if row.system.endswith(REFINED) and own and not any(study.refined(set_name, other) is row for other in listed):
            records[row.label + ALONE], kinds[row.label + ALONE] = found, GENERATOR
        records[row.label], kinds[row.label] = found, SYSTEM
        if study.sets[set_name].training_patients:
            fewer[row.label] = _fewer(study, set_name, row, out)
    rows = {name: _scores(found, kinds[name]) for name, found in records.items()}
    trained = {name: _trained(found, kinds[name]) for name, found in records.items()}
    reference = trained[study.reference_of(set_name)]
    fair = fair_scores(trained, reference=reference)
    several = len(rows) > 1
    many = any(len(scores.summary) > 1 for scores in fair.values())
    overall = _over_targets(fair) if many else {}
    pairs = _pairs_with_seeds_in_common(records)
    decided = {pair: {name: _scores(found, kinds[name]) for name, found in both.items()} for pair, both in pairs.items()}
    at_points = {
        pair: fair_scores({name: _trained(found, kinds[name]) for name, found in both.items()}, reference=reference)
        for pair, both in pairs.items()
    }
    means_at_points = {pair: _over_targets(both) for pair, both in at_points.items()}
    return SetResults(
        name=set_name,
        rows=rows,
        comparison=compare_scores(rows, pairs=decided) if several else None,
        fair=fair,
        fair_comparison=compare_scores(fair, metrics=tuple(FAIR), pairs=at_points) if several else None,
        overall=overall,
        overall_comparison=compare_scores(overall, metrics=tuple(FAIR), pairs=means_at_points) if many and several else None,
        reference=study.reference_of(set_name),
        records=records,
        kinds=kinds,
        fewer=fewer,
    )


def _records(study: Study, set_name: str, row: Row, out: Path, patients: int | None = None) -> Found:
    return [
        (job, read_record(out / job.folder / RECORD, settings=settings_digest(job.config)))
        for job in study.jobs_of(set_name, row, patients)
    ]


def _trained(found: Found, kind: str) -> list[Trained]:
    return [Trained(seed=job.seed, fold=job.fold, measured=record.rows[kind]) for job, record in found]


def _pairs_with_seeds_in_common(records: Mapping[str, Found]) -> dict[tuple[str, str], dict[str, Found]]:
    """Of every two rows that were trained with different seeds, the trainings whose seed both have; no pair without any."""
    pairs = {}
    for pair in combinations(records, 2):
        one, other = ({job.seed for job, _ in records[name]} for name in pair)
        if one != other and one & other:
            pairs[pair] = {name: [(job, record) for job, record in records[name] if job.seed in one & other] for name in pair}
    return pairs


def _over_targets(rows: Mapping[str, Scores]) -> dict[str, Scores]:
    return {name: over_targets(scores) for name, scores in rows.items()}


def _fewer(study: Study, set_name: str, row: Row, out: Path) -> dict[int, Scores]:
    """Scores by the number of training patients, from the fewest to all; the number of all is that of most folds."""
    found = {}
    for wanted in (*study.sets[set_name].training_patients, None):
        records = _records(study, set_name, row, out, wanted)
        found[max(record.trained_on for _, record in records)] = _scores(records, SYSTEM)
    return dict(sorted(found.items()))


def _scores(found: Found, kind: str) -> Scores:
    by_case: dict[str, list[Mapping[str, Metrics]]] = {}
    patients: dict[str, str] = {}
    settings = {}
    for _, record in found:
        scores = record.rows[kind].scores
        patients |= scores.patients
        settings = dict(scores.settings)
        for case, targets in scores.cases.items():
            by_case.setdefault(case, []).append(targets)
    cases = {case: mean_over_seeds(metrics) for case, metrics in sorted(by_case.items())}
    return Scores.of(cases, patients=patients, settings=settings)
