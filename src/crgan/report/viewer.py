"""A patient slice by slice: the image, with outlines of truth and mask over it, behind a slider."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crgan.report.outlines import outline
from crgan.report.palette import target_colour

Mask = NDArray[np.bool_]
MOST_SLICES = 48
"""Of a patient; where more hold something, every second is shown, or every third."""
MARGIN_SLICES = 2
LONGEST_EDGE = 400
"""Pixels of a picture; what is larger is made smaller."""
QUALITY = 80
MARGIN_PIXELS = 2
MARGIN_WITHOUT_IMAGE = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pictured:
    """What a viewer is made of; arrays are working arrays ``(Z, Y, X)``, of 2-D images ``(1, rows, columns)``.

    Parameters
    ----------
    truth, mask
        Bool ``(K, Z, Y, X)``: the expert's targets, and those of the mask.
    spacing_mm
        Along Z, Y and X.
    image
        ``(Z, Y, X)``, one modality; None where there is none.
    flat
        A 2-D image, shown as it is; a volume is shown as radiologists look at it, from the feet: the patient's right to the left.
    """

    truth: Mask
    mask: Mask
    spacing_mm: tuple[float, float, float]
    image: NDArray[np.floating] | None = None
    flat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """A slice as it is shown.

    Parameters
    ----------
    words
        What it shows.
    layers
        Paths by the name of their layer, ``"truth"``, ``"mask"``, ``"missed"`` and ``"extra"``, and their colour.
    jpeg
        The image; empty for none.
    """

    words: str
    layers: tuple[tuple[str, str, str], ...]
    jpeg: bytes = b""

    @property
    def address(self) -> str:
        """The image as a ``data:`` address."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode("ascii")

    @property
    def size(self) -> int:
        """About how many bytes of a page it takes."""
        return len(self.jpeg) * 4 // 3 + sum(len(path) + 60 for _, path, _ in self.layers) + 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """A patient on the page.

    Parameters
    ----------
    anchor
        Its place, by which links lead to it.
    name
        Its heading.
    verdict
        What is to be seen, in words.
    slices
        At least one, from the lowest to the highest.
    shown
        The position in ``slices`` of the one that is shown first, and the only one on paper.
    columns, rows
        Pixels of a slice.
    width_mm, height_mm
        Size of a slice.
    flat
        See :class:`Pictured`.
    """

    anchor: str
    name: str
    verdict: str
    slices: tuple[Slice, ...]
    shown: int
    columns: int
    rows: int
    width_mm: float
    height_mm: float
    flat: bool

    @property
    def hidden(self) -> tuple[Slice, ...]:
        """All slices but the one that is shown first."""
        return self.slices[: self.shown] + self.slices[self.shown + 1 :]

    @property
    def size(self) -> int:
        """About how many bytes of a page it takes."""
        return sum(part.size for part in self.slices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewers:
    """Patients beside each other, with one legend for all.

    Parameters
    ----------
    viewers
        The patients.
    targets
        Names of the targets, in the order of the masks.
    note
        What is shown and what is not.
    """

    viewers: Sequence[Viewer]
    targets: Sequence[str]
    note: str
    kind: ClassVar[str] = "viewers"

    @property
    def legend(self) -> list[tuple[str, str]]:
        """Name and colour of each target."""
        return [(name, target_colour(index)) for index, name in enumerate(self.targets)]


def make_viewer(pictured: Pictured, *, anchor: str, name: str, verdict: str) -> Viewer:
    """Draw a patient.

    Parameters
    ----------
    pictured
        Image and masks. Without anything in the masks all slices are shown.
    anchor, name, verdict
        See :class:`Viewer`.
    """
    chosen, shown = _choose_slices(pictured)
    rows, columns = _window(pictured, chosen)
    low, high = _grey_range(pictured, chosen)
    turned = slice(None, None, 1 if pictured.flat else -1)
    slices = []
    for z in chosen:
        truth, mask = (which[:, z, rows, columns][:, turned, turned] for which in (pictured.truth, pictured.mask))
        jpeg = b""
        if pictured.image is not None:
            grey = (pictured.image[z, rows, columns][turned, turned].astype(np.float64) - low) / (high - low)
            jpeg = _jpeg(np.round(255 * np.clip(grey, 0, 1)).astype(np.uint8))
        slices.append(Slice(words=_words(pictured, z, truth, mask), layers=_layers(truth, mask), jpeg=jpeg))
    across, down = (part.stop - part.start for part in (columns, rows))
    return Viewer(
        anchor=anchor,
        name=name,
        verdict=verdict,
        slices=tuple(slices),
        shown=chosen.index(shown),
        columns=across,
        rows=down,
        width_mm=across * pictured.spacing_mm[2],
        height_mm=down * pictured.spacing_mm[1],
        flat=pictured.flat,
    )


def _choose_slices(pictured: Pictured) -> tuple[list[int], int]:
    """The slices to show, around all that is marked; and the one that tells most: with most errors, and then with most truth."""
    marked, wrong = ((pictured.truth | pictured.mask).any(axis=0), (pictured.truth ^ pictured.mask).any(axis=0))
    tells = marked.sum(axis=(1, 2)) + 2 * wrong.sum(axis=(1, 2))
    depth = len(tells)
    held = np.flatnonzero(tells)
    first, last = (max(int(held[0]) - MARGIN_SLICES, 0), min(int(held[-1]) + MARGIN_SLICES, depth - 1)) if held.size else (0, depth - 1)
    shown = int(np.argmax(tells)) if held.size else depth // 2
    step = -(-(last - first + 1) // MOST_SLICES)
    return list(range(first + (shown - first) % step, last + 1, step)), shown


def _window(pictured: Pictured, chosen: Sequence[int]) -> tuple[slice, slice]:
    """Rows and columns that are not background in any slice shown, with a margin; around the masks alone where there is no image."""
    picture = np.asarray((pictured.truth[:, chosen] | pictured.mask[:, chosen]).any(axis=(0, 1)))
    margin = MARGIN_WITHOUT_IMAGE
    if pictured.image is not None:
        image = pictured.image[chosen]
        picture, margin = np.asarray(picture | (image != image[0, 0, 0]).any(axis=0)), MARGIN_PIXELS
    ends = []
    for axis in (1, 0):
        inside, length = np.flatnonzero(picture.any(axis=axis)), picture.shape[1 - axis]
        if not inside.size:
            ends.append(slice(0, length))
            continue
        ends.append(slice(max(int(inside[0]) - margin, 0), min(int(inside[-1]) + margin + 1, length)))
    return ends[0], ends[1]


def _grey_range(pictured: Pictured, chosen: Sequence[int]) -> tuple[float, float]:
    """The values shown black and white: the same in all slices, so that they can be compared."""
    if pictured.image is None:
        return 0.0, 1.0
    low, high = (float(value) for value in np.nanpercentile(pictured.image[chosen], (1, 99.7)))
    return low, max(high, low + float(np.finfo(np.float32).eps) * max(1.0, abs(low)))


def _words(pictured: Pictured, z: int, truth: Mask, mask: Mask) -> str:
    """Number of the slice, and how much of it is wrong."""
    area = pictured.spacing_mm[1] * pictured.spacing_mm[2]
    unit = "pixels" if pictured.flat else "mm²"
    missed, extra = (float((one & ~other).any(axis=0).sum()) * area for one, other in ((truth, mask), (mask, truth)))
    where = "" if pictured.flat else f"slice {z + 1} of {pictured.truth.shape[1]}: "
    if not (truth.any() or mask.any()):
        return where + "nothing to find, nothing marked"
    return f"{where}{missed:,.0f} {unit} missed, {extra:,.0f} {unit} too much"


def _layers(truth: Mask, mask: Mask) -> tuple[tuple[str, str, str], ...]:
    """Areas of errors first, so that the outlines lie on top; layers without anything are left out."""
    layers = [
        ("missed", outline(np.logical_or.reduce(truth & ~mask)), ""),
        ("extra", outline(np.logical_or.reduce(mask & ~truth)), ""),
        *(("truth", outline(part), target_colour(index)) for index, part in enumerate(truth)),
        *(("mask", outline(part), target_colour(index)) for index, part in enumerate(mask)),
    ]
    return tuple(layer for layer in layers if layer[1])


def _jpeg(grey: NDArray[np.uint8]) -> bytes:
    picture = Image.fromarray(grey)
    picture.thumbnail((LONGEST_EDGE, LONGEST_EDGE))
    file = BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return file.getvalue()
