"""Several systems side by side: the scores of the same patients, pair by pair and ranked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from crgan.errors import CrganError, Problem, fail
from crgan.evaluation.paired import FEWEST_TO_TEST, Paired, compare_paired, holm
from crgan.evaluation.pairs import some
from crgan.evaluation.ranking import Rank, is_ranked, lower_is_better, rank_systems
from crgan.evaluation.scores import Scores
from crgan.evaluation.tables import ALSO_SHOWN, FAIR, SHOWN, number
from crgan.files import read_json

METRICS = (*SHOWN, "precision", *ALSO_SHOWN)
"""What is compared unless other metrics are asked for, as far as it was measured."""


DIFFERENCE_COLUMNS = ("target", "metric", "systems", "difference", "effect", "p rank", "p perm.", "n")
RANK_COLUMNS = ("target", "metric", "rank", "system", "mean", "first in", "n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What the second of two systems has more of a metric than the first, on the same patients.

    Parameters
    ----------
    target, metric, first, second
        What is compared.
    paired
        Difference, interval, effect and p-values.
    first_mean, second_mean
        Means of the two systems over the cases that the difference is of; None if there are none.
    wilcoxon_holm, permutation_holm
        The p-values corrected for all comparisons of this metric: all targets and all pairs of systems.
    """

    target: str
    metric: str
    first: str
    second: str
    paired: Paired
    first_mean: float | None = None
    second_mean: float | None = None
    wilcoxon_holm: float | None = None
    permutation_holm: float | None = None

    def reversed(self) -> Difference:
        """The same, of the first less the second."""
        return replace(
            self,
            first=self.second,
            second=self.first,
            first_mean=self.second_mean,
            second_mean=self.first_mean,
            paired=self.paired.reversed(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemComparison:
    """All differences and rankings of several systems.

    Parameters
    ----------
    systems
        Their names.
    cases, patients
        How many all systems have scores of.
    left_out
        Cases that only some systems have scores of.
    differences
        By metric, target and pair of systems.
    ranking
        By metric and target, the best system first; no entry for metrics of which neither more nor less is better.
    """

    systems: tuple[str, ...]
    cases: int
    patients: int
    left_out: tuple[str, ...]
    differences: tuple[Difference, ...]
    ranking: Mapping[str, Mapping[str, Sequence[Rank]]]

    def between(self, first: str, second: str, metric: str) -> list[Difference]:
        """What ``second`` has more of a metric than ``first``, target by target; none if it was not compared."""
        return [
            difference if difference.first == first else difference.reversed()
            for difference in self.differences
            if difference.metric == metric and {difference.first, difference.second} == {first, second}
        ]

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        differences = []
        for difference in self.differences:
            plain = asdict(difference)
            differences.append({name: value for name, value in (plain | plain.pop("paired")).items() if name != "paired"})
        return {
            "systems": list(self.systems),
            "cases": self.cases,
            "patients": self.patients,
            "left_out": list(self.left_out),
            "differences": differences,
            "ranking": {
                metric: {target: [asdict(rank) for rank in ranks] for target, ranks in targets.items()}
                for metric, targets in self.ranking.items()
            },
        }


def compare(systems: Mapping[str, Path], *, metrics: Sequence[str] | None = None) -> SystemComparison:
    """Compare systems by their ``scores.json``, as :func:`crgan.evaluation.evaluate.evaluate` wrote them.

    Parameters
    ----------
    systems
        The file, or the folder that holds it, by the system's name; at least two.
    metrics
        Which to compare, by their names in ``scores.json``; None takes :data:`METRICS`.

    Returns
    -------
    SystemComparison
        Over the cases that all systems have scores of. With fewer than six patients the differences are described
        and not tested.

    Raises
    ------
    CrganError
        If a file cannot be read or holds no scores, or the systems have no case, target or metric in common, or were
        scored by different conventions.
    """
    return compare_scores(read_systems(systems), metrics=metrics)


def read_systems(systems: Mapping[str, Path]) -> dict[str, Scores]:
    """Read the scores of at least two systems that were scored by the same conventions; see :func:`compare`."""
    if len(systems) < 2:
        raise fail("A comparison needs at least two systems.", got=some(systems), fix="give the scores of two or more")
    scores = {name: read_scores(path) for name, path in systems.items()}
    _same_conventions(scores)
    return scores


def common_cases(scores: Mapping[str, Scores]) -> list[str]:
    """The cases that all systems have scores of."""
    first = next(iter(scores.values()))
    return [case for case in first.cases if all(case in found.cases for found in scores.values())]


def compare_scores(
    scores: Mapping[str, Scores],
    *,
    metrics: Sequence[str] | None = None,
    pairs: Mapping[tuple[str, str], Mapping[str, Scores]] | None = None,
) -> SystemComparison:
    """Compare systems whose scores are at hand; see :func:`compare`.

    Parameters
    ----------
    scores
        By system.
    metrics
        Which to compare.
    pairs
        Scores of the same cases that tell the difference of two systems, in the order of ``scores``, better than those do; ranks
        are by ``scores`` alone.
    """
    first = next(iter(scores.values()))
    common = common_cases(scores)
    targets = [target for target in first.summary if all(target in found.summary for found in scores.values())]
    if not common or not targets:
        raise fail(
            "The systems have nothing in common.",
            expected="scores of the same cases and targets",
            got="; ".join(f"{name}: {some(found.cases, most=3)}; {some(found.summary, most=3)}" for name, found in scores.items()),
            fix="score all systems against the same labels",
        )
    known = [metric for metric in first.summary[targets[0]] if all(metric in found.summary[targets[0]] for found in scores.values())]
    chosen = [metric for metric in METRICS if metric in known] if metrics is None else list(dict.fromkeys(metrics))
    if unknown := [metric for metric in chosen if metric not in known]:
        raise fail("There are no such metrics in all scores.", expected=some(known, most=80), got=some(unknown), fix="correct --metric")
    owners = [first.patients[case] for case in common]
    everyone = {case for found in scores.values() for case in found.cases}

    def values(system: str, target: str, metric: str, within: Mapping[str, Scores] = scores) -> list[float | None]:
        return [within[system].cases[case][target][metric] for case in common]

    def difference(one: str, other: str, target: str, metric: str) -> Difference:
        within = (pairs or {}).get((one, other), scores)
        first, second = values(one, target, metric, within), values(other, target, metric, within)
        first_mean, second_mean = _means(first, second)
        return Difference(
            target=target,
            metric=metric,
            first=one,
            second=other,
            paired=compare_paired(first, second, owners),
            first_mean=first_mean,
            second_mean=second_mean,
        )

    differences: list[Difference] = []
    ranking: dict[str, dict[str, list[Rank]]] = {}
    for metric in chosen:
        found = [difference(one, other, target, metric) for target in targets for one, other in combinations(scores, 2)]
        wilcoxon, permutation = (holm([getattr(d.paired, f"{test}_p") for d in found]) for test in ("wilcoxon", "permutation"))
        differences += [
            replace(one, wilcoxon_holm=signed, permutation_holm=permuted)
            for one, signed, permuted in zip(found, wilcoxon, permutation, strict=True)
        ]
        if is_ranked(metric):
            ranking[metric] = {
                target: rank_systems({name: values(name, target, metric) for name in scores}, owners, lower_better=lower_is_better(metric))
                for target in targets
            }
    return SystemComparison(
        systems=tuple(scores),
        cases=len(common),
        patients=len(set(owners)),
        left_out=tuple(sorted(everyone - set(common))),
        differences=tuple(differences),
        ranking=ranking,
    )


def _means(first: Sequence[float | None], second: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Means of both over the cases for which both have a value."""
    both = [(one, other) for one, other in zip(first, second, strict=True) if one is not None and other is not None]
    if not both:
        return None, None
    return fmean(one for one, _ in both), fmean(other for _, other in both)


def read_scores(path: Path) -> Scores:
    """Read the scores of a system from ``scores.json`` or from the folder that holds it.

    Raises
    ------
    CrganError
        If there is no such file or it holds no scores.
    """
    file = path / "scores.json" if path.is_dir() else path
    data = read_json(file)
    try:
        return Scores.from_json(data)
    except (KeyError, TypeError, AttributeError) as error:
        raise fail(
            "The file holds no scores.",
            where=file,
            expected="scores.json as crgan evaluate writes it",
            got=f"{type(error).__name__}: {error}",
        ) from error


def difference_rows(comparison: SystemComparison) -> list[list[str]]:
    """Differences as text: target, metric, pair, difference with interval, effect, both corrected p-values, patients."""
    return [
        [
            difference.target,
            heading(difference.metric),
            f"{difference.second} − {difference.first}",
            difference_text(difference),
            "–" if difference.paired.effect is None else f"{difference.paired.effect:+.2f}".replace("-", "−"),
            p_value(difference.wilcoxon_holm),
            p_value(difference.permutation_holm),
            str(difference.paired.n),
        ]
        for difference in comparison.differences
    ]


def difference_text(difference: Difference) -> str:
    """A difference with its interval, ``+0.012 [−0.003, +0.028]``."""
    return _with_interval(difference.paired)


def rank_rows(comparison: SystemComparison) -> list[list[str]]:
    """Rankings as text: target, metric, rank with its range, system, mean, share of samples in which it is first."""
    return [
        [
            target,
            heading(metric),
            str(rank.rank) if rank.rank_low is None else f"{rank.rank} [{rank.rank_low}, {rank.rank_high}]",
            rank.system,
            number(rank.mean),
            "–" if rank.first is None else f"{100 * rank.first:.0f} %",
            str(rank.n),
        ]
        for metric, targets in comparison.ranking.items()
        for target, ranks in targets.items()
        for rank in ranks
    ]


def notes(comparison: SystemComparison) -> list[str]:
    """What a reader must know to read the tables right."""
    found = [f"{comparison.cases} cases of {comparison.patients} patients that all systems were scored on."]
    if comparison.left_out:
        found.append(f"Left out, because not all systems have them: {some(comparison.left_out)}.")
    if comparison.patients < FEWEST_TO_TEST:
        found.append(f"Fewer than {FEWEST_TO_TEST} patients: differences are described and not tested.")
    else:
        found.append("p rank: Wilcoxon signed rank; p perm.: systems swapped patient by patient.")
        found.append("Both are two-sided and corrected (Holm) for all pairs and targets of a metric.")
    return found


def p_value(p: float | None) -> str:
    """``0.034``, ``<0.001``, ``–`` where nothing was tested."""
    if p is None:
        return "–"
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def heading(metric: str) -> str:
    """What tables call a metric."""
    return (SHOWN | ALSO_SHOWN | FAIR).get(metric, metric)


def _with_interval(paired: Paired) -> str:
    if paired.difference is None:
        return "–"
    text = _signed(paired.difference)
    if paired.ci_low is None or paired.ci_high is None:
        return text
    return f"{text} [{_signed(paired.ci_low)}, {_signed(paired.ci_high)}]"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "−" if value < 0 else "") + number(abs(value))


def _same_conventions(scores: Mapping[str, Scores]) -> None:
    """Refuse to compare figures that mean different things; files of version 0.1.0 do not say by what they were scored."""
    (reference, first), *others = scores.items()
    problems = [
        Problem(
            what=f"{name} was scored by other conventions than {reference}.",
            where=setting,
            expected=str(first.settings[setting]),
            got=str(found.settings[setting]),
            fix="evaluate both again with the same options",
        )
        for name, found in others
        for setting in ("empty", "tolerance_mm")
        if setting in first.settings and setting in found.settings and first.settings[setting] != found.settings[setting]
    ]
    if problems:
        raise CrganError(problems)
