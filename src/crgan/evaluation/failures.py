"""Which cases failed, and how: what was missed altogether, lesions missed, false alarms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crgan.evaluation.evidence import Evaluation, missed_altogether, nothing_to_find
from crgan.evaluation.lesions import Lesions
from crgan.evaluation.metrics import Metrics
from crgan.evaluation.tables import count, number

MOSTLY_MISSED = 0.5
"""A target of which more than this share of the volume was missed is a failure, whatever its lesions say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A case in which something went wrong.

    Parameters
    ----------
    case
        Its id.
    reasons
        What went wrong, a phrase each.
    severity
        Worse failures compare greater: targets missed altogether, lesions missed, share of the volume missed, false alarms.
    """

    case: str
    reasons: Sequence[str]
    severity: tuple[int, int, float, int]


def find_failures(evaluation: Evaluation) -> list[Failure]:
    """Find the cases that failed in some target, the worst first."""
    failures = []
    for case, targets in evaluation.scores.cases.items():
        lesions = evaluation.found[case].lesions
        reasons = {name: _reasons(metrics, lesions.get(name), evaluation) for name, metrics in targets.items()}
        if any(reasons.values()):
            failures.append(
                Failure(
                    case=case,
                    reasons=[f"{name}: {', '.join(found)}" for name, found in reasons.items() if found],
                    severity=_severity(list(targets.values())),
                )
            )
    return sorted(failures, key=lambda failure: failure.severity, reverse=True)


def _reasons(metrics: Metrics, lesions: Lesions | None, evaluation: Evaluation) -> list[str]:
    unit, volume = evaluation.unit, "pixels" if evaluation.flat else "mm³"
    if nothing_to_find(metrics):
        false = metrics["false_positive_mm3"] or 0
        return [f"{false:,.0f} {volume} marked where there is nothing to find"] if false else []
    found = []
    if missed_altogether(metrics):
        found.append("nothing marked" if metrics["precision"] is None else "what is marked lies elsewhere")
    elif (metrics["fnr"] or 0) > MOSTLY_MISSED:
        found.append(f"{100 * (metrics['fnr'] or 0):.0f} % of it missed")
    if lesions is not None and lesions.missed and (lesions.count > 1 or not found):
        largest = lesions.diameter_mm[~lesions.found].max()
        found.append(f"{lesions.missed} of {count(lesions.count, 'lesion')} missed (the largest of {number(float(largest))} {unit})")
    if lesions is not None and lesions.false_alarms:
        found.append(count(lesions.false_alarms, "false alarm"))
    return found


def _severity(targets: Sequence[Metrics]) -> tuple[int, int, float, int]:
    return (
        sum(missed_altogether(metrics) for metrics in targets),
        sum(int(metrics.get("lesions_missed") or 0) for metrics in targets),
        sum(metrics["fnr"] or 0 for metrics in targets),
        sum(int(metrics.get("lesion_false_alarms") or 0) for metrics in targets),
    )
