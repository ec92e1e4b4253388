from __future__ import annotations

import io

import pytest
from rich.console import Console

from crgan import console as module
from crgan.console import BarProgress, LineProgress, print_problems, print_table, terminal_progress
from crgan.errors import Problem


def a_console(*, terminal: bool = False, width: int = 100) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None, highlight=False, legacy_windows=False)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_bars_on_a_terminal_and_lines_elsewhere() -> None:
    assert isinstance(terminal_progress(a_console(terminal=True)), BarProgress)
    assert isinstance(terminal_progress(a_console()), LineProgress)


def test_lines_come_every_ten_seconds_and_at_the_end(clock) -> None:
    console = a_console()
    with LineProgress(console).task("generator", 100) as task:
        task.advance(loss=2.0)
        clock[0] += 9
        task.advance(9, loss=1.0)
        assert text_of(console) == ""
        clock[0] += 1
        task.advance(10, dice=0.51239)
        assert text_of(console) == "generator 20/100 · 0:10 · 0:40 left · loss 1 · dice 0.512\n"
        clock[0] += 80
        task.advance(80)
    assert text_of(console).splitlines()[1:] == ["generator 100/100 · 1:30 · loss 1 · dice 0.512"]


def test_a_broken_task_still_says_how_far_it_came(clock) -> None:
    console = a_console()

    def interrupted() -> None:
        with LineProgress(console).task("generator", 4) as task:
            task.advance()
            clock[0] += 3
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert text_of(console) == "generator 1/4 · 0:03 · 0:09 left\n"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3599, "59:59"), (3661, "1:01:01")])
def test_durations(seconds: float, text: str) -> None:
    assert module._duration(seconds) == text


def test_bars_show_counts_and_figures_and_nest() -> None:
    console = a_console(terminal=True)
    progress = BarProgress(console)
    with progress.task("training", 8) as outer:
        with progress.task("validation", 2) as inner:
            inner.advance(2, dice=0.75)
        outer.advance(3, loss=0.25)
        progress.note("validated [once]")
    shown = text_of(console)
    assert "training" in shown
    assert "3/8" in shown
    assert "loss 0.25" in shown
    assert "validated [once]" in shown
    assert progress._bars is None


def test_bars_are_taken_down_when_work_fails() -> None:
    progress = BarProgress(a_console(terminal=True))
    with pytest.raises(ValueError, match="broken"), progress.task("training", 8):
        raise ValueError("broken")
    assert progress._bars is None


def test_problems_are_printed_one_under_the_other_with_brackets_kept() -> None:
    console = a_console()
    print_problems(
        console,
        [
            Problem(what="The file is cut short.", where="a[b].nii.gz", expected="10 bytes", got="7 bytes", fix="copy it again"),
            Problem(what="The image is constant.", severity="warning"),
        ],
    )
    assert text_of(console).splitlines() == [
        "error: The file is cut short.",
        "  where:    a[b].nii.gz",
        "  expected: 10 bytes",
        "  got:      7 bytes",
        "  fix:      copy it again",
        "warning: The image is constant.",
    ]


def test_no_problems_print_nothing() -> None:
    console = a_console()
    print_problems(console, [])
    assert text_of(console) == ""


def test_a_table_has_a_title_a_header_and_its_rows() -> None:
    console = a_console()
    print_table(console, ["region", "Dice"], [["WT", ".81"], ["[ET]", ".6"]], title="Unseen patients")
    lines = text_of(console).splitlines()
    assert lines[0].strip() == "Unseen patients"
    assert any("region" in line and "Dice" in line for line in lines)
    assert any("[ET]" in line and line.rstrip(" │┃|").endswith(".6") for line in lines)


def test_of_many_problems_of_a_kind_the_first_few_are_printed() -> None:
    console = a_console()
    print_problems(console, [Problem(what=f"Hole {n}.", kind="holes", severity="warning") for n in range(8)] + [Problem(what="Other.")] * 7)
    lines = text_of(console).splitlines()
    assert [line for line in lines if "Hole" in line] == [f"warning: Hole {n}." for n in range(5)]
    assert lines[5] == "… and 3 more of this kind (holes)"
    assert lines[6:] == ["error: Other."] * 7


@pytest.mark.parametrize(("width", "together"), [(60, True), (36, False)])
def test_intervals_go_below_their_figures_where_there_is_no_room(width: int, together: bool) -> None:
    console = a_console(width=width)
    print_table(console, ["region", "Dice", "FNR"], [["a [b]", "0.81 [0.75, 0.86]", "0.1 [0.0, 0.2]"]])
    text = text_of(console)
    assert ("0.81 [0.75, 0.86]" in text) == together
    assert "[0.75, 0.86]" in text
    assert "a [b]" in text
