from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from crgan.report.charts import Dot, draw_boxes
from crgan.report.html import Chart, Figure, Link, Section, Table, write_report
from crgan.report.viewer import Pictured, Viewers, make_viewer

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
VOID = {"meta", "img", "br", "hr", "link", "input"}
NOT_READ = {"style", "script", "title"}


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
        if self.open and self.open[-1] not in NOT_READ and data.strip():
            self.words.append(" ".join(data.split()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def viewers(name: str = "p1") -> Viewers:
    mask = np.zeros((1, 4, 9, 8), bool)
    mask[0, 1:3, 3:6, 2:5] = True
    pictured = Pictured(truth=mask, mask=np.roll(mask, 1, 3), image=np.arange(4.0 * 9 * 8).reshape(4, 9, 8), spacing_mm=(3, 1, 1))
    viewer = make_viewer(pictured, anchor="case-1", name=name, verdict=f"verdict on {name}")
    return Viewers(viewers=[viewer], targets=[name], note=f"note on {name}")


def full_report(path: Path) -> Page:
    chart = Chart(panels=[draw_boxes("Dice", {"WT": [Dot(value=0.5, name="p1", anchor="case-1")]})] * 2, alt="two boxes", caption="Boxes.")
    write_report(
        path,
        title="A trial",
        summary="It works.\n\nMostly.",
        points={"WT": "Well."},
        tables=[Table(caption="Means", columns=["target", "Dice"], rows=[["WT", "0.812 [0.750, 0.861]"]], note="1 is perfect.")],
        figures=[Figure(png=PIXEL, alt="a dot", caption="Look at the dot."), chart],
        sections=[
            Section(heading="Patients", text="Some of them.", parts=[viewers()]),
            Section(
                heading="Failures",
                parts=[Table(caption="Worst", columns=["case", "why"], rows=[[Link("P 1", "case-1"), "missed"]], words=1)],
            ),
        ],
        details=[Table(caption="Cases", columns=["case", "target", "Dice"], rows=[["p1", "WT", "0.5"], ["p2", "WT", "–"]], names=2)],
        settings={"seed": 0, "folder": Path("a") / "b"},
    )
    return Page(path.read_text(encoding="utf-8"))


def test_everything_is_on_the_page_in_order(tmp_path: Path) -> None:
    words = full_report(tmp_path / "new" / "report.html").words
    wanted = ["A trial", "It works.", "Mostly.", "WT", "Well.", "Figures", "Means", "WT", "0.812", "[0.750, 0.861]", "1 is perfect."]
    wanted += ["Look at the dot.", "Boxes.", "Patients", "Some of them.", "note on p1", "p1", "verdict on p1", "Failures", "P 1", "missed"]
    wanted += ["In detail", "Cases", "p1", "0.5", "p2", "–", "How this was made", "seed", "0", "folder", str(Path("a") / "b")]
    positions = [words.index(wanted[0])]
    for word in wanted[1:]:
        positions.append(words.index(word, positions[-1] + 1))
    assert positions == sorted(positions)


def test_page_needs_nothing_from_anywhere(tmp_path: Path) -> None:
    full_report(tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = re.sub(r'(src|href)="data:[^"]*"', "", text)
    assert not re.search(r"https?:|<link|@import|url\((?!#)|(src|href)=\"(?!#)", text)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_browser_runs_the_pages_own_script_alone_and_fetches_nothing(tmp_path: Path) -> None:
    page = full_report(tmp_path / "report.html")
    (policy,) = (str(tag["content"]) for tag in page.all("meta") if tag.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'; img-src data:")
    (script,) = re.findall(r"<script>(.*?)</script>", (tmp_path / "report.html").read_text(encoding="utf-8"), re.DOTALL)
    assert f"script-src 'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy


def test_page_is_accessible(tmp_path: Path) -> None:
    page = full_report(tmp_path / "report.html")
    assert page.all("html") == [{"lang": "en"}]
    assert all(image["alt"] for image in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table")) == 3
    assert all(cell["scope"] in {"col", "row"} for cell in page.all("th"))
    assert any(tag.get("name") == "viewport" for tag in page.all("meta"))
    levels = [int(name[1]) for name, _ in page.elements if re.fullmatch(r"h\d", name)]
    assert levels == [1, 2, 2, 3, 2, 2, 2]
    identifiers = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(set(identifiers)) >= len(identifiers) - 4  # the same drawing twice has the same names, which does no harm
    assert all(picture.get("aria-label") or picture.get("aria-hidden") for picture in page.all("svg"))
    labelled = {label["for"] for label in page.all("label") if "for" in label}
    assert {field["id"] for field in page.all("input") if field["type"] == "range"} == labelled


def test_each_slice_is_on_the_page_once(tmp_path: Path) -> None:
    pictures = [picture["href"] for picture in full_report(tmp_path / "report.html").all("image")]
    assert len(pictures) == len(set(pictures)) == 4


def test_long_tables_scroll_inside_their_box(tmp_path: Path) -> None:
    for rows in (3, 40):
        write_report(tmp_path / f"{rows}", title="", summary="", tables=[Table(caption="c", columns=["a"], rows=[["1"]] * rows)])
    boxes = [Page((tmp_path / f"{rows}").read_text(encoding="utf-8")).all("div") for rows in (3, 40)]
    assert [any("tall" in str(box.get("class")) for box in of_page) for of_page in boxes] == [False, True]


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
        figures=[
            Figure(png=PIXEL, alt=nasty, caption=nasty),
            Chart(panels=[draw_boxes(nasty, {nasty: [Dot(value=0.5, name=nasty)]})], alt=nasty, caption=nasty),
        ],
        sections=[Section(heading=nasty, parts=[viewers(nasty)])],
        settings={nasty: nasty},
    )
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert len(page.all("script")) == 1
    assert sum(word == nasty for word in page.words) >= 15


def test_little_to_say_is_a_page_too(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", title="Nothing", summary="")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert set(page.words) == {"Nothing"}
    assert not page.all("table")
    assert not page.all("h2")


def test_row_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="3 cells; expected 2"):
        Table(caption="", columns=["a", "b"], rows=[["1", "2"], ["1", "2", "3"]])
