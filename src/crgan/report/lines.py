"""Plots of several lines: what changes with time, with a threshold, with the number of patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

Point = tuple[float, float]

# Okabe and Ito's colours that are dark enough for a thin line, then the same again, broken.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#1b1f24", "#e69f00", "#56b4e9")
_STYLES = ("-", "--", ":")
_MOST_IN_A_ROW = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line; several of one name look the same and stand once in the legend.

    Parameters
    ----------
    name
        What it is of.
    points
        (x, y), x ascending.
    intervals
        (low, high) for each point; empty for none.
    """

    name: str
    points: Sequence[Point]
    intervals: Sequence[Point] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Lines on axes of their own.

    Parameters
    ----------
    title, x_label
        What y and x are.
    lines
        In the order of the legend.
    steps
        Between two points the line stays at the first one's height.
    x_limit
        Right end of the axis; None takes in all points.
    """

    title: str
    x_label: str
    lines: Sequence[Line]
    steps: bool = False
    x_limit: float | None = None


def draw_lines(panels: Sequence[Panel], *, file_format: Literal["png", "svg"] = "png") -> bytes:
    """Draw panels side by side, at most three in a row, with one legend for all.

    Parameters
    ----------
    panels
        At least one.
    file_format
        ``"svg"`` for print, with text as text.

    Returns
    -------
    bytes
        The file.
    """
    names = list(dict.fromkeys(line.name for panel in panels for line in panel.lines))
    columns = min(len(panels), _MOST_IN_A_ROW)
    rows = -(-len(panels) // columns)
    legend_rows = -(-len(names) // 2)
    canvas = Canvas(figsize=(8.5, 0.3 + 2.6 * rows + 0.22 * legend_rows), dpi=120, facecolor="white", layout="constrained")
    FigureCanvasAgg(canvas)
    axes = canvas.subplots(rows, columns, squeeze=False).ravel()
    for place, panel in zip(axes, panels, strict=False):
        _draw(place, panel, names)
    for place in axes[len(panels) :]:
        place.set_axis_off()
    handles = {label: handle for place in axes for handle, label in zip(*place.get_legend_handles_labels(), strict=True)}
    canvas.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(2, len(names)), fontsize=8, frameon=False)
    file = BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "crgan"}):
        canvas.savefig(file, format=file_format, metadata={"Date": None} if file_format == "svg" else None)
    return file.getvalue()


def _draw(axes: Axes, panel: Panel, names: Sequence[str]) -> None:
    shown: set[str] = set()
    for line in panel.lines:
        if not line.points:
            continue
        index = names.index(line.name)
        colour, style = _COLOURS[index % len(_COLOURS)], _STYLES[index // len(_COLOURS) % len(_STYLES)]
        x, y = zip(*line.points, strict=True)
        label = None if line.name in shown else line.name
        shown.add(line.name)
        if panel.steps:
            axes.step(x, y, where="post", color=colour, linestyle=style, linewidth=1.4, label=label)
        else:
            axes.plot(x, y, "o", color=colour, linestyle=style, markersize=3.5, linewidth=1.4, label=label)
        if line.intervals:
            low, high = zip(*line.intervals, strict=True)
            axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel(panel.x_label)
    axes.set_xlim(left=0, right=panel.x_limit)
    axes.grid(color="#e4e8ec")
    axes.spines[["top", "right"]].set_visible(False)
