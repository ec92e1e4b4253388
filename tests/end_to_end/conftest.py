"""What runs of their own need: processes that may die."""

from __future__ import annotations

import os
import traceback
import warnings
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def in_child() -> Callable[[Callable[[], object]], int]:
    """Run a function in a process of its own; gives 0, the exception's exit code 1, or minus the signal that killed it.

    It is forked off, which spares it the seconds that importing PyTorch takes.
    """
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork")

    def call(function: Callable[[], object]) -> int:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads that only wait do no harm here
            child = os.fork()
        if child == 0:
            code = 1
            try:
                function()
                code = 0
            except BaseException:  # noqa: BLE001 - told by the exit code, and here
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)

    return call
