"""The page that shows a run: how the validation figures went, and what the networks say of a few validation patients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from crgan.model import Model
from crgan.preprocessing.stored import StoredCase
from crgan.report.charts import draw_curves
from crgan.report.html import Chart, Figure, Section, Table, write_report
from crgan.report.overlays import Overlay, Refinement, draw_overlays
from crgan.report.provenance import today, versions
from crgan.sweep.decision import decide_corrected
from crgan.sweep.volumes import decide
from crgan.training.calibration_page import list_temperatures
from crgan.training.dial_page import draw_dials, list_settings
from crgan.training.validation import truth_masks

MOST_PICTURED = 3
_CURVES = {"dice": "Dice (higher is better)", "fnr": "FNR (lower is better)", "loss": "training loss"}
_FIGURES = {"step": "step", "seconds": "seconds", "loss": "training loss", "dice": "Dice", "fnr": "FNR"}
_DIGITS = {"step": ",.0f", "seconds": ",.0f", "loss": ".3f", "dice": ".3f", "fnr": ".3f"}


def write_page(
    path: Path, model: Model, *, rows: Sequence[Mapping[str, str]], validation: Sequence[StoredCase], patients: Mapping[str, int]
) -> None:
    """Write ``report.html`` of a run.

    Parameters
    ----------
    path
        The file.
    model
        What came out.
    rows
        The figures of every validation, as in ``metrics.csv``.
    validation
        The cases that were validated on, of which a few are pictured.
    patients
        How many patients were for what.
    """
    config = model.config
    pictured = _some(validation)
    write_report(
        path,
        title=f"Training of {config.system}",
        summary=_summary(rows, patients),
        sections=[
            Section(heading="How the validation went", parts=[_curves(rows), _validations(rows, refined=model.refiner is not None)]),
            Section(heading="The dial", parts=[*draw_dials(model), list_settings(model)]),
            Section(heading="What the probabilities mean", parts=[list_temperatures(model)]),
            *([Section(heading="Validation patients", parts=[_pictures(model, pictured)])] if pictured else []),
        ],
        settings={
            "recipe": config.recipe,
            "system": config.system,
            "seed": config.seed,
            "length": f"{config.minutes:g} minutes" if config.minutes is not None else f"{config.steps} steps",
            "planes": ", ".join(config.planes or ()),
            "targets": ", ".join(model.labels.targets),
            "modalities": ", ".join(model.pipeline.modalities),
            "computed with": f"{_device(config.device)}, {torch.get_num_threads()} threads",
            "versions": versions(["torch", "numpy"]),
            "date": today(),
            "all settings": "config.yaml beside this page",
        },
    )


def _validations(rows: Sequence[Mapping[str, str]], *, refined: bool) -> Table:
    return Table(
        caption="Validation while training",
        columns=["stage", *_FIGURES.values()],
        rows=[[row["stage"], *(format(float(row[name]), digits) for name, digits in _DIGITS.items())] for row in rows],
        note="Means over the validation cases and targets: in the adversarial stage of the generator alone"
        + (", in the refinement stage with the dial at (0.5, 0.5). " if refined else ". ")
        + "Dice: overlap with the expert, 1 is perfect. FNR: share of the truth that was missed.",
    )


def _some(cases: Sequence[StoredCase]) -> list[StoredCase]:
    """A few of the cases, evenly spaced."""
    chosen = np.linspace(0, len(cases) - 1, min(MOST_PICTURED, len(cases))).round().astype(int)
    return [cases[index] for index in chosen]


def _device(name: str) -> str:
    return ("GPU" if torch.cuda.is_available() else "CPU") if name == "auto" else name


def _summary(rows: Sequence[Mapping[str, str]], patients: Mapping[str, int]) -> str:
    who = ", ".join(f"{count} for {purpose}" for purpose, count in patients.items() if count)
    sentences = [f"Patients: {who}."]
    for stage, who_segments in (("adversarial", "The generator alone"), ("refinement", "With the refiner, and the dial at (0.5, 0.5), it")):
        best = max((row for row in rows if row["stage"] == stage), key=lambda row: float(row["dice"]), default=None)
        if best is not None:
            sentences.append(f"{who_segments} reached a Dice of {float(best['dice']):.3f} and an FNR of {float(best['fnr']):.3f}.")
    sentences.append("On the same cases the dial was set for the best Dice of each target.")
    caution = (
        "These figures chose the weights and the dial, so they flatter: how well the model does on new patients is told by "
        "`crgan predict` and `crgan evaluate` on patients that training has not read."
    )
    return "\n\n".join([" ".join(sentences), caution])


def _curves(rows: Iterable[Mapping[str, str]]) -> Chart:
    """Plot the figures of both stages over the time they took, one after the other."""
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {label: {} for label in _CURVES.values()}
    ended, stage, last = 0.0, "", 0.0
    for row in rows:
        if row["stage"] != stage:
            ended, stage = ended + last, row["stage"]
        last = float(row["seconds"])
        for name, label in _CURVES.items():
            panels[label].setdefault(stage, []).append(((ended + last) / 60, float(row[name])))
    words = [
        f"{label}, {name} stage: from {points[0][1]:.3f} to {points[-1][1]:.3f}"
        for label, lines in panels.items()
        for name, points in lines.items()
    ]
    return Chart(
        panels=[draw_curves(label, lines, x_label="minutes of training") for label, lines in panels.items()],
        alt="Curves of the validations. " + "; ".join(words) + ".",
        caption="Every dot is a validation on whole patients; the training loss is that of the last mini-batch before it.",
    )


def _pictures(model: Model, cases: Sequence[StoredCase]) -> Figure:
    modality = model.pipeline.modalities[0]
    stages = "truth, generator, what the refiner calls missed and false, final mask" if model.refiner is not None else "truth, generator"
    return Figure(
        png=draw_overlays([_overlay(model, case) for case in cases], model.labels.targets),
        alt=f"Slices of validation patients: image, {stages}.",
        caption="One row per validation case, on the slice that tells most about the generator's errors. "
        f"Of the modalities it shows {modality}, as the networks see it.",
    )


def _overlay(model: Model, case: StoredCase) -> Overlay:
    exclusive = model.labels.exclusive
    estimate = model.estimate(case.image, case_id=case.case_id)
    decided, corrected = decide(estimate.generator, exclusive=exclusive), estimate.corrected
    # Rows of a picture run downwards, those of a slice of a patient upwards.
    turned = np.s_[..., :: -1 if case.image.shape[1] == 1 else 1, :]
    refinement = None
    if corrected is not None:
        refinement = Refinement(
            false_negatives=np.where(decided, 0, corrected)[turned],
            false_positives=np.where(decided, 1 - corrected, 0)[turned],
            final=decide_corrected(decided, corrected, p=model.dial.p, q=model.dial.q, exclusive=exclusive)[turned],
        )
    return Overlay(
        name=case.case_id,
        image=np.asarray(case.image[0], np.float32)[turned],
        truth=truth_masks(case, model.labels)[turned],
        generator=decided[turned],
        spacing_mm=case.spacing_mm,
        refinement=refinement,
    )
