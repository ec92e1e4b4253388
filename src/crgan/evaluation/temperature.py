"""Probabilities that mean what they say: one number for each target makes them less sure, or more.

Networks that are trained for overlap are too sure of themselves. Dividing the logit of a probability by a temperature (Guo et al., "On
calibration of modern neural networks", 2017), target by target, mends that and changes no order: what was likelier stays likelier, and
1/2 stays 1/2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.conformal import levels_of
from crgan.evaluation.calibration import Reliability, reliability_of_counts
from crgan.evaluation.tally import VALUES, Counts

_BOUNDS = (0.1, 20.0)
# Half-precision numbers next to 0 and 1: what is given as 0 or 1 is as sure as that, and not infinitely.
_CLIP = (float(np.nextafter(np.float16(0), np.float16(1))) / 2, 1 - 2.0**-12)
_FROM = 0.01
"""Reliability is measured on voxels that are given at least this before; most others are rightly given nearly 0, and would hide all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperature:
    """The temperature of a target's probabilities, and how reliable they are before and after.

    Parameters
    ----------
    value
        Logits are divided by it: above 1 makes probabilities less sure.
    patients
        Validation patients it was fitted on.
    ece_before, ece_after, brier_before, brier_after
        Expected calibration error and Brier score of the voxels that are given at least 0.01; afterwards each patient's by a
        temperature that was fitted on the other patients. None with fewer than two patients, or without such voxels.
    """

    value: float = 1.0
    patients: int = 0
    ece_before: float | None = None
    ece_after: float | None = None
    brier_before: float | None = None
    brier_after: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Temperatures:
    """Of each target, by name: of the generator's probabilities, and of the corrected ones. Empty where nothing was fitted."""

    generator: Mapping[str, Temperature]
    refiner: Mapping[str, Temperature]

    @classmethod
    def none(cls) -> Temperatures:
        """Probabilities as the networks give them."""
        return cls(generator={}, refiner={})

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {name: {target: found.to_json() for target, found in getattr(self, name).items()} for name in ("generator", "refiner")}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Temperatures:
        """Read what :meth:`to_json` gave.

        Raises
        ------
        ValueError
            If a temperature is not above 0.
        """
        found = cls(**{name: {target: Temperature(**values) for target, values in data[name].items()} for name in ("generator", "refiner")})
        if not all(0 < each.value < np.inf for kind in (found.generator, found.refiner) for each in kind.values()):
            raise ValueError("a temperature that is not above 0")
        return found


def scaled(probabilities: NDArray[np.float16], temperatures: Mapping[str, Temperature]) -> NDArray[np.float16]:
    """Divide the logits of probabilities by temperatures.

    Parameters
    ----------
    probabilities
        ``(K, ...)`` in half precision.
    temperatures
        Of the K targets, in their order; empty to leave all as they are.

    Returns
    -------
    NDArray
        Same shape and type; in the order of before, target by target. 0 and 1/2 stay what they are. It is the array that was
        given where nothing changes.
    """
    if all(each.value == 1 for each in temperatures.values()):
        return probabilities
    result = np.empty_like(probabilities)
    for values, each, to in zip(probabilities, temperatures.values(), result, strict=True):
        to[...] = _table(each.value).astype(np.float16)[levels_of(values)]
    return result


def fit_temperature(patients: Sequence[Counts]) -> Temperature:
    """Find the temperature under which the truth of validation patients is likeliest, and measure what it does.

    Parameters
    ----------
    patients
        ``(2, LEVELS)`` of each patient: voxels by true or not, and the level of their probability. Any voxel counts the same.

    Returns
    -------
    Temperature
        1 without a true voxel.
    """
    if not any(counts[1].any() for counts in patients):
        return Temperature(patients=len(patients))
    total = np.sum(patients, axis=0)
    value = _fit(total)
    before = _reliability(VALUES, total)
    after: Reliability | None = None
    for counts in patients if len(patients) > 1 else ():
        part = _reliability(_table(_fit(total - counts)), counts)
        after = part if after is None else after + part
    return Temperature(
        value=value,
        patients=len(patients),
        ece_before=before.ece,
        ece_after=None if after is None else after.ece,
        brier_before=before.brier,
        brier_after=None if after is None else after.brier,
    )


def _fit(counts: Counts) -> float:
    from scipy.optimize import minimize_scalar  # takes a tenth of a second to load, and prediction fits nothing

    if not counts[1].any():
        return 1.0
    logits = _logits()

    def surprise(log_temperature: float) -> float:
        """Negative log-likelihood of the truth, by voxel."""
        z = logits * np.exp(-log_temperature)
        return float((counts[1] @ np.logaddexp(0, -z) + counts[0] @ np.logaddexp(0, z)) / counts.sum())

    found = minimize_scalar(surprise, bounds=np.log(_BOUNDS), method="bounded")
    return float(np.exp(found.x))


def _reliability(values: NDArray[np.floating], counts: Counts) -> Reliability:
    """Of the voxels that were given enough before calibration, the same ones before and after."""
    chosen = VALUES >= _FROM
    return reliability_of_counts(values[chosen], negatives=counts[0, chosen], positives=counts[1, chosen])


def _table(temperature: float) -> NDArray[np.float32]:
    """What each level of probability becomes."""
    if temperature == 1:
        return VALUES
    from scipy.special import expit  # slow to load, and only maps of probabilities need it

    table = expit(_logits() / temperature).astype(np.float32)
    table[0] = 0
    return np.asarray(table)


def _logits() -> NDArray[np.float64]:
    from scipy.special import logit

    return np.asarray(logit(np.clip(VALUES.astype(np.float64), *_CLIP)))
