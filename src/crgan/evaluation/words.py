"""What an evaluation found, in plain sentences with intervals and numbers of cases."""

from __future__ import annotations

from collections.abc import Sequence

from crgan.evaluation.evidence import Evaluation, missed_altogether
from crgan.evaluation.failures import Failure
from crgan.evaluation.statistics import FEWEST_PATIENTS, Mean
from crgan.evaluation.tables import count, number


def lead(evaluation: Evaluation, failures: Sequence[Failure]) -> str:
    """Who was scored, in how many something went wrong, and what intervals mean; an empty line begins a new paragraph."""
    cases, patients = len(evaluation.scores.cases), len(set(evaluation.scores.patients.values()))
    who = f"{count(cases, 'case')} of {count(patients, 'patient')} held against the experts' labels."
    if failures:
        worst = failures[0]
        wrong = (
            f"In {len(failures)} of them something was missed altogether or mostly, or marked where there is nothing. "
            f"The worst is {worst.case} ({'; '.join(worst.reasons)})."
        )
    else:
        wrong = "In none of them was a lesion missed or something marked where there is nothing."
    if patients < FEWEST_PATIENTS:
        intervals = f"There are no intervals: {count(patients, 'patient')} cannot tell how patients differ."
    else:
        intervals = (
            "In brackets stand the 95 % interval of the mean, which tells how far the mean of other patients of this kind may lie "
            "from it, and n, the number of cases behind it."
        )
    return f"{who} {wrong}\n\n{intervals}"


def points(evaluation: Evaluation) -> dict[str, str]:
    """A few sentences for each target."""
    return {target: " ".join(_sentences(evaluation, target)) for target in evaluation.targets}


def _sentences(evaluation: Evaluation, target: str) -> list[str]:
    means = evaluation.scores.summary[target]
    metrics = [case[target] for case in evaluation.scores.cases.values()]
    false = sum((case["false_positive_mm3"] or 0) > 0 for case in metrics)
    present = sum(case["sensitivity"] is not None for case in metrics)
    if not present:
        return [f"Occurs in no case; marked in {count(false, 'case')}."]
    n = means["fnr"].n
    wrong = f", and {_percent(means['fdr'], n)} of what was marked was wrong." if means["fdr"].n else "; nothing was marked."
    found = [f"On average {_percent(means['fnr'])} of it was missed{wrong}", f"Mean Dice {_mean(means['dice'], n)}."]
    if present < len(metrics):
        found.append(f"It occurs in {present} of {count(len(metrics), 'case')}.")
    if empty := sum(missed_altogether(case) for case in metrics):
        found.append(f"In {count(empty, 'case')} all of it was missed.")
    if "lesions" in means:
        found += _lesion_sentences(evaluation, target, means["lesion_sensitivity"], n)
    if "seg" in means:
        found.append(f"Single objects: SEG {_mean(means['seg'], n)}, panoptic quality {_mean(means['pq'], n)}.")
    return found


def _lesion_sentences(evaluation: Evaluation, target: str, sensitivity: Mean, n: int) -> list[str]:
    total, missed, alarms = (evaluation.total(target, name) for name in ("lesions", "lesions_missed", "lesion_false_alarms"))
    missing = f"{missed} missed, in {count(evaluation.cases_with(target, 'lesions_missed'), 'case')}" if missed else "none missed"
    alarmed = f", in {count(evaluation.cases_with(target, 'lesion_false_alarms'), 'case')}" if alarms else ""
    verb = "was" if alarms == 1 else "were"
    found = f"{total - missed} {'was' if total - missed == 1 else 'were'} found"
    return [
        f"Of {count(total, 'lesion')} {found} and {missing}; the mean share found in a case is {_percent(sensitivity, n)}.",
        f"There {verb} {count(alarms, 'false alarm') if alarms else 'no false alarms'}{alarmed}.",
    ]


def _percent(mean: Mean, known_n: int | None = None) -> str:
    """``14 % (12 to 17 %, n = 50)``, with a decimal below 10 %; n is left out where the reader knows it."""
    if mean.mean is None:
        return "–"
    digits = 0 if mean.mean >= 0.1 else 1
    text = f"{100 * mean.mean:.{digits}f} %"
    interval = "" if mean.ci_low is None or mean.ci_high is None else f"{100 * mean.ci_low:.{digits}f} to {100 * mean.ci_high:.{digits}f} %"
    return text + _bracket(interval, mean.n, known_n)


def _mean(mean: Mean, known_n: int) -> str:
    interval = "" if mean.ci_low is None else f"{number(mean.ci_low)} to {number(mean.ci_high)}"
    return number(mean.mean) + _bracket(interval, mean.n, known_n)


def _bracket(interval: str, n: int, known_n: int | None) -> str:
    inside = [interval] * bool(interval) + [f"n = {n}"] * (n != known_n)
    return f" ({', '.join(inside)})" if inside else ""
