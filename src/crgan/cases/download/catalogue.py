"""Which data sets can be downloaded, from where, and under which terms: read from ``catalogue.yaml``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import yaml

from crgan.errors import fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """Under which terms a data set may be used.

    Parameters
    ----------
    name, url
        Its name, and where its text is.
    terms
        What it asks for, in a sentence; the text counts.
    """

    name: str
    url: str
    terms: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A data set that can be downloaded.

    Parameters
    ----------
    name
        What the command calls it.
    title, home
        Whose it is, and their page.
    url
        The archive.
    licence
        Its terms.
    size
        Of the archive, as its publisher tells; None if they do not.
    checksum
        ``"md5:…"`` or ``"sha256:…"`` of the archive, where one is published.
    """

    name: str
    title: str
    home: str
    url: str
    licence: Licence
    size: str | None = None
    checksum: str | None = None


@cache
def catalogue() -> dict[str, Entry]:
    """All data sets by name, in the order of the file."""
    data = yaml.safe_load((files("crgan.cases.download") / "catalogue.yaml").read_text(encoding="utf-8"))
    entries = {}
    for name, own in data["sets"].items():
        source = data["sources"][own["source"]]
        entries[name] = Entry(
            name=name,
            title=source["title"],
            home=source["home"],
            url=source["url"].format(name=name),
            licence=Licence(**data["licences"][source["licence"]]),
            size=own.get("size"),
            checksum=next((f"{kind}:{own[kind]}" for kind in ("sha256", "md5") if kind in own), None),
        )
    return entries


def find(name: str) -> Entry:
    """The data set of this name, in whatever case it is written.

    Raises
    ------
    CrganError
        If there is none; the message lists all.
    """
    found = {known.lower(): entry for known, entry in catalogue().items()}.get(name.lower())
    if found is None:
        raise fail(
            "There is no such data set in the catalogue.",
            where=name,
            expected=", ".join(catalogue()),
            fix="use one of these names; others have to be fetched from their owners",
        )
    return found
