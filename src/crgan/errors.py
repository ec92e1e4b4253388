"""Mistakes a user can mend: what, where, expected, got, and how to fix it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with the user's data or settings.

    Parameters
    ----------
    what
        What is wrong, in one short sentence.
    where
        The file, folder, setting or case it was found in.
    expected, got
        What should be there, and what is.
    fix
        What the user can do about it.
    severity
        ``"error"`` stops the work; ``"warning"`` is told and the work goes on.
    kind
        A word for programs, the same for all problems of one kind, such as ``"label-holes"``.
    """

    what: str
    where: str | Path | None = None
    expected: str | None = None
    got: str | None = None
    fix: str | None = None
    severity: Literal["error", "warning"] = "error"
    kind: str | None = None

    def __str__(self) -> str:
        lines = [self.what]
        for name in ("where", "expected", "got", "fix"):
            value = getattr(self, name)
            if value is not None:
                lines.append(f"  {name + ':':<10}{value}")
        return "\n".join(lines)


class CrganError(Exception):
    """One or more problems that stop the work; the command line prints them without a traceback.

    Parameters
    ----------
    problems
        The problems, all found before any work began.
    """

    def __init__(self, problems: Problem | Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = (problems,) if isinstance(problems, Problem) else tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[CrganError], tuple[tuple[Problem, ...]]]:
        # By default the message would be taken for the problems when a worker process hands the error over.
        return type(self), (self.problems,)


def fail(
    what: str,
    *,
    where: str | Path | None = None,
    expected: str | None = None,
    got: str | None = None,
    fix: str | None = None,
) -> CrganError:
    """Make the error for a single problem, to be raised by the caller."""
    return CrganError(Problem(what=what, where=where, expected=expected, got=got, fix=fix))
