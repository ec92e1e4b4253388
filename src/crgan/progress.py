"""How long work tells how far it is, without knowing who listens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """One piece of work that is being counted."""

    def resize(self, total: int) -> None:
        """Have another number of steps in all from now on."""

    def advance(self, n: int = 1, **figures: float) -> None:
        """Count ``n`` more steps as done and show the latest ``figures``, for example ``loss=0.31, dice=0.81``."""


class Progress(Protocol):
    """What a command hands to long work so that it can be followed."""

    def task(self, name: str, total: int) -> AbstractContextManager[Task]:
        """Open a counted piece of work of ``total`` steps; it is closed when the block ends, however it ends."""

    def note(self, text: str) -> None:
        """Tell one line that is worth keeping: a choice made, a stage begun, a file written."""


class _SilentTask:
    def resize(self, total: int) -> None:
        del total

    def advance(self, n: int = 1, **figures: float) -> None:
        del n, figures


class Silent:
    """Progress that nobody follows: what library calls use when none is given."""

    @contextmanager
    def task(self, name: str, total: int) -> Iterator[Task]:
        """Count nothing."""
        del name, total
        yield _SilentTask()

    def note(self, text: str) -> None:
        """Tell nobody."""
        del text
