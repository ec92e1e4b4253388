"""The charts of an evaluation's page."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from crgan.evaluation.evidence import Evaluation
from crgan.evaluation.page_texts import ABOUT_SIZE_CHART
from crgan.evaluation.sizes import size_rates
from crgan.evaluation.tables import count, number
from crgan.report.charts import Dot, draw_boxes, draw_reliability, draw_sizes
from crgan.report.html import Chart

SPREAD: dict[str, tuple[str, tuple[float, float] | None]] = {
    "dice": ("Dice (higher is better)", (0, 1)),
    "fnr": ("FNR (lower is better)", (0, 1)),
    "hd95_mm": ("HD95 in {unit} (lower is better)", None),
}


def spread_charts(evaluation: Evaluation, pictured: Mapping[str, str]) -> Chart:
    """Box plots over patients; dots of patients that are pictured lead there, given the place of each pictured case."""
    places = {evaluation.scores.patients[case]: place for case, place in reversed(list(pictured.items()))}
    panels, words = [], []
    for metric, (title, limits) in SPREAD.items():
        if not evaluation.measured(metric):
            continue
        heading = title.format(unit=evaluation.unit)
        values = {target: evaluation.by_patient(target, metric) for target in evaluation.targets}
        groups = {
            target: [Dot(value=value, name=patient, anchor=places.get(patient, "")) for patient, value in of_target.items()]
            for target, of_target in values.items()
        }
        panels.append(draw_boxes(heading, groups, limits=limits))
        words += [f"{heading}, {target}: {_quartiles(list(of_target.values()))}" for target, of_target in values.items()]
    return Chart(
        panels=panels,
        alt="Box plots over patients. " + "; ".join(words) + ".",
        caption="Each dot is a patient (the mean of its cases), the box holds the middle half, the line in it is the median. "
        "Dots say whose they are when pointed at, and those of pictured patients lead to the pictures.",
    )


def size_charts(evaluation: Evaluation) -> Chart | None:
    """Found and missed lesions over their diameter, for each target that has any; None where none has."""
    panels, words = [], []
    for target in evaluation.targets:
        diameters, found, owners = evaluation.lesions(target)
        if not diameters.size:
            continue
        rates = size_rates(diameters, found)
        panels.append(draw_sizes(target, diameters, found, rates, unit=evaluation.unit, names=owners))
        shares = ", ".join(f"{rate.found} of {rate.lesions} from {rate.low:g} to {rate.high:g} {evaluation.unit}" for rate in rates)
        words.append(f"{target}: {count(found.size, 'lesion')}, found {shares}")
    if not panels:
        return None
    return Chart(panels=panels, alt="Lesions found and missed by diameter. " + "; ".join(words) + ".", caption=ABOUT_SIZE_CHART)


def calibration_charts(evaluation: Evaluation) -> Chart | None:
    """The reliability curve of each target that has probability maps; None where none has."""
    panels, words = [], []
    for target in evaluation.targets:
        pooled = evaluation.reliability(target)
        if pooled is None or not pooled.voxels.any():
            continue
        probability, share = pooled.curve()
        panels.append(draw_reliability(target, probability, share, pooled.voxels[pooled.voxels > 0]))
        words.append(f"{target}: " + ", ".join(f"given {p:.2f} true in {s:.2f}" for p, s in zip(probability, share, strict=True)))
    if not panels:
        return None
    return Chart(
        panels=panels,
        alt="Reliability curves. " + "; ".join(words) + ".",
        caption="On the broken line probabilities come true as often as they say; below it they promise too much, above it too little. "
        "Larger dots stand for more voxels.",
    )


def _quartiles(values: list[float]) -> str:
    if not values:
        return "no values"
    low, lower, median, upper, high = np.percentile(values, [0, 25, 50, 75, 100])
    return f"median {number(median)}, middle half {number(lower)} to {number(upper)}, all {number(low)} to {number(high)}"
