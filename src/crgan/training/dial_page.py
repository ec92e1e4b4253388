"""The part of a run's page that shows the dial: where it stands, and what other places cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crgan.dial import Curve, Dial, Point
from crgan.model import Model
from crgan.report.charts import draw_curves
from crgan.report.html import Chart, Table

# Places that mark so many times the truth's voxels falsely are of no use, and would squeeze all others.
_MOST_FALSE = 2.0

_WITH, _ALONE = "with the refiner", "generator alone"


def list_settings(model: Model) -> Table:
    """List the setting of each target and what it gave on validation patients, beside the neutral one."""
    rows = []
    for target, setting in model.dial.settings.items():
        curve = model.dial.curves.get(target, Curve(patients=0))
        point = curve.at(setting)
        figures = ["–" if point is None else format(getattr(point, name), digits) for name, (_, digits) in _FIGURES.items()]
        rows.append([target, f"{setting.p:g}", f"{setting.q:g}", *figures, str(curve.patients)])
    return Table(
        caption="Settings of the dial",
        columns=["target", "p", "q", *(title for title, _ in _FIGURES.values()), "patients"],
        rows=rows,
        note="Set for the best Dice on validation patients. False volume: falsely marked voxels, as a share of the true ones. "
        "False lesions: marks without any true voxel, per patient. `crgan predict --aim max-fnr=0.1` or "
        "`--aim max-false-lesions=2` turns the dial to another place of the curves.",
    )


def draw_dials(model: Model) -> Iterator[Chart]:
    """Draw what places of the dial miss over what they mark falsely, a panel for each target that validation patients have."""
    dials = {_WITH: model.dial, _ALONE: model.generator_dial} if model.refiner is not None else {_ALONE: model.generator_dial}
    lines = {target: found for target in model.labels.targets if any((found := _lines(dials, target)).values())}
    if lines:
        yield Chart(
            panels=[
                draw_curves(
                    f"{target}: FNR",
                    {name: points for name, points in found.items() if points},
                    x_label="false volume / true volume",
                )
                for target, found in lines.items()
            ],
            alt="Curves of the dial. " + "; ".join(_words(target, found) for target, found in lines.items()) + ".",
            caption="Places of the dial on validation patients: the share of the truth that is missed, over the falsely marked volume "
            "in shares of the true one. Lower and further left is better.",
        )


def _lines(dials: dict[str, Dial], target: str) -> dict[str, list[tuple[float, float]]]:
    return {name: _line(dial.curves[target].points) for name, dial in dials.items() if target in dial.curves}


def _line(points: Sequence[Point]) -> list[tuple[float, float]]:
    """The places that no other one beats, in misses and in false volume at once."""
    line: list[tuple[float, float]] = []
    for false_volume, fnr in sorted((point.false_volume, point.fnr) for point in points if point.false_volume <= _MOST_FALSE):
        if not line or fnr < line[-1][1]:
            line.append((false_volume, fnr))
    return line


def _words(target: str, lines: dict[str, list[tuple[float, float]]]) -> str:
    """``"WT generator alone: FNR from 0.200 at a false volume of 0.100 to 0.050 at 1.200"`` for each line."""
    ends = {name: (points[0], points[-1]) for name, points in lines.items() if points}
    return ", ".join(
        f"{target} {name}: FNR from {first[1]:.3f} at a false volume of {first[0]:.3f} to {last[1]:.3f} at {last[0]:.3f}"
        for name, (first, last) in ends.items()
    )


_FIGURES = {
    "dice": ("Dice", ".3f"),
    "fnr": ("FNR", ".3f"),
    "false_volume": ("false volume", ".3f"),
    "false_lesions": ("false lesions", ".2f"),
    "lesions_found": ("lesions found", ".3f"),
}
