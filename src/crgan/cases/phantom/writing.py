"""Writing phantoms: what may be asked for, and handing them to the layout that was chosen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from crgan.cases.phantom.layouts import WRITERS
from crgan.cases.phantom.sample import Kind, Phantom
from crgan.errors import fail
from crgan.progress import Progress, Silent, Task

SMALLEST_EDGE = 32


def check_request(out: Path, *, count: int, shape: tuple[int, ...], seed: int) -> None:
    """Refuse what cannot be drawn or written, before anything is.

    Raises
    ------
    CrganError
        For a count below 1, an edge below 32, a negative seed, or a folder that holds something.
    """
    if count < 1:
        raise fail("The number of phantom patients is too small.", where="count", expected="at least 1", got=str(count))
    if min(shape) < SMALLEST_EDGE:
        smallest = " ".join([str(SMALLEST_EDGE)] * len(shape))
        raise fail(
            "The phantom's shape is too small to hold one.",
            where="shape",
            expected=f"{len(shape)} numbers, each at least {SMALLEST_EDGE}",
            got=" × ".join(map(str, shape)),
            fix=f"choose a larger shape, for example {smallest}",
        )
    if seed < 0:
        raise fail("The seed is negative.", where="seed", expected="0 or more", got=str(seed))
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise fail(
            "The output folder is not empty.",
            where=out,
            expected="a new or empty folder",
            fix="choose another folder, or empty this one first",
        )


def write_phantoms(
    out: Path, phantoms: Iterable[Phantom], count: int, *, kind: Kind, layout: str, progress: Progress | None = None
) -> None:
    """Write ``count`` phantoms, drawn one after the other as they are written, in a layout.

    Raises
    ------
    CrganError
        If there is no such layout, or it does not hold phantoms of this kind.
    """
    fitting = [name for name, (_, kinds) in WRITERS.items() if kind.name in kinds]
    if layout not in fitting:
        raise fail(
            f"Phantoms of kind {kind.name} cannot be written in that layout.",
            where="--layout",
            expected=", ".join(fitting),
            got=layout,
            fix="choose one of these",
        )
    write, _ = WRITERS[layout]
    with (progress or Silent()).task("drawing", count) as task:
        write(out, _counted(phantoms, task), kind)


def _counted(phantoms: Iterable[Phantom], task: Task) -> Iterator[Phantom]:
    for phantom in phantoms:
        yield phantom
        task.advance()
