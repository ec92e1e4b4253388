"""Scores as rows of text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crgan.evaluation.statistics import Mean

SHOWN = {"dice": "Dice", "fnr": "FNR", "fpr": "FPR", "hd95_mm": "HD95 mm"}
"""The metrics a table of scores shows, and under which headings; all others are in the files."""
ALSO_SHOWN = {"lesion_f1": "lesion F1", "seg": "SEG"}
"""What it shows besides where it was measured."""
FAIR = {
    "fnr_matched": "FNR at matched FPR",
    "dice_best": "Dice at best threshold",
    "fnr_best": "FNR at best threshold",
    "curve_area": "mean FNR of the curve",
    "fpr_matched": "FPR where matched",
    "fpr_best": "FPR at best threshold",
}
"""Figures at operating points that were chosen by the same rule for every system (:mod:`crgan.evaluation.operating_points`)."""


def shown(summary: Mapping[str, Mapping[str, Mean]]) -> dict[str, str]:
    """The metrics a table of these scores shows, with their headings: of :data:`SHOWN` and :data:`ALSO_SHOWN` what was measured."""
    known = next(iter(summary.values()), {})
    return {name: heading for name, heading in (SHOWN | ALSO_SHOWN).items() if name in known}


def number(value: float | None) -> str:
    """``0.8123`` as ``0.812``, small rates with two digits that count (``0.00012``), what is undefined as ``–``."""
    if value is None:
        return "–"
    if 0 < abs(value) < 0.01:
        return f"{value:.2g}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"


def count(amount: int, thing: str) -> str:
    """``1 lesion``, ``1,234 lesions``."""
    return f"{amount:,} {thing}{'' if amount == 1 else 's'}"


def mean_with_interval(mean: Mean) -> str:
    """A mean with its 95 % interval, ``0.812 [0.750, 0.861]``; the mean alone where there is no interval."""
    if mean.ci_low is None or mean.ci_high is None:
        return number(mean.mean)
    return f"{number(mean.mean)} [{number(mean.ci_low)}, {number(mean.ci_high)}]"


def score_rows(summary: Mapping[str, Mapping[str, Mean]], *, metrics: Sequence[str] = tuple(SHOWN)) -> list[list[str]]:
    """One row per class or region: its name, a cell per metric, and the number of cases behind the first metric."""
    return [[name, *(mean_with_interval(means[metric]) for metric in metrics), str(means[metrics[0]].n)] for name, means in summary.items()]
