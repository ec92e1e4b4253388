"""The page as people meet it: in a browser, by keyboard, on a phone, in the dark."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from crgan.report.charts import Dot, draw_boxes
from crgan.report.html import Chart, Link, Section, Table, write_report
from crgan.report.viewer import Pictured, Viewers, make_viewer


def _helper() -> ModuleType:
    """Tests are no package, so a module beside one is loaded by its place."""
    spec = importlib.util.spec_from_file_location("crgan_test_chromium", Path(__file__).with_name("chromium.py"))
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


browser = _helper()
PROGRAM = browser.find_chromium()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason=f"needs a Chromium on the path: one of {', '.join(browser.NAMES)}")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("browser") / "report.html"
    truth = np.zeros((2, 12, 40, 32), bool)
    truth[0, 4:8, 10:20, 8:18] = True
    truth[1, 5:7, 12:16, 10:14] = True
    image = np.random.default_rng(0).normal(100, 20, truth.shape[1:])
    pictured = Pictured(truth=truth, mask=np.roll(truth, 3, 3), image=image, spacing_mm=(3, 1, 1))
    viewers = [make_viewer(pictured, anchor=f"case-{number}", name=f"patient {number}", verdict="Dice 0.7") for number in (1, 2)]
    boxes = draw_boxes("Dice", {"WT": [Dot(value=0.5, name="1", anchor="case-1")]})
    long = "a_rather_long_name_without_any_place_to_break_it_" * 3
    write_report(
        path,
        title=f"Scores of {long}",
        summary="Of 4 lesions 3 were found.",
        points={"WT": "Missed 12 %.", long: "Missed 20 %."},
        tables=[Table(caption="Means", columns=["target", *"abcdefghij"], rows=[["WT", *["0.812 [0.750, 0.861]"] * 10]])],
        figures=[Chart(panels=[boxes] * 3, alt="boxes", caption="Boxes.")],
        sections=[
            Section(heading="Patients", parts=[Viewers(viewers=viewers, targets=["WT", "TC"], note="Note.")]),
            Section(
                heading="Failures",
                parts=[Table(caption="Worst", columns=["case", "why"], rows=[[Link("patient 2", "case-2"), "missed " * 30]], words=1)],
            ),
        ],
        settings={"command": f"crgan evaluate {long}"},
    )
    return path


@pytest.fixture(scope="module")
def tab() -> Iterator[Any]:
    with browser.chromium(PROGRAM) as page:
        yield page


@pytest.fixture
def page(tab: Any, report: Path) -> Any:
    tab.resize(1280, 900)
    tab.send("Emulation.setEmulatedMedia", media="", features=[])
    tab.send("Emulation.setScriptExecutionDisabled", value=False)
    tab.open(report)
    return tab


STAGE = "document.querySelector('.viewer .stage image').getAttribute('href')"
FOCUS = "(e => e.type ? `${e.tagName} ${e.type} ${e.value}` : `${e.tagName} ${e.textContent.trim().slice(0, 9)}`)(document.activeElement)"


def test_nothing_goes_wrong_and_nothing_is_fetched(page: Any) -> None:
    page.press("Tab")
    assert page.complaints == []


def test_every_control_is_reached_by_keyboard_and_shows_where_it_is(page: Any) -> None:
    seen: list[str] = []
    for _ in range(40):
        page.press("Tab")
        seen.append(page.evaluate(FOCUS))
        if seen[-1].startswith("BODY"):
            break
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid", seen[-1]
    assert [stop for stop in seen if "checkbox" in stop] == [f"INPUT checkbox {layer}" for layer in ("truth", "mask", "errors")]
    assert len([stop for stop in seen if "range" in stop]) == 2
    assert "A patient 2" in seen
    assert "DIV Means" in [stop[:9] for stop in seen]  # a wide table is scrolled by the arrow keys


def test_slider_moves_by_keyboard_and_the_picture_follows(page: Any) -> None:
    page.evaluate("document.querySelector('.viewer input').focus()")
    before, words = page.evaluate(STAGE), page.evaluate("document.querySelector('.viewer output').textContent")
    page.press("ArrowRight")
    assert page.evaluate(STAGE) != before
    after = page.evaluate("document.querySelector('.viewer output').textContent")
    assert after != words
    assert page.evaluate("document.activeElement.getAttribute('aria-valuetext')") == after
    page.press("ArrowLeft")
    assert page.evaluate(STAGE) == before
    page.press("Home")
    assert page.evaluate("document.activeElement.value") == "0"
    assert page.evaluate("document.querySelectorAll('.viewer .stage svg').length") == 2  # one a patient


def test_layers_are_hidden_by_the_space_key(page: Any) -> None:
    page.evaluate("document.querySelector('.layers input').focus()")
    shown = "getComputedStyle(document.querySelector('.stage .truth')).display"
    assert page.evaluate(shown) == "inline"
    page.press(" ")
    assert page.evaluate(shown) == "none"
    assert page.evaluate("getComputedStyle(document.querySelector('.stage .missed')).display") == "inline"


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_nothing_is_wider_than_the_screen(page: Any, width: int) -> None:
    page.resize(width, 700)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, template, svg, .slider label') && "
    beyond += f"e.getBoundingClientRect().right > {width} + 1).map(e => e.tagName + ' ' + e.className)"
    assert page.evaluate(beyond) == []
    scrolls = page.evaluate("(e => e.scrollWidth > e.clientWidth)(document.querySelector('.scroll'))")
    assert scrolls or width > 1000  # a wide table moves in its box, and the page does not


def luminance(colour: str) -> float:
    channels = np.array([float(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize(("media", "scheme", "dark"), [("screen", "light", False), ("screen", "dark", True), ("print", "dark", False)])
def test_words_stand_out_from_the_ground_in_light_and_dark_and_on_paper(page: Any, media: str, scheme: str, dark: bool) -> None:
    page.send("Emulation.setEmulatedMedia", media=media, features=[{"name": "prefers-color-scheme", "value": scheme}])
    ground = luminance(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert (ground < 0.5) == dark
    for words in ("p", ".note", "td small", "th a", ".settings dt", "output", "caption"):
        ink = luminance(page.evaluate(f"getComputedStyle(document.querySelector('{words}')).color"))
        ratio = (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05)
        assert ratio >= 4.5, (words, ratio)  # WCAG 2.2, level AA


def test_without_scripts_each_patient_is_shown_at_a_slice(tab: Any, report: Path) -> None:
    tab.open(report)
    shown = tab.evaluate(STAGE)
    tab.send("Emulation.setScriptExecutionDisabled", value=True)
    tab.open(report)
    assert tab.evaluate(STAGE) == shown
    assert tab.evaluate("document.querySelector('.slider').getBoundingClientRect().height") == 0
    assert "mm²" in tab.evaluate("document.querySelector('.still').textContent")
    tab.send("Emulation.setScriptExecutionDisabled", value=False)


def test_links_lead_to_patients(page: Any) -> None:
    page.evaluate("document.querySelector('td a, th a').click()")
    assert page.evaluate("document.querySelector(':target').id") == "case-2"
    assert page.evaluate("Math.abs(document.querySelector(':target').getBoundingClientRect().top) < innerHeight")
