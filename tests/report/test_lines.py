from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from crgan.report.lines import Line, Panel, draw_lines

LINES = [Line(name="first system", points=[(1, 0.5), (2, 0.7)], intervals=[(0.4, 0.6), (0.6, 0.8)]), Line(name="empty", points=[])]
PANELS = [
    Panel(title="Dice of all", x_label="minutes", lines=[*LINES, Line(name="first system", points=[(1, 0.4), (3, 0.6)])]),
    *(Panel(title=f"FNR {number}", x_label="FPR", lines=LINES, steps=True, x_limit=2) for number in range(3)),
]


def test_a_legend_names_each_system_once_and_every_panel_its_axes() -> None:
    text = draw_lines(PANELS, file_format="svg").decode("utf-8")
    assert text.count(">first system<") == 1
    assert text.count(">Dice of all<") == 1
    assert text.count(">FPR<") == 3


def test_a_picture_has_something_on_it() -> None:
    with Image.open(BytesIO(draw_lines(PANELS))) as picture:
        assert picture.width == 1020
        assert len(picture.convert("RGB").getcolors(1 << 20)) > 10


@pytest.mark.parametrize("file_format", ["png", "svg"])
def test_the_same_lines_give_the_same_file(file_format: str) -> None:
    assert draw_lines(PANELS, file_format=file_format) == draw_lines(PANELS, file_format=file_format)
