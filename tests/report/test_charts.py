from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from crgan.report.charts import Dot, SizeRate, draw_boxes, draw_curves, draw_pairs, draw_reliability, draw_sizes


def read(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314  (we drew it)


def tips(svg: str) -> list[str]:
    """What dots say, of a drawing that is whole."""
    return sorted(title.text or "" for title in read(svg).iter("title"))


def places(svg: str, *, vertical: bool = False) -> dict[str, float]:
    """Where the dots are, as shares of the drawing's width or height, by what they say."""
    root = read(svg)
    size = [float(number) for number in root.attrib["viewBox"].split()][2:]
    return {
        link.find("title").text: float(link.find(".//use").attrib["y" if vertical else "x"]) / size[vertical]
        for link in root.iter("a")
    }


def test_values_stand_where_they_belong() -> None:
    found = places(draw_boxes("Dice", {"WT": [Dot(value=0.1, name="low"), Dot(value=0.9, name="high")]}))
    assert found["low: 0.1"] < 0.4
    assert found["high: 0.9"] > 0.8


def test_groups_stand_below_each_other_and_one_without_values_keeps_its_place() -> None:
    found = places(draw_boxes("Dice", {"a": [Dot(value=0.5, name="a")], "none": [], "c": [Dot(value=0.5, name="c")]}), vertical=True)
    assert found["c: 0.5"] - found["a: 0.5"] > 0.3
    assert ">none<" in draw_boxes("Dice", {"none": []})


def test_distances_have_an_axis_of_their_own() -> None:
    found = places(draw_boxes("HD95", {"a": [Dot(value=value, name=str(value)) for value in (1, 40)]}, limits=None))
    assert found["40: 40"] - found["1: 1"] > 0.5


def test_dots_lead_to_pictures_and_no_stop_is_made_at_them() -> None:
    svg = draw_boxes("Dice", {"a": [Dot(value=0.5, name="seen", anchor="case-3"), Dot(value=0.6, name="unseen")]})
    assert re.findall(r"<a([^>]*)><title>(\w+)", svg) == [(' href="#case-3" tabindex="-1"', "seen"), ("", "unseen")]


def test_drawings_take_their_colours_from_the_page_and_name_nothing_twice() -> None:
    svg = draw_boxes("Dice", {"a": [Dot(value=0.5, name="x")]})
    assert "var(--mark)" in svg
    assert not re.search(r"#[0-9a-f]{6}\b(?!-)|<style|<metadata|font-family", svg)
    other = draw_boxes("FNR", {"a": [Dot(value=0.5, name="x")]})
    names = [set(re.findall(r' id="([^"]+)"', drawing)) for drawing in (svg, other)]
    assert names[0]
    assert not names[0] & names[1]
    assert svg == draw_boxes("Dice", {"a": [Dot(value=0.5, name="x")]})


def test_names_from_outside_are_escaped() -> None:
    nasty = '<script>alert("1")</script>&'
    svg = draw_boxes(nasty, {nasty: [Dot(value=0.5, name=nasty)]})
    assert tips(svg) == [f"{nasty}: 0.5"]
    assert "<script" not in svg


@pytest.mark.parametrize(("lower_better", "worse"), [(False, "a"), (True, "b")])
def test_patients_for_whom_it_got_worse_stand_out(lower_better: bool, worse: str) -> None:
    svg = draw_pairs("Dice", {"one": [0.9, 0.1, None], "two": [0.5, 0.6, 0.7]}, ["a", "b", "c"], lower_better=lower_better)
    assert tips(svg) == ["a, one: 0.9", "a, two: 0.5", "b, one: 0.1", "b, two: 0.6", "c, two: 0.7"]
    coloured = {
        link.find("title").text[0]
        for link in read(svg).iter("a")
        if any("var(--other)" in part.attrib.get("style", "") for part in link.iter())
    }
    assert coloured == {worse}


def test_missed_lesions_stand_below_and_found_ones_above() -> None:
    rates = [SizeRate(low=2, high=4, lesions=2, found=1, ci_low=0.1, ci_high=0.9)]
    svg = draw_sizes("WT", np.array([2.5, 3.5]), np.array([True, False]), rates, unit="mm", names=["p1", "p2"])
    found = places(svg, vertical=True)
    assert found["p1: 2.5 mm"] < 0.3
    assert found["p2: 3.5 mm"] > 0.6
    assert "1/2" in svg
    assert rates[0].share == 0.5
    across = places(draw_sizes("WT", np.array([1.0, 4.0, 16.0]), np.ones(3, bool), [], unit="mm", names=["a", "b", "c"]))
    first, second, third = across.values()
    assert second - first == pytest.approx(third - second, rel=1e-3)  # a logarithmic axis


def test_reliability_says_how_many_voxels_are_behind_each_dot() -> None:
    svg = draw_reliability("WT", np.array([0.1, 0.9]), np.array([0.05, 0.8]), np.array([1200, 30]))
    assert tips(svg) == ["given 0.10, true in 0.05 of 1,200 voxels", "given 0.90, true in 0.80 of 30 voxels"]


def test_curves_are_told_apart_by_a_legend() -> None:
    one = draw_curves("Dice", {"adversarial": [(0, 0.1), (5, 0.8)]}, x_label="minutes")
    two = draw_curves("Dice", {"adversarial": [(0, 0.1), (5, 0.8)], "refinement": [(5, 0.5)]}, x_label="minutes")
    assert ">adversarial<" not in one
    assert ">adversarial<" in two
    assert ">refinement<" in two
    assert "var(--other)" in two
    assert "minutes" in one


def test_long_names_are_cut() -> None:
    assert "…<" in draw_boxes("Dice", {"a name that is much longer than any plot is wide": []})
