"""What a study found, in plain sentences made from its figures and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crgan.evaluation.compare import Difference, p_value
from crgan.evaluation.paired import FEWEST_TO_TEST, holm
from crgan.evaluation.tables import number
from crgan.study.plan import REFINED, Row, Study
from crgan.study.results import ALONE, SetResults

_SIGNIFICANT = 0.05
_WORTH_A_SHARE = 0.01  # of less than this being missed, a share more or less says nothing


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
    alone = row.label + ALONE
    parts = [_against(found, other, row.label, f"{other}, trained for {_minutes(found, other)} minutes") for other in others]
    if alone in found.fair:
        parts.append(_against(found, alone, row.label, "its own generator alone"))
    if not parts:
        return about + f"{row.label} has nothing beside it that it differs from in the refiner alone."
    return about + f"{row.label}, trained for {_minutes(found, row.label)} minutes. " + " ".join(parts)


def _against(found: SetResults, first: str, second: str, words: str) -> str:
    missed = _between(found, first, second, "fnr_matched")
    text = f"Does it miss less than {words}, at no more false positives than {found.reference}? {_verdict(missed)} "
    told = [_relative(difference) for difference in missed if difference.paired.difference is not None]
    cost = [
        f"{name} {', '.join(f'{_signed(difference.paired.difference)} ({difference.target})' for difference in differences)}"
        for name, metric in (("Dice at best threshold", "dice_best"), ("FPR where matched", "fpr_matched"))
        if (differences := [d for d in _between(found, first, second, metric) if d.paired.difference is not None])
    ]
    return text + (f"{'; '.join(told)}. The cost: {'; '.join(cost)}." if told else "None of the test patients has a target.")


def _between(found: SetResults, first: str, second: str, metric: str) -> Sequence[Difference]:
    """The differences of one pair, which is what the study is about: corrected for its targets, and not for all other pairs."""
    differences = [] if found.fair_comparison is None else found.fair_comparison.between(first, second, metric)
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
    """``anterior 0.120 → 0.110, 8 % less (p = 0.03)``."""
    before, after = difference.first_mean, difference.second_mean
    text = f"{difference.target} FNR {number(before)} → {number(after)}"
    if before is not None and before >= _WORTH_A_SHARE and difference.paired.difference is not None:
        share = difference.paired.difference / before
        text += f", {abs(share):.0%} {'less' if share < 0 else 'more'}".replace("%", " %")
    p = p_value(difference.permutation_holm)
    return text + ("" if p == "–" else f" (p {p})" if p.startswith("<") else f" (p = {p})")


def _minutes(found: SetResults, name: str) -> str:
    minutes = [record.minutes for _, record in found.records[name]]
    return f"{sum(minutes) / len(minutes):.1f}"


def _signed(value: float | None) -> str:
    return ("+" if (value or 0) > 0 else "−" if (value or 0) < 0 else "±") + number(abs(value or 0))
