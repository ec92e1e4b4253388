"""One HTML file that holds everything: text, tables, pictures and style; it needs no other file and no network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from crgan.files import atomic_write

TEMPLATE = "report.html.j2"


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
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""
    names: int = 1

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

    @property
    def address(self) -> str:
        """The picture itself as a ``data:`` address."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


def write_report(
    path: Path,
    *,
    title: str,
    summary: str,
    tables: Sequence[Table] = (),
    figures: Sequence[Figure] = (),
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
    tables, figures
        Shown in this order below the summary.
    details
        Long tables, shown after the figures.
    settings
        What the figures depend on, by name; shown last.

    Raises
    ------
    CrganError
        If the file cannot be written.
    """
    # Everything that comes from outside is escaped: a case named <script> is shown as such.
    environment = Environment(
        loader=PackageLoader("crgan.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    page = environment.get_template(TEMPLATE).render(
        title=title,
        paragraphs=[paragraph.strip() for paragraph in summary.split("\n\n") if paragraph.strip()],
        tables=tables,
        figures=figures,
        details=details,
        settings={name: str(value) for name, value in (settings or {}).items()},
    )
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
