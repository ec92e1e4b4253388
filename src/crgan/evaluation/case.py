"""Everything that is measured of one case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from crgan.cases.labels import IGNORED, LabelScheme
from crgan.evaluation.calibration import Reliability, reliability
from crgan.evaluation.lesions import Lesions, compare_lesions
from crgan.evaluation.metrics import CALIBRATION, DEFAULT, Choices, Metrics, measure, measure_instances
from crgan.evaluation.overlap import Mask
from crgan.evaluation.review import Review, review
from crgan.evaluation.surface import bounding_box

NOTHING: Mapping[str, NDArray[np.floating]] = MappingProxyType({})
BOX_MARGIN_MM = 10.0
"""How far the box reaches beyond truth and mask in which calibration is measured where no image tells the foreground."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseScores:
    """What was measured of a case, by target.

    Parameters
    ----------
    metrics
        The figures; None where a metric is undefined.
    lesions
        Every lesion and whether it was found; empty where lesions were left out, and for instances.
    reliability
        What the probabilities say and what is true; empty where there is no map.
    reviews
        What looking again brings; empty where no places to look at are listed.
    """

    metrics: Mapping[str, Metrics]
    lesions: Mapping[str, Lesions] = field(default_factory=dict)
    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    reviews: Mapping[str, Review] = field(default_factory=dict)


def score_case(
    prediction: NDArray[np.generic],
    truth: NDArray[np.generic],
    scheme: LabelScheme,
    *,
    spacing_mm: Sequence[float],
    choices: Choices = DEFAULT,
    foreground: Mask | None = None,
    truth_scheme: LabelScheme | None = None,
    probabilities: Mapping[str, NDArray[np.floating]] = NOTHING,
    ranks: NDArray[np.integer] | None = None,
) -> CaseScores:
    """Score one label map against another, target by target; instances as one mask and as objects.

    Parameters
    ----------
    prediction, truth
        Maps of label values, of one shape.
    scheme
        What the values of the prediction mean.
    spacing_mm
        Distance of neighbouring voxels along each axis.
    choices, foreground
        What to measure, and where the body is; see :func:`crgan.evaluation.metrics.measure`. If the maps hold
        instances, these are compared and not lesions.
    truth_scheme
        What the values of the truth mean, if they are others for the same targets.
    probabilities
        Maps in [0, 1] of the prediction's shape, by target. They are held against the truth within the foreground; without
        one, within the box around truth and prediction that reaches :data:`BOX_MARGIN_MM` further.
    ranks
        The places to look at again, of the prediction's shape; None where none are listed.
    """
    instances, truth_scheme = scheme.instances, truth_scheme or scheme
    predicted = scheme.as_one().encode(scheme.merge(prediction))
    true = truth_scheme.as_one().encode(truth_scheme.merge(truth))
    scheme, truth_scheme = scheme.as_one(), truth_scheme.as_one()
    if instances:
        choices = replace(choices, without=(*choices.without, "lesions"))
    known = true != IGNORED if truth_scheme.ignore is not None else None
    metrics: dict[str, Metrics] = {}
    lesions: dict[str, Lesions] = {}
    reliabilities: dict[str, Reliability] = {}
    reviews: dict[str, Review] = {}
    for target in scheme.targets:
        marked, wanted = scheme.mask(target, predicted), truth_scheme.mask(target, true)
        if known is not None:
            marked, wanted = marked & known, wanted & known
        if "lesions" not in choices.without:
            lesions[target] = compare_lesions(marked, wanted, spacing_mm=spacing_mm)
        if ranks is not None:
            reviews[target] = review(ranks if known is None else np.where(known, ranks, 0), marked, wanted)
        metrics[target] = measure(
            marked,
            wanted,
            spacing_mm=spacing_mm,
            choices=choices,
            foreground=foreground,
            within=known,
            lesions=lesions.get(target),
        )
        if target in probabilities:
            around = _around(marked | wanted, spacing_mm) if foreground is None else foreground
            found = reliability(probabilities[target], wanted, within=around if known is None else around & known)
            reliabilities[target] = found
            metrics[target] |= {name: getattr(found, name) for name in CALIBRATION}
    if instances:
        objects = measure_instances(prediction, truth, within=known)
        metrics = {target: values | objects for target, values in metrics.items()}
    return CaseScores(metrics=metrics, lesions=lesions, reliability=reliabilities, reviews=reviews)


def _around(marked: Mask, spacing_mm: Sequence[float]) -> Mask:
    """The box around everything marked, and :data:`BOX_MARGIN_MM` beyond; nothing where nothing is marked."""
    around = np.zeros(marked.shape, bool)
    if marked.any():
        margins = [round(BOX_MARGIN_MM / edge) for edge in spacing_mm]
        box = bounding_box(marked)
        around[tuple(slice(max(part.start - margin, 0), part.stop + margin) for part, margin in zip(box, margins, strict=True))] = True
    return around
