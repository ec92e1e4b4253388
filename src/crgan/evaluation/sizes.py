"""The share of lesions found, by size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from crgan.report.charts import SizeRate

Z = 1.959964
"""The normal quantile of a 95 % interval."""


def size_rates(diameters: NDArray[np.float64], found: NDArray[np.bool_]) -> list[SizeRate]:
    """Count lesions in classes whose diameters double, from powers of two; classes without lesions are left out.

    Parameters
    ----------
    diameters
        ``(n,)``, above 0.
    found
        Bool ``(n,)``.

    Returns
    -------
    list of SizeRate
        With Wilson's interval (Wilson, "Probable inference, the law of succession, and statistical inference", 1927), which takes
        lesions as independent of each other. Empty without lesions.
    """
    octave = np.floor(np.log2(diameters)).astype(int)
    rates = []
    for power in np.unique(octave).tolist():
        of_size = found[octave == power]
        low, high = wilson(int(of_size.sum()), of_size.size)
        rates.append(
            SizeRate(low=2.0**power, high=2.0 ** (power + 1), lesions=of_size.size, found=int(of_size.sum()), ci_low=low, ci_high=high)
        )
    return rates


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of ``n`` independent trials, n at least 1."""
    share, weight = hits / n, 1 + Z**2 / n
    middle = (share + Z**2 / (2 * n)) / weight
    half = Z / weight * math.sqrt(share * (1 - share) / n + Z**2 / (4 * n**2))
    return max(middle - half, 0.0), min(middle + half, 1.0)
