"""Pictures of what was found: truth, the generator's mask, the refiner's two maps and the final mask on a slice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from crgan.report.palette import FALSE_ALARM, MISSED, target_colour

Mask = NDArray[np.bool_]
COLUMNS = ("image", "truth", "generator", "refiner: missed", "refiner: too much", "final")
UNREFINED = 3  # so many columns show nothing of the refiner
_LONGEST_SIDE = 768  # pixels of a slice that are shown; a panel has fewer still, and drawing takes hundreds of bytes for each
_BLOCK = 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Refinement:
    """What the refiner says of a patient.

    Parameters
    ----------
    false_negatives, false_positives
        ``(K, Z, Y, X)`` in 0–1: where it thinks that the generator misses the target, and where that it marks too much.
    final
        Bool ``(K, Z, Y, X)``: the targets after refinement.
    """

    false_negatives: NDArray[np.floating]
    false_positives: NDArray[np.floating]
    final: Mask


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overlay:
    """Everything a row of the picture shows; arrays are working arrays ``(Z, Y, X)``, targets first where there are several.

    Parameters
    ----------
    name
        Stands beside the row.
    image
        ``(Z, Y, X)``, one modality.
    truth, generator
        Bool ``(K, Z, Y, X)``: the expert's targets, and the generator's.
    spacing_mm
        Along Z, Y and X.
    refinement
        What the refiner says; None where there is none.
    """

    name: str
    image: NDArray[np.floating]
    truth: Mask
    generator: Mask
    spacing_mm: tuple[float, float, float]
    refinement: Refinement | None = None

    @property
    def final(self) -> Mask:
        """What comes out: the targets after refinement, or the generator's where there is none."""
        return self.generator if self.refinement is None else self.refinement.final


def choose_slice(overlay: Overlay) -> int:
    """Find the axial slice that tells most: where truth and the generator's errors together are largest.

    Without either, the slice with most of the final mask; without any, the middle one.
    """
    shown = (overlay.truth | overlay.generator).any(axis=0)
    errors = (overlay.truth ^ overlay.generator).any(axis=0)
    tells = shown.sum(axis=(1, 2)) + 2 * errors.sum(axis=(1, 2))
    if not tells.any():
        tells = overlay.final.any(axis=0).sum(axis=(1, 2))
    return int(np.argmax(tells)) if tells.any() else overlay.image.shape[0] // 2


def draw_overlays(overlays: Sequence[Overlay], targets: Sequence[str], *, slices: Sequence[int] | None = None) -> bytes:
    """Draw one row per overlay and one column per stage, those of the refiner only if there is one.

    Parameters
    ----------
    overlays
        At least one.
    targets
        Names of the K targets, in the order of the masks.
    slices
        Axial slice of each row; None chooses by :func:`choose_slice`.

    Returns
    -------
    bytes
        A PNG file.
    """
    chosen = [choose_slice(overlay) for overlay in overlays] if slices is None else list(slices)
    windows = [_window(overlay, z) for overlay, z in zip(overlays, chosen, strict=True)]
    columns = COLUMNS if any(overlay.refinement is not None for overlay in overlays) else COLUMNS[:UNREFINED]
    width = 1.95
    heights = [width * _height_to_width(window, overlay.spacing_mm) for window, overlay in zip(windows, overlays, strict=True)]
    top, left, gap = 0.3, 0.36, 0.05
    legend_columns = min(len(targets) + 2, len(columns))
    bottom = 0.17 + 0.25 * -(-(len(targets) + 2) // legend_columns)
    foot = 0.2  # for the words below a panel
    size = (left + len(columns) * (width + gap), top + sum(heights) + foot * len(heights) + bottom)
    canvas = Canvas(figsize=size, dpi=110, facecolor="white")
    FigureCanvasAgg(canvas)
    above = size[1] - top
    for overlay, z, window, height in zip(overlays, chosen, windows, heights, strict=True):
        above -= height
        for column, heading in enumerate(columns):
            place = ((left + column * (width + gap)) / size[0], above / size[1], width / size[0], height / size[1])
            axes = canvas.add_axes(place)
            _draw_panel(axes, overlay, z, window, column)
            if overlay is overlays[0]:
                axes.set_title(heading, fontsize=10, pad=4)
        middle = (above + height / 2) / size[1]
        fitting = 72 * height / (0.62 * max(len(overlay.name), 1))  # a letter is about 0.62 of the font size wide
        title = f"{overlay.name}\nslice {z}"
        canvas.text(0.18 / size[0], middle, title, rotation=90, ha="center", va="center", fontsize=min(9, fitting))
        above -= foot
    _draw_legend(canvas, targets, columns=legend_columns)
    file = BytesIO()
    canvas.savefig(file, format="png")
    return file.getvalue()


def _draw_panel(axes: Axes, overlay: Overlay, z: int, window: tuple[slice, slice], column: int) -> None:
    """Draw one stage: the grey slice, and over it what the column is about."""
    grey = overlay.image[z][window].astype(np.float64)
    step = max(1, max(overlay.image[z].shape) // _LONGEST_SIDE)
    low, high = np.percentile(overlay.image[z][::step, ::step], (1, 99.7))
    shade = np.clip((grey - low) / max(high - low, np.finfo(np.float32).tiny), 0, 1)
    aspect = overlay.spacing_mm[1] / overlay.spacing_mm[2]
    axes.imshow(shade, cmap="gray", vmin=0, vmax=1, origin="lower", aspect=aspect, interpolation="bilinear")
    axes.set_axis_off()
    axes.autoscale(enable=False)  # outlines at the edge must not shrink the picture
    truth = overlay.truth[:, z][:, *window]
    if column == 1:
        _outline(axes, truth)
    elif column in (2, 5):
        mask_of_all = overlay.generator if column == 2 else overlay.final
        mask = mask_of_all[:, z][:, *window]
        _tint(axes, 0.75 * np.asarray((truth & ~mask).any(axis=0), np.float32), MISSED, aspect)
        _tint(axes, 0.75 * np.asarray((mask & ~truth).any(axis=0), np.float32), FALSE_ALARM, aspect)
        _outline(axes, mask)
        axes.text(0.5, -0.01, _verdict(overlay, mask_of_all), transform=axes.transAxes, ha="center", va="top", fontsize=8)
    elif column in (3, 4) and overlay.refinement is not None:
        chances = overlay.refinement.false_negatives if column == 3 else overlay.refinement.false_positives
        _tint(axes, chances[:, z][:, *window].max(axis=0), MISSED if column == 3 else FALSE_ALARM, aspect)


def _outline(axes: Axes, masks: Mask) -> None:
    for index, mask in enumerate(masks):
        if mask.any() and not mask.all():
            padded = np.pad(mask.astype(np.float32), 1)  # so that an outline closes at the picture's edge
            rows, columns = (np.arange(length) - 1 for length in padded.shape)
            axes.contour(columns, rows, padded, levels=[0.5], colors=[target_colour(index)], linewidths=1.1)


def _tint(axes: Axes, strength: NDArray[np.floating], colour: str, aspect: float) -> None:
    """Lay a colour over the picture, as opaque as ``strength`` (0–1) says."""
    layer = np.empty((*strength.shape, 4))
    layer[..., :3] = to_rgb(colour)
    layer[..., 3] = np.clip(strength, 0, 1)
    axes.imshow(layer, origin="lower", aspect=aspect, interpolation="nearest")


def _verdict(overlay: Overlay, masks: Mask) -> str:
    """Tell how much of the whole patient's truth is missed, all targets taken as one."""
    truth = overlay.truth.any(axis=0)
    true = int(truth.sum())
    missed = int((truth & ~masks.any(axis=0)).sum())
    return f"whole patient: misses {100 * missed / true:.0f} %" if true else "nothing to find"


def _window(overlay: Overlay, z: int) -> tuple[slice, slice]:
    """The part of a slice that is not background, with a small margin; all of it where the border is not uniform.

    Of one with a side of more than 768 pixels the part where the masks differ most.
    """
    picture = overlay.image[z]
    filled = (picture != picture[0, 0]) | overlay.truth[:, z].any(axis=0) | overlay.final[:, z].any(axis=0)
    ends = []
    for axis in (1, 0):
        inside = np.flatnonzero(filled.any(axis=axis))
        length = picture.shape[1 - axis]
        ends.append(slice(max(int(inside[0]) - 2, 0), min(int(inside[-1]) + 3, length)) if inside.size else slice(0, length))
    return _telling_part(overlay, z, (ends[0], ends[1]))


def _telling_part(overlay: Overlay, z: int, window: tuple[slice, slice]) -> tuple[slice, slice]:
    """Cut a window to 768 pixels a side, to where truth, the generator's errors and the final mask's together are largest."""
    if max(part.stop - part.start for part in window) <= _LONGEST_SIDE:
        return window
    tells = np.zeros([part.stop - part.start for part in window], np.uint8)
    masks = [mask[:, z][:, *window].any(axis=0) for mask in (overlay.truth, overlay.generator, overlay.final)]
    for told in (masks[0], masks[0] ^ masks[1], masks[0] ^ masks[2]):
        tells += told
    for axis in (0, 1):
        tells = np.add.reduceat(tells, np.arange(0, tells.shape[axis], _BLOCK), axis=axis, dtype=np.float64)
    blocks = [min(_LONGEST_SIDE // _BLOCK, length) for length in tells.shape]
    sums = np.lib.stride_tricks.sliding_window_view(tells, blocks).sum(axis=(2, 3))
    best = np.unravel_index(int(sums.argmax()), sums.shape)
    starts = [part.start + _BLOCK * int(place) for part, place in zip(window, best, strict=True)]
    rows, columns = (slice(start, min(start + _LONGEST_SIDE, part.stop)) for start, part in zip(starts, window, strict=True))
    return rows, columns


def _height_to_width(window: tuple[slice, slice], spacing_mm: tuple[float, float, float]) -> float:
    rows, columns = (part.stop - part.start for part in window)
    return float((rows * spacing_mm[1]) / (columns * spacing_mm[2]))


def _draw_legend(canvas: Canvas, targets: Sequence[str], *, columns: int) -> None:
    # On grey ground light outlines are visible on white paper too.
    handles = [Line2D([], [], color=target_colour(index), linewidth=3, label=name) for index, name in enumerate(targets)]
    patches = [Patch(color=MISSED, label="missed (false negative)"), Patch(color=FALSE_ALARM, label="marked too much (false positive)")]
    legend = canvas.legend(handles=[*handles, *patches], loc="lower center", ncols=columns, fontsize=9, frameon=True)
    legend.get_frame().set(facecolor="#d9d9d9", edgecolor="none")
