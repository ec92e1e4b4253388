"""The part of a run's page that tells how far probabilities mean what they say."""

from __future__ import annotations

from crgan.model import Model
from crgan.report.html import Table

NOTE = (
    "Voxels that are given 0.8 should be the target in eight of ten cases. ECE: by how much they miss that, on average; Brier: mean "
    "squared difference of probability and truth; 0 is best for both. Counted are the voxels of the validation patients that are given at "
    "least 0.01. Afterwards the logits are divided by the temperature; its figures are those of patients that it was not fitted on, each "
    "left out in turn. Only the probabilities that are written change: no mask does. The refiner's row is of the voxels that it looked at."
)


def list_temperatures(model: Model) -> Table:
    """List the temperature of each network and target, with the reliability before and after."""
    rows = []
    for network, found in (("generator", model.temperatures.generator), ("refiner", model.temperatures.refiner)):
        for target, each in found.items():
            figures = (each.ece_before, each.ece_after, each.brier_before, each.brier_after)
            rows.append(
                [target, network, f"{each.value:.2f}", *("–" if value is None else f"{value:.3f}" for value in figures), str(each.patients)]
            )
    columns = ["target", "network", "temperature", "ECE before", "ECE after", "Brier before", "Brier after", "patients"]
    return Table(caption="Calibration of the probabilities", columns=columns, rows=rows, names=2, note=NOTE)
