"""Phantom cells: pictures, stacks and movies of cells that touch, wander and divide, each cell with an id of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from crgan.cases.labels import LabelScheme
from crgan.cases.phantom.cells_picture import draw_cells, fluorescence, phase_contrast
from crgan.cases.phantom.cells_population import live
from crgan.cases.phantom.layouts import FLAT
from crgan.cases.phantom.sample import Kind, Phantom
from crgan.cases.phantom.writing import check_request, write_phantoms
from crgan.errors import fail
from crgan.progress import Progress

KIND = Kind(name="cells", modalities=("image",), labels=LabelScheme(classes={1: "cell"}, instances=True), spatial="pictures")
FEWEST_SLICES = 4


def write_cells(
    out: Path,
    *,
    count: int,
    shape: tuple[int, int] = (512, 512),
    slices: int = 1,
    frames: int = 1,
    seed: int = 0,
    layout: str = "paired",
    progress: Progress | None = None,
) -> None:
    """Write phantom cells: pictures in phase contrast, or stacks in fluorescence, with the id of a cell in each of its pixels.

    Parameters
    ----------
    out
        Folder to write to; new or empty.
    count
        Number of pictures, or of movies, at least 1. Picture k depends on ``seed``, k, and the sizes alone.
    shape
        Rows and columns, each at least 32.
    slices
        1 for pictures, at least 4 for stacks.
    frames
        1 for single pictures; more for movies, in which cells keep their ids until they divide.
    seed
        Of all random numbers, at least 0.
    layout
        How the files are laid out and named; see :data:`crgan.cases.phantom.layouts.WRITERS`.
    progress
        Who is told how far it is.

    Raises
    ------
    CrganError
        For numbers or a layout out of range, a folder that holds something, or a disk that cannot be written to.
    """
    check_request(out, count=count, shape=shape, seed=seed)
    if slices != 1 and slices < FEWEST_SLICES:
        raise fail("The stack has too few slices.", where="slices", expected=f"1, or at least {FEWEST_SLICES}", got=str(slices))
    if frames < 1:
        raise fail("A movie without frames was asked for.", where="frames", expected="at least 1", got=str(frames))
    if slices > 1 and layout in FLAT:
        raise fail("This layout holds pictures, but no stacks.", where="slices", expected="1", got=str(slices), fix="choose another layout")
    whole = shape if slices == 1 else (slices, *shape)
    phantoms = (phantom for index in range(count) for phantom in draw_movie(index, shape=whole, frames=frames, seed=seed))
    write_phantoms(out, phantoms, count * frames, kind=KIND, layout=layout, progress=progress)


def draw_movie(index: int, *, shape: tuple[int, ...], frames: int = 1, seed: int) -> Iterator[Phantom]:
    """Draw movie ``index`` frame by frame: the same one for the same ``(seed, index, shape, frames)``.

    Images are uint8, labels uint16; ``shape`` is ``(rows, columns)`` or ``(Z, rows, columns)``.
    """
    name = f"cells_{index:03d}"
    for frame, population in enumerate(live(shape, frames, np.random.default_rng([seed, index]))):
        cells = draw_cells(population, shape, (seed, index))
        light = np.random.default_rng([seed, index, frame])
        picture = phase_contrast(cells, light) if len(shape) == 2 else fluorescence(cells, light)
        yield Phantom(
            name=name if frames == 1 else f"{name}_t{frame:03d}",
            images=picture[None],
            labels=cells.ids,
            spacing_mm=(1.0,) * len(shape),
            movie=None if frames == 1 else name,
            frame=frame,
            parents=population.parents,
        )
