"""What a person sees: progress, notes, tables and problems on the terminal."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crgan.errors import Problem
from crgan.progress import Progress, Task

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

SECONDS_BETWEEN_LINES = 10.0
"""How often a log that is no terminal gets a line about a running task."""


SHOWN_OF_A_KIND = 5
"""How many problems of a kind are printed in full."""


def terminal_progress(console: Console) -> Progress:
    """Bars on a terminal, plain lines anywhere else."""
    return BarProgress(console) if console.is_terminal else LineProgress(console)


def print_problems(console: Console, problems: Iterable[Problem]) -> None:
    """Print problems one under the other: errors in red, warnings in yellow, nothing for none; of one kind, the first few."""
    problems = list(problems)
    of_kind = Counter(problem.kind for problem in problems if problem.kind is not None)
    shown: Counter[str] = Counter()
    for problem in problems:
        if problem.kind is not None:
            shown[problem.kind] += 1
            if shown[problem.kind] == SHOWN_OF_A_KIND + 1:
                console.print(Text(f"… and {of_kind[problem.kind] - SHOWN_OF_A_KIND} more of this kind ({problem.kind})"), soft_wrap=True)
            if shown[problem.kind] > SHOWN_OF_A_KIND:
                continue
        colour = "red" if problem.severity == "error" else "yellow"
        heading, *details = str(problem).splitlines()
        console.print(Text.assemble((f"{problem.severity}: ", f"bold {colour}"), (heading, colour)), soft_wrap=True)
        for line in details:
            console.print(Text(line), soft_wrap=True)


def print_table(
    console: Console, columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None, words: int = 1
) -> None:
    """Print a table: the first ``words`` columns to the left, the others, which hold figures, to the right.

    Where the terminal is too narrow, columns stand closer and intervals (``0.81 [0.75, 0.86]``) go below their figures.
    """
    cells = [list(row) for row in rows]
    width = sum(max(len(row[index]) for row in [columns, *cells]) + 3 for index in range(len(columns)))
    narrow = width > console.width
    if narrow:
        cells = [[*row[:words], *(cell.replace(" [", "\n[") for cell in row[words:])] for row in cells]
    if title is not None:
        console.print(Text(title, style="bold"), soft_wrap=True)
    table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 0) if narrow else (0, 1))
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < words else "right", overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)


def _as_text(figures: dict[str, float]) -> str:
    """``loss=0.3142, dice=0.81`` as ``loss 0.314 · dice 0.81``."""
    return " · ".join(f"{name} {value:.3g}" for name, value in figures.items())


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class BarProgress:
    """Progress bars that live at the foot of a terminal, one per open task."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars: Bars | None = None

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Task]:
        """Show a bar with elapsed and remaining time until the block ends."""
        outermost = self._bars is None
        if self._bars is None:
            self._bars = self._open_bars()
        bars = self._bars
        row = bars.add_task(name, total=total, figures="")
        try:
            yield _BarTask(bars, row)
        finally:
            if outermost:
                bars.stop()
                self._bars = None
            else:
                bars.remove_task(row)

    def note(self, text: str) -> None:
        """Print a line above the bars."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _open_bars(self) -> Bars:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}", markup=False),
            console=self._console,
        )
        bars.start()
        return bars


class _BarTask:
    def __init__(self, bars: Bars, row: TaskID) -> None:
        self._bars, self._row = bars, row
        self._figures: dict[str, float] = {}

    def resize(self, total: int) -> None:
        self._bars.update(self._row, total=total)

    def advance(self, n: int = 1, **figures: float) -> None:
        self._figures |= figures
        self._bars.update(self._row, advance=n, figures=_as_text(self._figures))


class LineProgress:
    """Plain lines for logs and pipes: when a task begins, now and then while it runs, and when it ends."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Task]:
        """Print a line every ten seconds, and one at the end."""
        task = _LineTask(self, name, total)
        try:
            yield task
        finally:
            task.close()

    def note(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class _LineTask:
    def __init__(self, progress: LineProgress, name: str, total: int) -> None:
        self._progress, self._name, self._total = progress, name, total
        self._done, self._reported = 0, -1
        self._figures: dict[str, float] = {}
        self._begun = self._told = time.monotonic()

    def resize(self, total: int) -> None:
        self._total = total

    def advance(self, n: int = 1, **figures: float) -> None:
        self._done += n
        self._figures |= figures
        if time.monotonic() - self._told >= SECONDS_BETWEEN_LINES:
            self.report()

    def close(self) -> None:
        """Print how far the task came, unless that was the last line."""
        if self._reported != self._done:
            self.report()

    def report(self) -> None:
        """Print how far the task is, how long it took and how long it may still take."""
        self._told, self._reported = time.monotonic(), self._done
        elapsed = self._told - self._begun
        parts = [f"{self._name} {self._done}/{self._total}", _duration(elapsed)]
        if 0 < self._done < self._total:
            parts.append(f"{_duration(elapsed / self._done * (self._total - self._done))} left")
        if self._figures:
            parts.append(_as_text(self._figures))
        self._progress.note(" · ".join(parts))
