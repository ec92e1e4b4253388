from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from crgan.report.html import Figure, Table, write_report

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
VOID = {"meta", "img", "br", "hr", "link"}


class Page(HTMLParser):
    """Reads a page back: its elements in order, its words, and whether every element is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style" and data.strip():
            self.words.append(" ".join(data.split()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def full_report(path: Path) -> Page:
    write_report(
        path,
        title="A trial",
        summary="It works.\n\nMostly.",
        tables=[Table(caption="Means", columns=["target", "Dice"], rows=[["WT", "0.812 [0.750, 0.861]"]], note="1 is perfect.")],
        figures=[Figure(png=PIXEL, alt="a dot", caption="Look at the dot.")],
        details=[Table(caption="Cases", columns=["case", "target", "Dice"], rows=[["p1", "WT", "0.5"], ["p2", "WT", "–"]], names=2)],
        settings={"seed": 0, "folder": Path("a") / "b"},
    )
    return Page(path.read_text(encoding="utf-8"))


def test_everything_is_on_the_page_in_order(tmp_path: Path) -> None:
    words = full_report(tmp_path / "new" / "report.html").words
    wanted = ["A trial", "It works.", "Mostly.", "Means", "WT", "0.812", "[0.750, 0.861]", "1 is perfect.", "Look at the dot."]
    wanted += ["Cases", "p1", "0.5", "p2", "–", "seed", "0", "folder", str(Path("a") / "b")]
    positions = [words.index(wanted[0])]
    for word in wanted[1:]:
        positions.append(words.index(word, positions[-1] + 1))
    assert positions == sorted(positions)


def test_page_needs_nothing_from_anywhere(tmp_path: Path) -> None:
    full_report(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:|//|<script|<link|@import|url\(", re.sub(r'src="data:[^"]*"', "", text))
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_page_is_accessible(tmp_path: Path) -> None:
    page = full_report(tmp_path / "report.html")
    assert page.all("html") == [{"lang": "en"}]
    assert all(image["alt"] for image in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table")) == 2
    assert [cell["scope"] for cell in page.all("th")] == ["col"] * 2 + ["row"] + ["col"] * 3 + ["row"] * 4
    assert any(tag.get("name") == "viewport" for tag in page.all("meta"))
    assert len(page.all("h1")) == 1


def test_picture_is_inside_the_page(tmp_path: Path) -> None:
    (image,) = full_report(tmp_path / "report.html").all("img")
    head, data = str(image["src"]).split(",")
    assert head == "data:image/png;base64"
    assert base64.b64decode(data) == PIXEL


def test_names_from_outside_are_shown_and_not_run(tmp_path: Path) -> None:
    nasty = '<script>alert("1")</script>'
    write_report(
        tmp_path / "report.html",
        title=nasty,
        summary=nasty,
        tables=[Table(caption=nasty, columns=[nasty, nasty], rows=[[nasty, nasty + " [0, 1]"]], note=nasty)],
        figures=[Figure(png=PIXEL, alt=nasty, caption=nasty)],
        settings={nasty: nasty},
    )
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert not page.all("script")
    assert page.words.count(nasty) == 12


def test_little_to_say_is_a_page_too(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", title="Nothing", summary="")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert set(page.words) == {"Nothing"}
    assert not page.all("table")
    assert not page.all("h2")


def test_row_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="3 cells; expected 2"):
        Table(caption="", columns=["a", "b"], rows=[["1", "2"], ["1", "2", "3"]])
