"""What a study found, in plain sentences made from its figures and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crgan.evaluation.compare import Difference, SystemComparison, p_value
from crgan.evaluation.paired import FEWEST_TO_TEST, holm
from crgan.evaluation.tables import number
from crgan.study.plan import REFINED, Row, Study
from crgan.study.results import ALONE, SetResults

_SIGNIFICANT = 0.05
_WORTH_A_SHARE = 0.01  # of less than this being missed, a share more or less says nothing
_MANY = 4  # of more targets the mean alone is told: a sentence on each would not be read, and they stand in the tables


def headline(study: Study, found: SetResults) -> Row | None:
    """The system with refiner that the sentences and pictures are of: the last that is listed and is no ablation."""
    refined = [row for row in study.rows(found.name) if row.system.endswith(REFINED)]
    return next((row for row in reversed(refined) if row.ablation_of is None), refined[-1] if refined else None)


def sentences(study: Study, found: SetResults) -> str:
    """Tell whether refinement lowers the FNR at a matched FPR, by how much, how sure that is, and what it costs."""
    row = headline(study, found)
    patients = len(set(next(iter(found.fair.values())).patients.values()))
    about = f"{patients} test patient{'s' if patients != 1 else ''}. "
    if row is None:
        return about + "No system with a refiner was trained, so that nothing can be said of refinement."
    others = [
        other.label
        for other in study.rows(found.name)
        if other.system == row.system.removesuffix(REFINED) and other.set == row.set and other.label in found.fair
    ]
    if found.reference not in {row.label, *others}:
        others.append(found.reference)
    alone = row.label + ALONE
    parts = [_against(found, other, row.label, f"{other}, trained for {_minutes(found, other)} minutes") for other in others]
    if alone in found.fair:
        parts.append(_against(found, alone, row.label, "its own generator alone"))
    if not parts:
        return about + f"{row.label} has nothing beside it that it differs from in the refiner alone."
    return about + f"{row.label}, trained for {_minutes(found, row.label)} minutes. " + " ".join(parts)


def _against(found: SetResults, first: str, second: str, words: str) -> str:
    missed = _between(found.fair_comparison, first, second, "fnr_matched")
    overall = _between(found.overall_comparison, first, second, "fnr_matched")
    text = f"Does it miss less than {words}, at no more false positives than {found.reference}? {_verdict(overall or missed)} "
    told = [difference for difference in missed if difference.paired.difference is not None]
    if not told:
        return text + "None of the test patients has a target."
    few = len(told) <= _MANY
    each = "; ".join(map(_relative, told)) if few else _how_many(told)
    paid = found.fair_comparison if few else found.overall_comparison
    dice, fpr = (_between(paid, first, second, metric) for metric in ("dice_best", "fpr_matched"))
    cost = f"The cost: Dice at best threshold {_changes(dice)}; FPR where matched {_changes(fpr)}."
    said = "; ".join([*("on the " + _relative(difference) for difference in overall), each])
    return f"{text}{said}. {cost}"


def _between(comparison: SystemComparison | None, first: str, second: str, metric: str) -> Sequence[Difference]:
    """The differences of one pair, which is what the study is about: corrected for its targets, and not for all other pairs."""
    differences = [] if comparison is None else comparison.between(first, second, metric)
    corrected = holm([difference.paired.permutation_p for difference in differences])
    return [replace(difference, permutation_holm=p) for difference, p in zip(differences, corrected, strict=True)]


def _verdict(differences: Sequence[Difference]) -> str:
    tested = [difference for difference in differences if difference.permutation_holm is not None]
    if not tested:
        return f"Too few patients to test (fewer than {FEWEST_TO_TEST}):"
    sure = [d.paired.difference or 0.0 for d in tested if (d.permutation_holm or 0.0) < _SIGNIFICANT]
    less, more = sum(value < 0 for value in sure), sum(value > 0 for value in sure)
    if less == len(tested):
        return "Yes:"
    if less and not more:
        return f"For {less} of {len(tested)} targets:"
    if more and not less:
        return f"No, it misses more for {more} of {len(tested)} targets:" if more < len(tested) else "No, it misses more:"
    return "For some targets less, for some more:" if sure else "Not shown, chance would explain the differences:"


def _relative(difference: Difference) -> str:
    """``anterior FNR 0.120 → 0.110, 8 % less (p = 0.03)``."""
    p = p_value(difference.permutation_holm)
    change = _change(difference.first_mean, difference.second_mean, difference.paired.difference)
    return f"{difference.target} {change}" + ("" if p == "–" else f" (p {p})" if p.startswith("<") else f" (p = {p})")


def _how_many(differences: Sequence[Difference]) -> str:
    less = sum((difference.paired.difference or 0.0) < 0 for difference in differences)
    return f"{less} of the {len(differences)} are missed less"


def _change(before: float | None, after: float | None, by: float | None) -> str:
    text = f"FNR {number(before)} → {number(after)}"
    if before is None or before < _WORTH_A_SHARE or by is None:
        return text
    return text + f", {abs(by / before):.0%} {'less' if by < 0 else 'more'}".replace("%", " %")


def _changes(differences: Sequence[Difference]) -> str:
    """``+0.012 (anterior), −0.003 (posterior)``."""
    known = [(difference.target, difference.paired.difference) for difference in differences if difference.paired.difference is not None]
    return ", ".join(f"{_signed(value)} ({target})" for target, value in known) or "unknown"


def _minutes(found: SetResults, name: str) -> str:
    minutes = [record.minutes for _, record in found.records[name]]
    return f"{sum(minutes) / len(minutes):.1f}"


def _signed(value: float | None) -> str:
    return ("+" if (value or 0) > 0 else "−" if (value or 0) < 0 else "±") + number(abs(value or 0))
