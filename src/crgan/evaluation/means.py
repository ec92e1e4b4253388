"""Means over what is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def known_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean along the first axis of what is not NaN; NaN where nothing else is, and of nothing, without a warning."""
    known = ~np.isnan(values)
    counts = known.sum(axis=0)
    return np.where(counts > 0, np.where(known, values, 0).sum(axis=0) / np.maximum(counts, 1), np.nan)
