"""Being asked to stop: by Ctrl-C, by a scheduler that wants its machine back, or by a terminal that was closed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALLED = 128
"""Plus the signal's number is the exit code, as shells have it: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""


class Stopped(KeyboardInterrupt):
    """Raised after a signal asked to stop; by a training once its checkpoint was written.

    Parameters
    ----------
    number
        Of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


@contextmanager
def on_request(ask: Callable[[int], None]) -> Iterator[None]:
    """Call ``ask`` with the number of each signal that asks to stop, while the block runs.

    Only the main thread hears signals: in others nothing changes. A closed terminal is no request to what was begun with ``nohup``.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.getsignal(number) for number in numbers}

    def heard(number: int, _frame: FrameType | None) -> None:
        ask(number)

    try:
        for number in numbers:
            signal.signal(number, heard)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def stop(number: int) -> None:
    """Stop at once, by :class:`Stopped`; whatever cleans up behind itself does."""
    raise Stopped(number)
