"""Drawings as SVG elements inside a page, whose colours and letters are the page's own: bright, dark or on paper."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

INK, SOFT, LINE, SHADE, MARK, OTHER, MISSED = "#1b1f24", "#8c959f", "#e4e8ec", "#e8f1f6", "#0b5c8a", "#b35900", "#d55e00"
_VARIABLES = {INK: "ink", SOFT: "soft", LINE: "line", SHADE: "box", MARK: "mark", OTHER: "other", MISSED: "missed"}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # letters stay letters: they can be found, copied and read aloud
    "svg.hashsalt": "crgan",  # the same drawing gives the same bytes
    "font.size": 10.5,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": LINE,
}
_TIP = "tip:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """What a dot says when it is pointed at, and the place of the page that it leads to; an empty place leads nowhere."""

    text: str
    anchor: str = ""


class Drawing:
    """A canvas of one panel that becomes an SVG element.

    Parameters
    ----------
    height_in
        Its height; it is 4.6 inches wide, so that letters keep a readable size on a phone.
    """

    def __init__(self, height_in: float) -> None:
        with mpl.rc_context(_STYLE):
            self._canvas = Canvas(figsize=(4.6, height_in), facecolor="none", layout="constrained")
            FigureCanvasAgg(self._canvas)
            self.axes = self._canvas.add_subplot(facecolor="none")
        self._tips: list[Tip] = []

    def tips(self, tips: Sequence[Tip]) -> list[str]:
        """Addresses for the ``set_urls`` of dots, one for each tip."""
        first = len(self._tips)
        self._tips += tips
        return [f"{_TIP}{first + index}" for index in range(len(tips))]

    def svg(self) -> str:
        """The drawing as an ``<svg>`` element, everything that came from outside escaped."""
        file = StringIO()
        with mpl.rc_context(_STYLE):
            self._canvas.savefig(file, format="svg", metadata={"Date": None})
        text = re.sub(r"<(metadata|style).*?</\1>", "", file.getvalue(), flags=re.DOTALL)
        text = text[text.index("<svg") :].strip()
        text = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', text, count=1)
        for colour, name in _VARIABLES.items():
            text = text.replace(colour, f"var(--{name})")
        text = re.sub(r" ?font-family: [^;\"]*;", "", text)
        # A page has several drawings, and names of elements must not occur twice in it.
        own = hashlib.sha256(text.encode()).hexdigest()[:8]
        used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
        text = re.sub(r' id="([^"]*)"', lambda match: f' id="s{own}-{match[1]}"' if match[1] in used else "", text)
        text = re.sub(r'(href="#|url\(#)', rf"\g<1>s{own}-", text).replace("xlink:href", "href")
        return re.sub(rf'<a href="{_TIP}(\d+)"[^>]*>', self._tip, text)

    def _tip(self, match: re.Match[str]) -> str:
        tip = self._tips[int(match[1])]
        # Keyboards reach the same places by the tables; a stop at each dot would be a long way.
        place = f' href="#{escape(tip.anchor)}" tabindex="-1"' if tip.anchor else ""
        return f"<a{place}><title>{escape(tip.text)}</title>"
