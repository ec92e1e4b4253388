"""Charts of figures: how a metric spreads over patients, how systems differ, what sizes were missed, how figures went with time."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter
from numpy.typing import NDArray

from crgan.report.svg import INK, LINE, MARK, MISSED, OTHER, SHADE, SOFT, Drawing, Tip

LONGEST_NAME = 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A value, whose it is, and the place of the page that shows more of it; empty for none."""

    value: float
    name: str
    anchor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRate:
    """How many lesions of a diameter in ``[low, high)`` were found, and the 95 % interval of the share."""

    low: float
    high: float
    lesions: int
    found: int
    ci_low: float
    ci_high: float

    @property
    def share(self) -> float:
        """The share that was found."""
        return self.found / self.lesions


def draw_boxes(metric: str, groups: Mapping[str, Sequence[Dot]], *, limits: tuple[float, float] | None = (0, 1)) -> str:
    """Draw every value as a dot, a box over the middle half, its median, and a line from the smallest to the largest.

    Parameters
    ----------
    metric
        What is shown, the heading.
    groups
        The values by group; a group without values keeps its place.
    limits
        Range of the values' axis; None begins at 0 and holds all values.

    Returns
    -------
    str
        An SVG element.
    """
    drawing = Drawing(0.75 + 0.5 * len(groups))
    axes, rng = drawing.axes, np.random.default_rng(0)
    for row, dots in enumerate(groups.values()):
        if not dots:
            continue
        numbers = [dot.value for dot in dots]
        low, lower, median, upper, high = np.percentile(numbers, [0, 25, 50, 75, 100])
        axes.plot([low, high], [row, row], color=SOFT, linewidth=1.2, zorder=1)
        axes.barh(row, upper - lower, left=lower, height=0.6, facecolor=SHADE, edgecolor=INK, linewidth=0.8, zorder=2)
        axes.plot([median, median], [row - 0.3, row + 0.3], color=MARK, linewidth=2.5, zorder=3)
        heights = row + rng.uniform(-0.18, 0.18, len(numbers))
        points = axes.scatter(numbers, heights, s=14, color=MARK, alpha=0.55, linewidths=0, zorder=4)
        points.set_urls(drawing.tips([Tip(text=f"{dot.name}: {dot.value:.3g}", anchor=dot.anchor) for dot in dots]))
    if limits is None:
        axes.set_xlim(left=0)
    else:
        margin = 0.02 * (limits[1] - limits[0])
        axes.set_xlim(limits[0] - margin, limits[1] + margin)
    _name_rows(axes, list(groups))
    axes.set_title(metric, fontsize="medium")
    axes.grid(axis="x")
    return drawing.svg()


def draw_pairs(metric: str, systems: Mapping[str, Sequence[float | None]], patients: Sequence[str], *, lower_better: bool) -> str:
    """Draw a line for each patient from system to system, and the mean of each system.

    Parameters
    ----------
    metric
        What is shown, the heading.
    systems
        The values by system, one for each patient; None leaves a gap.
    patients
        Their names.
    lower_better
        Whether less is better; lines of patients for whom the last system is worse than the first stand out.

    Returns
    -------
    str
        An SVG element.
    """
    drawing = Drawing(3.2)
    axes = drawing.axes
    table = np.array([[np.nan if value is None else value for value in values] for values in systems.values()], np.float64)
    places = np.arange(len(table))
    change = (table[-1] - table[0]) * (-1 if lower_better else 1)
    for patient, values, better in zip(patients, table.T, change, strict=True):
        worse = better < 0
        axes.plot(places, values, color=OTHER if worse else SOFT, linewidth=1, alpha=0.75, zorder=2 + worse)
        known = ~np.isnan(values)
        points = axes.scatter(places[known], values[known], s=12, color=OTHER if worse else SOFT, linewidths=0, zorder=2 + worse)
        names = np.array(list(systems))[known]
        points.set_urls(
            drawing.tips([Tip(text=f"{patient}, {name}: {value:.3g}") for name, value in zip(names, values[known], strict=True)])
        )
    complete = ~np.isnan(table).any(axis=0)
    if complete.any():
        axes.plot(places, table[:, complete].mean(axis=1), "D-", color=MARK, markersize=6, linewidth=2.2, zorder=5)
    axes.set_xlim(-0.25, len(table) - 0.75)
    axes.set_xticks(places, [_short(name) for name in systems])
    if len(table) > 3:
        axes.tick_params(axis="x", labelrotation=20)
    axes.set_title(metric, fontsize="medium")
    axes.grid(axis="y")
    return drawing.svg()


def draw_sizes(
    heading: str, diameters: NDArray[np.float64], found: NDArray[np.bool_], rates: Sequence[SizeRate], *, unit: str, names: Sequence[str]
) -> str:
    """Draw found and missed lesions over their diameter, and below the share found by size.

    Parameters
    ----------
    heading
        What the lesions are of.
    diameters, found
        Of each lesion, ``(n,)``, n at least 1.
    rates
        The share found in each class of sizes.
    unit
        Of the diameters, such as ``"mm"``.
    names
        Whose each lesion is.

    Returns
    -------
    str
        An SVG element.
    """
    drawing = Drawing(3.1)
    axes, rng = drawing.axes, np.random.default_rng(0)
    for rate in rates:
        axes.fill_between([rate.low, rate.high], [rate.ci_low] * 2, [rate.ci_high] * 2, color=SHADE, linewidth=0)
        axes.plot([rate.low, rate.high], [rate.share] * 2, color=MARK, linewidth=2.5, solid_capstyle="butt")
        middle = math.sqrt(rate.low * rate.high)
        axes.text(middle, -0.02, f"{rate.found}/{rate.lesions}", ha="center", va="top", fontsize="small")
    for which, level, colour, marker, opacity in ((found, 1.2, MARK, "o", 0.6), (~found, -0.32, MISSED, "X", 1.0)):
        heights = level + rng.uniform(-0.08, 0.08, int(which.sum()))
        points = axes.scatter(diameters[which], heights, s=22, color=colour, alpha=opacity, marker=marker, linewidths=0, zorder=4)
        chosen = [(name, size) for name, size, taken in zip(names, diameters, which, strict=True) if taken]
        points.set_urls(drawing.tips([Tip(text=f"{name}: {size:.3g} {unit}") for name, size in chosen]))
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_ylim(-0.5, 1.36)
    axes.set_yticks([-0.32, 0, 0.5, 1, 1.2], ["missed", "0 %", "50 %", "100 %", "found"])
    for line in (0, 0.5, 1):
        axes.axhline(line, color=LINE, linewidth=0.8, zorder=0)
    axes.set_xlabel(f"diameter, {unit}")
    axes.set_title(heading, fontsize="medium")
    return drawing.svg()


def draw_reliability(heading: str, probability: NDArray[np.float64], share: NDArray[np.float64], voxels: NDArray[np.int64]) -> str:
    """Draw how often the target was there over the probability given to it; on the diagonal both are the same.

    Parameters
    ----------
    heading
        What the probabilities are of.
    probability, share, voxels
        Of each bin that holds a voxel: mean probability, share of positives, number of voxels.

    Returns
    -------
    str
        An SVG element.
    """
    drawing = Drawing(3.4)
    axes = drawing.axes
    axes.plot([0, 1], [0, 1], "--", color=SOFT, linewidth=1)
    axes.plot(probability, share, color=MARK, linewidth=1.8)
    points = axes.scatter(probability, share, s=8 + 6 * np.log10(voxels), color=MARK, linewidths=0, zorder=3)
    numbers = zip(probability, share, voxels, strict=True)
    points.set_urls(drawing.tips([Tip(text=f"given {p:.2f}, true in {s:.2f} of {n:,} voxels") for p, s, n in numbers]))
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("probability given")
    axes.set_ylabel("share that is the target")
    axes.set_title(heading, fontsize="medium")
    axes.grid()
    return drawing.svg()


def draw_curves(figure: str, lines: Mapping[str, Sequence[tuple[float, float]]], *, x_label: str) -> str:
    """Draw figures that change with time.

    Parameters
    ----------
    figure
        What is shown, the heading.
    lines
        Points (x, y) by name.
    x_label
        What x is.

    Returns
    -------
    str
        An SVG element.
    """
    drawing = Drawing(2.8)
    axes = drawing.axes
    for (name, points), colour, marker in zip(lines.items(), (MARK, OTHER, SOFT), "os^", strict=False):
        axes.plot(*zip(*points, strict=True), f"{marker}-", color=colour, markersize=4.5, linewidth=1.6, label=name)
    if len(lines) > 1:
        legend = axes.legend(loc="best", fontsize="small", frameon=False)
        legend.set_zorder(1)
    axes.set_xlim(left=0)
    axes.set_xlabel(x_label)
    axes.set_title(figure, fontsize="medium")
    axes.grid()
    return drawing.svg()


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)
    axes.set_yticks(range(len(names)), [_short(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)  # the first group on top


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
