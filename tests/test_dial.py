from __future__ import annotations

import json

import pytest

from crgan.dial import Aim, Curve, Dial, Point, Setting, Smallest, parse_thresholds
from crgan.errors import CrganError


def point(p: float, *, dice: float = 0.5, fnr: float, false: float, lesions: float = 0.0, found: float = 1.0) -> Point:
    return Point(p=p, q=round(1 - p, 3), dice=dice, fnr=fnr, false_volume=false, false_lesions=lesions, lesions_found=found)


# Of a target that is easy and of one that is hard: misses against false volume and false lesions.
EASY = (
    point(0.1, fnr=0.02, false=0.9, lesions=4.0, found=1.0),
    point(0.3, fnr=0.08, false=0.4, lesions=1.5, found=1.0, dice=0.8),
    point(0.5, fnr=0.15, false=0.2, lesions=0.5, found=0.9),
    point(0.7, fnr=0.30, false=0.1, lesions=0.0, found=0.7),
)
HARD = (point(0.1, fnr=0.2, false=3.0, lesions=9.0), point(0.5, fnr=0.5, false=0.5, lesions=2.0, found=0.6))
DIAL = Dial(
    settings={"WT": Setting(p=0.3, q=0.7), "ET": Setting()},
    curves={"WT": Curve(patients=9, points=EASY), "ET": Curve(patients=4, points=HARD)},
)


@pytest.mark.parametrize(
    ("aim", "easy", "hard"),
    [
        ("dice", 0.3, 0.5),  # as training left it
        ("max-fnr=0.2", 0.5, 0.1),  # .15 is within, and cheaper than .08
        ("max-fnr=0.5", 0.7, 0.5),
        ("max-false-lesions=2", 0.3, 0.5),  # finds more than the others within
        ("max-false-lesions=100", 0.1, 0.1),  # of two that find all lesions, the one that misses least
    ],
)
def test_an_aim_is_served_target_by_target(aim: str, easy: float, hard: float) -> None:
    turned = DIAL.turned(aim=aim)
    assert turned.p == (easy, hard)
    assert turned.q == (pytest.approx(1 - easy), pytest.approx(1 - hard))
    assert turned.curves == DIAL.curves


def test_an_aim_out_of_reach_names_the_nearest_of_every_target() -> None:
    with pytest.raises(CrganError) as caught:
        DIAL.turned(aim="max-fnr=0.01")
    easy, hard = map(str, caught.value.problems)
    for words in ("--aim max-fnr=0.01, WT", "an FNR of at most 0.01", "p = 0.1 and q = 0.9: 0.02, on 9 patients", "--aim max-fnr=0.02"):
        assert words in easy
    for words in ("ET", "0.2, on 4 patients"):
        assert words in hard
    DIAL.turned(aim="max-fnr=0.201")  # what a message asks for can be had
    with pytest.raises(CrganError, match=r"ET[\s\S]*at most 1 false lesions a patient[\s\S]*: 2, on 4"):
        DIAL.turned(aim="max-false-lesions=1")


def test_a_target_that_no_patient_has_follows_no_limit() -> None:
    unknown = Dial(settings={"WT": Setting()}, curves={"WT": Curve(patients=0)})
    assert unknown.turned(aim="dice") == unknown
    with pytest.raises(CrganError, match="no validation patient has the target"):
        unknown.turned(aim="max-fnr=0.9")
    with pytest.raises(CrganError, match="no validation patient has the target"):
        Dial.neutral(["WT"]).turned(aim="max-false-lesions=9")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "fnr",
        "dice=1",
        "max-fnr",
        "max-fnr=",
        "max-fnr=x",
        "max-fnr=0",
        "max-fnr=1",
        "max-fnr=nan",
        "max-false-lesions=-1",
        "max-false-lesions=inf",
    ],
)
def test_what_is_no_aim_is_refused(text: str) -> None:
    with pytest.raises(CrganError, match=r"no such aim[\s\S]*dice, max-fnr=0\.1"):
        Aim.parse(text)


@pytest.mark.parametrize("text", ["dice", "max-fnr=0.1", "max-false-lesions=2", "max-false-lesions=0"])
def test_an_aim_reads_as_it_was_written(text: str) -> None:
    assert str(Aim.parse(f" {text} ")) == text


def test_thresholds_by_hand() -> None:
    assert DIAL.turned() == DIAL
    assert DIAL.turned(p=0.2).p == (0.2, 0.2)
    assert DIAL.turned(p=0.2).q == DIAL.q
    assert DIAL.turned(q={"ET": 0.9}).q == (0.7, 0.9)
    for wrong in (1.5, -0.1, float("nan")):
        with pytest.raises(CrganError, match=r"p of WT[\s\S]*from 0 to 1"):
            DIAL.turned(p=wrong)
    with pytest.raises(CrganError, match="one of WT, ET"):
        DIAL.turned(q={"TC": 0.5})
    with pytest.raises(CrganError, match="give one of them"):
        DIAL.turned(aim="dice", q=0.5)


def test_thresholds_are_read() -> None:
    assert parse_thresholds([], option="--fn-threshold") is None
    assert parse_thresholds(["0.3"], option="--fn-threshold") == 0.3
    assert parse_thresholds(["WT=0.3", "a=b=0.1"], option="--fn-threshold") == {"WT": 0.3, "a=b": 0.1}
    for wrong in (["x"], ["WT="], ["1.5"], ["WT=-1"], ["nan"]):
        with pytest.raises(CrganError, match=r"could not be read[\s\S]*--fn-threshold"):
            parse_thresholds(wrong, option="--fn-threshold")
    with pytest.raises(CrganError, match="beside others"):
        parse_thresholds(["0.3", "WT=0.1"], option="--fn-threshold")


def test_json_and_back() -> None:
    text = json.dumps(DIAL.to_json(), allow_nan=False)
    assert Dial.from_json(json.loads(text)) == DIAL
    neutral = Dial.neutral(["WT"])
    assert Dial.from_json(neutral.to_json()) == neutral
    assert neutral.is_neutral
    assert not DIAL.is_neutral


def test_the_point_of_a_setting() -> None:
    assert DIAL.curves["WT"].at(Setting(p=0.3, q=0.7)) == EASY[1]
    assert DIAL.curves["WT"].at(Setting(p=0.3, q=0.8)) is None


def test_the_smallest_piece_goes_with_the_settings() -> None:
    dial = Dial(settings=DIAL.settings, curves=DIAL.curves, smallest={"WT": Smallest(mm3=30.5, share=0.25)})
    assert dial.turned() is dial
    assert dial.turned(aim="dice") is dial
    assert dial.turned(aim="max-fnr=0.5").smallest == {}
    assert dial.turned(p=0.4).smallest == {}
    back = Dial.from_json(json.loads(json.dumps(dial.to_json())))
    assert back.smallest == dial.smallest
