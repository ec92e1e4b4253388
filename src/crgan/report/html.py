"""One HTML file that holds everything: text, tables, pictures, style and script; it needs no other file and no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from jinja2 import Environment, PackageLoader, StrictUndefined

from crgan.files import atomic_write
from crgan.report.viewer import Viewers

TEMPLATE, SCRIPT = "report.html.j2", "viewer.js"
TALL = 15
"""Tables of more rows scroll inside their box on a screen; paper shows all of them."""


class Link(str):
    """The text of a cell that leads to another place of the page.

    Parameters
    ----------
    text
        What it says.
    anchor
        Where it leads: the ``anchor`` of a viewer.
    """

    __slots__ = ("anchor",)
    anchor: str

    def __new__(cls, text: str, anchor: str) -> Self:
        """Make the text and remember where it leads."""
        link = super().__new__(cls, text)
        link.anchor = anchor
        return link


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows of text under a caption.

    Parameters
    ----------
    caption
        What the table shows.
    columns
        Headings.
    rows
        As many cells each as there are columns.
    note
        What a reader needs to know to read it right; empty for nothing.
    names
        So many columns from the left name the row and stand to the left; the others hold figures and stand to the right.
    words
        So many columns from the right hold sentences, which may be broken, and stand to the left.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    names: int = 1
    words: int = 0
    kind: ClassVar[str] = "table"

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                message = f"row {list(row)} has {len(row)} cells; expected {len(self.columns)}, one for each of {list(self.columns)}"
                raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A picture.

    Parameters
    ----------
    png
        The bytes of a PNG file.
    alt
        What it shows, for those who cannot see it.
    caption
        What to look for.
    """

    png: bytes
    alt: str
    caption: str
    kind: ClassVar[str] = "figure"

    @property
    def address(self) -> str:
        """The picture itself as a ``data:`` address."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Drawings that belong together, side by side where there is room and else below each other.

    Parameters
    ----------
    panels
        SVG elements, as :mod:`crgan.report.charts` draws them.
    alt
        What they show, for those who cannot see it.
    caption
        What to look for.
    """

    panels: Sequence[str]
    alt: str
    caption: str
    kind: ClassVar[str] = "chart"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of the page with a heading.

    Parameters
    ----------
    heading
        Its heading, which the list of contents names too.
    parts
        What stands in it, in this order.
    text
        What stands above all of it; empty for nothing.
    """

    heading: str
    parts: Sequence[Table | Figure | Chart | Viewers]
    text: str = ""


def write_report(
    path: Path,
    *,
    title: str,
    summary: str,
    points: Mapping[str, str] | None = None,
    tables: Sequence[Table] = (),
    figures: Sequence[Figure | Chart] = (),
    sections: Sequence[Section] = (),
    details: Sequence[Table] = (),
    settings: Mapping[str, object] | None = None,
) -> None:
    """Write a report as a single HTML file, atomically.

    Parameters
    ----------
    path
        The file to write.
    title
        Heading of the page.
    summary
        What was found, in plain words; an empty line begins a new paragraph.
    points
        What was found of each thing, by its name; shown as a list below the summary.
    tables, figures
        Shown in this order below the summary, under the heading "Figures".
    sections
        Shown after these, each under its own heading.
    details
        Long tables, shown after the sections.
    settings
        What the figures depend on, by name; shown last.

    Raises
    ------
    CrganError
        If the file cannot be written.
    """
    # Everything that comes from outside is escaped: a case named <script> is shown as such.
    loader = PackageLoader("crgan.report", "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    script = loader.get_source(environment, SCRIPT)[0].strip()
    all_sections = [
        Section(heading="Figures", parts=[*tables, *figures]),
        *sections,
        Section(heading="In detail", parts=details),
    ]
    page = environment.get_template(TEMPLATE).render(
        title=title,
        paragraphs=[paragraph.strip() for paragraph in summary.split("\n\n") if paragraph.strip()],
        points=points or {},
        sections=[section for section in all_sections if section.parts],
        settings={name: str(value) for name, value in (settings or {}).items()},
        script=script,
        # The browser runs this script and no other, whatever else got into the page, and fetches nothing from anywhere.
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        tall=TALL,
    )
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
