"""The life of phantom cells: they wander, push each other away, grow, round up and divide. Lengths are in pixels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

_COVERED = 0.2  # share of the picture, at the beginning
_CYCLE = (9.0, 24.0)  # frames from one division to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell in one frame.

    Parameters
    ----------
    number
        Its id in the movie, from 1; daughters get new ones.
    centre, speed
        Along the axes of the picture or stack.
    radius
        Of a disc of its area, once it is grown.
    stretch
        Length over width; 1 is round.
    angle
        In which direction it is long, in radians in the plane.
    age, cycle
        Frames since it was born, and at which age it divides.
    """

    number: int
    centre: Vector
    speed: Vector
    radius: float
    stretch: float
    angle: float
    age: float
    cycle: float

    @property
    def size(self) -> float:
        """Radius at its age: a newborn has half the area."""
        return self.radius * float(np.sqrt(0.5 + 0.5 * min(self.age / (0.7 * self.cycle), 1)))

    @property
    def rounded(self) -> float:
        """How far it has rounded up to divide, 0 to 1; newborns are round, too, and flatten."""
        return float(np.clip(max(self.age - self.cycle + 2.5, 1.5 - self.age), 0, 1.5) / 1.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """The cells of one frame.

    Parameters
    ----------
    cells
        In the order of their numbers.
    parents
        Which cell those born in this frame came from.
    """

    cells: tuple[Cell, ...]
    parents: dict[int, int] = field(default_factory=dict)


def live(shape: tuple[int, ...], frames: int, rng: np.random.Generator) -> Iterator[Population]:
    """Follow a population over ``frames`` frames in a picture or stack of ``shape``; from three frames on, at least one cell divides."""
    population = Population(cells=_settle(shape, rng))
    first = population.cells[0]
    soon = replace(first, age=first.cycle - frames // 2 - 0.5)
    population = replace(population, cells=(soon, *population.cells[1:]))
    for frame in range(frames):
        if frame:
            population = _next(population, shape, rng)
        yield population


def typical_radius(shape: tuple[int, ...]) -> float:
    """Radius of a grown cell."""
    return max(min(shape[-2:]) / 17, 4.5)


def _settle(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Cell, ...]:
    """Cells alone and in clusters, in which neighbours touch."""
    radius = typical_radius(shape)
    count = max(int(_COVERED * shape[-2] * shape[-1] / (np.pi * radius**2)), 4)
    low, high = np.zeros(len(shape)), np.array(shape) - 1.0
    centres: list[Vector] = []
    for _ in range(40 * count):
        if centres and rng.random() < 0.55:
            direction = rng.standard_normal(len(shape)) * _flat(shape)
            centre = centres[rng.integers(len(centres))] + rng.uniform(1.7, 2.0) * radius * direction / np.linalg.norm(direction)
        else:
            centre = rng.uniform(low, high)
        inside = np.all((centre >= low) & (centre <= high))
        if inside and all(np.linalg.norm(centre - other) > 1.6 * radius for other in centres):
            centres.append(centre)
        if len(centres) == count:
            break
    cells = []
    for number, centre in enumerate(centres, start=1):
        cycle = float(rng.uniform(*_CYCLE))
        cells.append(_grown(number, centre, radius, age=float(rng.uniform(0, 0.85)) * cycle, cycle=cycle, rng=rng))
    return tuple(cells)


def _grown(number: int, centre: Vector, radius: float, *, age: float, cycle: float, rng: np.random.Generator) -> Cell:
    return Cell(
        number=number,
        centre=centre,
        speed=np.zeros(len(centre)),
        radius=float(radius * rng.uniform(0.8, 1.25)),
        stretch=float(rng.uniform(1.05, 2.1)),
        angle=float(rng.uniform(0, np.pi)),
        age=age,
        cycle=cycle,
    )


def _flat(shape: tuple[int, ...]) -> Vector:
    """Weights of the axes: across the slices of a stack cells move as far as in the plane, measured in its height."""
    weights = np.ones(len(shape))
    weights[:-2] = min(1.0, 2 * shape[0] / min(shape[-2:]))
    return weights


def _next(population: Population, shape: tuple[int, ...], rng: np.random.Generator) -> Population:
    """One frame later: first those divide that are due, then all move."""
    number = max(cell.number for cell in population.cells)
    cells: list[Cell] = []
    parents: dict[int, int] = {}
    for cell in population.cells:
        if cell.age + 1 < cell.cycle:
            cells.append(replace(cell, age=cell.age + 1))
            continue
        apart = np.zeros(len(shape))
        apart[-2:] = np.sin(cell.angle), np.cos(cell.angle)
        for side in (-1, 1):
            number += 1
            parents[number] = cell.number
            centre = cell.centre + side * 0.75 * cell.radius * apart
            daughter = _grown(number, centre, cell.radius, age=0.0, cycle=float(rng.uniform(*_CYCLE)), rng=rng)
            cells.append(replace(daughter, radius=cell.radius, speed=side * 0.15 * cell.radius * apart))
    return Population(cells=_moved(tuple(cells), shape, rng), parents=parents)


def _moved(cells: tuple[Cell, ...], shape: tuple[int, ...], rng: np.random.Generator) -> tuple[Cell, ...]:
    """All a step further: along their way, a little at random, away from those they overlap, and back from the border."""
    centres = np.stack([cell.centre for cell in cells])
    moved = []
    for cell in cells:
        between = cell.centre - centres
        distance = np.linalg.norm(between, axis=1)
        overlap = np.clip(1.7 * cell.size - distance, 0, None) * (distance > 0)
        push = (0.3 * overlap / (distance + 1e-6)) @ between
        speed = 0.7 * cell.speed + 0.1 * cell.radius * rng.standard_normal(len(shape)) * _flat(shape)
        centre = np.clip(cell.centre + speed + push, 0, np.array(shape) - 1.0)
        angle = cell.angle + 0.08 * float(rng.standard_normal())
        moved.append(replace(cell, centre=centre, speed=speed, angle=angle))
    return tuple(moved)
