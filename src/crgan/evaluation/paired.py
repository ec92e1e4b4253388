"""Two systems on the same patients: by how much they differ, how sure that is, and whether it could be chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from crgan.evaluation.statistics import bootstrap_mean

FEWEST_TO_TEST = 6
"""Patients below which nothing is tested: with five, the smallest two-sided p-value that signs can give is 0.0625."""
PERMUTATIONS = 9999

# Of so many patients with ties SciPy tries all signs of the ranks, too; of more it approximates.
_EXACT_WITH_TIES = 13


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Differences between two systems, the second less the first.

    Parameters
    ----------
    n
        Patients for whom both systems have a value.
    difference
        Mean over these patients; None without any.
    ci_low, ci_high
        95 % BCa bootstrap interval of the difference; None for fewer than three patients.
    effect
        Matched-pairs rank-biserial correlation (Kerby, "The simple difference formula", 2014), from −1, the second is
        lower in all patients, to 1; 0 if no patient differs. None without patients.
    wilcoxon_p, permutation_p
        Two-sided p-values of the signed-rank test and of a permutation test that swaps the systems patient by patient
        (of the mean difference); None for fewer than :data:`FEWEST_TO_TEST` patients.
    """

    n: int
    difference: float | None
    ci_low: float | None
    ci_high: float | None
    effect: float | None
    wilcoxon_p: float | None
    permutation_p: float | None

    def reversed(self) -> Paired:
        """The same comparison, of the first less the second."""
        return replace(
            self,
            difference=_minus(self.difference),
            ci_low=_minus(self.ci_high),
            ci_high=_minus(self.ci_low),
            effect=_minus(self.effect),
        )


def compare_paired(first: Sequence[float | None], second: Sequence[float | None], patients: Sequence[str]) -> Paired:
    """Compare two systems patient by patient.

    Parameters
    ----------
    first, second
        A metric of each case by either system; a case in which either is None is left out.
    patients
        Whose each case is. A patient counts once, with the mean difference of its cases.
    """
    differences = _by_patient(first, second, patients)
    n = differences.size
    mean = bootstrap_mean(differences.tolist(), [str(number) for number in range(n)])
    tested = n >= FEWEST_TO_TEST
    return Paired(
        n=n,
        difference=mean.mean,
        ci_low=mean.ci_low,
        ci_high=mean.ci_high,
        effect=_rank_biserial(differences) if n else None,
        wilcoxon_p=_wilcoxon(differences) if tested else None,
        permutation_p=_permutation(differences) if tested else None,
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct p-values for their number: Holm, "A simple sequentially rejective multiple test procedure", 1979.

    None, a comparison that was not tested, stays None and does not count.
    """
    order = sorted((p, index) for index, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (p, index) in enumerate(order):
        least = max(least, min(1.0, (len(order) - rank) * p))
        corrected[index] = least
    return corrected


def _minus(value: float | None) -> float | None:
    return None if value is None else 0.0 - value


def _by_patient(first: Sequence[float | None], second: Sequence[float | None], patients: Sequence[str]) -> NDArray[np.float64]:
    """Mean difference of each patient."""
    found: dict[str, list[float]] = {}
    for one, other, patient in zip(first, second, patients, strict=True):
        if one is not None and other is not None:
            found.setdefault(patient, []).append(other - one)
    return np.array([np.mean(values) for values in found.values()], np.float64)


def _signed_ranks(moved: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    return np.asarray(rankdata(np.abs(moved)) * np.sign(moved), np.float64)


def _rank_biserial(differences: NDArray[np.float64]) -> float:
    ranks = _signed_ranks(differences[differences != 0])
    return float(ranks.sum() / np.abs(ranks).sum()) if ranks.size else 0.0


def _wilcoxon(differences: NDArray[np.float64]) -> float:
    from scipy.stats import wilcoxon

    # Patients who do not differ are left out, as Wilcoxon has it; if none differ, there is nothing to explain.
    moved = differences[differences != 0]
    if not moved.size:
        return 1.0
    if moved.size <= _EXACT_WITH_TIES and np.unique(np.abs(moved)).size < moved.size:
        return _permutation(_signed_ranks(moved))  # what SciPy does for so few, a hundred times faster
    return float(wilcoxon(moved).pvalue)


def _permutation(differences: NDArray[np.float64]) -> float:
    from scipy.stats import permutation_test

    if not differences.any():
        return 1.0
    # A single sample is permuted by its signs; all of them are tried where these are no more than the resamples.
    return float(
        permutation_test(
            (differences,),
            np.mean,
            permutation_type="samples",
            vectorized=True,
            n_resamples=PERMUTATIONS,
            rng=np.random.default_rng(0),
        ).pvalue
    )
