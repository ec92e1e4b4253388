"""Plots as files, for papers: how a metric spreads over patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

INK, SOFT, MARK = "#1b1f24", "#8c959f", "#0b5c8a"


def draw_spread(panels: Mapping[str, Mapping[str, Sequence[float]]], *, limits: tuple[float, float] = (0, 1)) -> bytes:
    """Draw every value as a dot, a box over the middle half, its median, and a line from the smallest to the largest.

    Parameters
    ----------
    panels
        For each panel, named by its metric, the values by group; a group without values keeps its place.
    limits
        Range of the values' axis.

    Returns
    -------
    bytes
        A PNG file.
    """
    groups = max(len(values) for values in panels.values())
    canvas = Canvas(figsize=(8.5, 1.3 + 0.42 * groups), dpi=120, facecolor="white", layout="constrained")
    FigureCanvasAgg(canvas)
    rng = np.random.default_rng(0)
    for axes, (metric, values) in zip(np.atleast_1d(canvas.subplots(1, len(panels), sharey=True)), panels.items(), strict=True):
        for row, numbers in enumerate(values.values()):
            if len(numbers):
                low, lower, median, upper, high = np.percentile(numbers, [0, 25, 50, 75, 100])
                axes.plot([low, high], [row, row], color=SOFT, linewidth=1.2, zorder=1)
                axes.barh(row, upper - lower, left=lower, height=0.56, facecolor="#e8f1f6", edgecolor=INK, zorder=2)
                axes.plot([median, median], [row - 0.28, row + 0.28], color=MARK, linewidth=2.5, zorder=3)
                heights = row + rng.uniform(-0.17, 0.17, len(numbers))
                axes.plot(numbers, heights, ".", color=MARK, alpha=0.45, markersize=6, markeredgewidth=0, zorder=4)
        margin = 0.02 * (limits[1] - limits[0])
        axes.set_xlim(limits[0] - margin, limits[1] + margin)
        axes.set_xlabel(metric)
        axes.grid(axis="x", color="#e4e8ec", zorder=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(left=False)
        axes.set_yticks(range(len(values)), list(values))
        axes.set_ylim(groups - 0.4, -0.6)  # the first group on top
    return _png(canvas)


def _png(canvas: Canvas) -> bytes:
    file = BytesIO()
    canvas.savefig(file, format="png")
    return file.getvalue()
