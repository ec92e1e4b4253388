"""What a page of an evaluation is made from: the scores, what lies behind them, and where the files are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crgan.evaluation.calibration import Reliability
from crgan.evaluation.case import CaseScores
from crgan.evaluation.images import Imaged
from crgan.evaluation.metrics import Choices, Metrics
from crgan.evaluation.pairs import Pair
from crgan.evaluation.reading import Schemes
from crgan.evaluation.review import Review
from crgan.evaluation.scores import Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A finished evaluation.

    Parameters
    ----------
    scores
        Every figure and its mean.
    found
        What was measured of each case.
    pairs, schemes, imaged
        The files of the cases and what their values mean, from which pictures are drawn; ``imaged`` is empty without images.
    choices
        What was measured, and by which conventions.
    flat
        The masks are pictures: lengths are in pixels.
    """

    scores: Scores
    found: Mapping[str, CaseScores]
    pairs: Sequence[Pair]
    schemes: Schemes
    imaged: Mapping[str, Imaged]
    choices: Choices
    flat: bool = False

    @property
    def targets(self) -> list[str]:
        """Names of what was segmented."""
        return list(self.scores.summary)

    @property
    def unit(self) -> str:
        """Of lengths."""
        return "pixels" if self.flat else "mm"

    def measured(self, metric: str) -> bool:
        """Whether a metric was measured at all."""
        return any(metric in means for means in self.scores.summary.values())

    def total(self, target: str, metric: str) -> int:
        """Sum of a number over all cases."""
        return sum(int(case[target][metric] or 0) for case in self.scores.cases.values())

    def cases_with(self, target: str, metric: str) -> int:
        """Cases in which a number is more than 0."""
        return sum((case[target][metric] or 0) > 0 for case in self.scores.cases.values())

    def reliability(self, target: str) -> Reliability | None:
        """What the probabilities of all cases say, pooled over voxels; None where no case has a map."""
        parts = [scored.reliability[target] for scored in self.found.values() if target in scored.reliability]
        return None if not parts else sum(parts[1:], start=parts[0])

    def reviews(self, target: str) -> list[Review]:
        """What looking again brings, of each case that lists places."""
        return [scored.reviews[target] for scored in self.found.values() if target in scored.reviews]

    def lesions(self, target: str) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[str]]:
        """Diameter of every lesion of all cases, whether it was found, and whose it is."""
        parts = {case: scored.lesions[target] for case, scored in self.found.items() if target in scored.lesions}
        diameters = np.concatenate([part.diameter_mm for part in parts.values()]) if parts else np.zeros(0)
        found = np.concatenate([part.found for part in parts.values()]) if parts else np.zeros(0, bool)
        return diameters, found, [case for case, part in parts.items() for _ in range(part.count)]

    def by_patient(self, target: str, metric: str) -> dict[str, float]:
        """Mean of a metric over the cases of each patient that has one."""
        values: dict[str, list[float]] = {}
        for case, targets in self.scores.cases.items():
            value = targets[target].get(metric)
            if value is not None:
                values.setdefault(self.scores.patients[case], []).append(value)
        return {patient: float(np.mean(numbers)) for patient, numbers in values.items()}


def missed_altogether(metrics: Metrics) -> bool:
    """Whether there is something to find, and no voxel of it was marked."""
    return metrics["sensitivity"] == 0


def nothing_to_find(metrics: Metrics) -> bool:
    """Whether the truth is empty."""
    return metrics["sensitivity"] is None
