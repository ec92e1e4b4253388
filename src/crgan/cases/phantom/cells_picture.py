"""What a microscope makes of phantom cells: phase contrast in a plane, fluorescence in a stack. Lengths are in pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from crgan.cases.phantom.cells_population import Cell, Population, typical_radius

Field = NDArray[np.float32]

_RUFFLES = 6  # waves around the outline


@dataclass(frozen=True, slots=True)
class Drawn:
    """All cells of a frame.

    Parameters
    ----------
    ids
        uint16: the number of the cell each pixel belongs to, 0 where there is none.
    depth
        How deep it lies in its cell, negative outside; float32.
    thickness, rounded, grain
        How thick the cell is there, how far it has rounded up, and the texture of what is in it; 0 outside.
    """

    ids: NDArray[np.uint16]
    depth: Field
    thickness: Field
    rounded: Field
    grain: Field


def draw_cells(population: Population, shape: tuple[int, ...], seed: tuple[int, ...]) -> Drawn:
    """Draw the cells of a frame; where two would overlap, a pixel belongs to the one it lies deeper in, so they touch.

    ``seed`` and its number decide on the outline and texture of a cell, the same ones in every frame.
    """
    ids = np.zeros(shape, np.uint16)
    depth = np.full(shape, -1e3, np.float32)
    fields = np.zeros((3, *shape), np.float32)
    for cell in population.cells:
        rng = np.random.default_rng([*seed, cell.number])
        reach = int(2.2 * cell.radius) + 3
        box, offsets = _around(cell, shape, reach)
        here, grain = _depth(cell, offsets, rng), _grain(cell, offsets, reach, rng)
        inside = _one_piece(here > np.maximum(depth[box], 0))
        ids[box][inside] = cell.number
        thickness = np.sqrt(np.clip(here / cell.size, 0, 1)) * (1 + 1.6 * cell.rounded)
        for field, value in zip(fields, (thickness, cell.rounded, grain), strict=True):
            field[box][inside] = np.broadcast_to(value, inside.shape)[inside]
        depth[box] = np.maximum(depth[box], here)
    return Drawn(_whole_cells(ids), depth, fields[0], fields[1], fields[2])


def _around(cell: Cell, shape: tuple[int, ...], reach: int) -> tuple[tuple[slice, ...], list[Field]]:
    """The part of the frame that a cell can reach, and where its pixels lie from the cell's middle."""
    middle = np.round(cell.centre).astype(int)
    box = tuple(slice(max(m - reach, 0), min(m + reach + 1, n)) for m, n in zip(middle, shape, strict=True))
    axes = [np.arange(part.start, part.stop, dtype=np.float32) - np.float32(c) for part, c in zip(box, cell.centre, strict=True)]
    return box, list(np.meshgrid(*axes, indexing="ij"))


def _depth(cell: Cell, offsets: list[Field], rng: np.random.Generator) -> Field:
    """Depth below the outline: an ellipse with ruffles, a disc once it has rounded up; in a stack an ellipsoid."""
    y, x = offsets[-2:]
    flat_world = len(offsets) == 2
    flat = 1 - cell.rounded
    stretch = np.float32(np.sqrt(1 + (cell.stretch - 1) * flat))
    along = np.cos(cell.angle) * x + np.sin(cell.angle) * y
    across = -np.sin(cell.angle) * x + np.cos(cell.angle) * y
    distance = np.hypot(along / stretch, across * stretch)
    direction = np.arctan2(across, along)
    waves = rng.normal(0, 0.11 if flat_world else 0.04, _RUFFLES)
    phases = rng.uniform(0, 2 * np.pi, _RUFFLES)
    ruffle = sum(w / np.sqrt(k) * np.cos(k * direction + p) for k, (w, p) in enumerate(zip(waves, phases, strict=True), start=2))
    outline = cell.size * (1 - 0.22 * cell.rounded) * (1 + np.clip(flat, 0.1, 1) * ruffle)
    if len(offsets) == 3:
        distance = np.hypot(distance, 1.6 * offsets[0])
    return np.asarray(outline - distance, np.float32)


def _grain(cell: Cell, offsets: list[Field], reach: int, rng: np.random.Generator) -> Field:
    """Vesicles, and a nucleus with its nucleoli; they go where the cell goes."""
    y, x = offsets[-2:]
    noise = ndimage.gaussian_filter(rng.standard_normal((2 * reach + 1, 2 * reach + 1), dtype=np.float32), 1.0) * 3.5
    vesicles = ndimage.map_coordinates(noise, [y + reach, x + reach], order=1, mode="nearest")
    where = 0.35 * cell.size * rng.uniform(-1, 1, 2)
    nucleus = np.hypot(y - where[0], x - where[1]) / (0.45 * cell.size)
    grain = vesicles * np.where(nucleus < 1, 0.35, 1) - 0.9 * np.exp(-np.square((nucleus - 1) / 0.16))
    for spot in where + 0.2 * cell.size * rng.uniform(-1, 1, (3, 2)):
        grain -= 1.6 * np.exp(-(np.square(y - spot[0]) + np.square(x - spot[1])) / (0.06 * cell.size) ** 2 / 2)
    return np.asarray(grain, np.float32)


def _one_piece(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest of the parts of a mask; the mask itself if it is empty."""
    parts, count = ndimage.label(mask)
    return np.asarray(parts == np.argmax(np.bincount(parts.ravel())[1:]) + 1) if count > 1 else mask


def _whole_cells(ids: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Give pieces that a neighbour cut off a cell back to the background: an object is in one piece."""
    for number, box in enumerate(ndimage.find_objects(ids), start=1):
        if box is not None:
            mask = ids[box] == number
            ids[box][mask & ~_one_piece(mask)] = 0
    return ids


def phase_contrast(cells: Drawn, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Photograph cells in phase contrast, 8 bit: grey ground, dark bodies in bright halos, glaring ones where they round up."""
    shape = cells.ids.shape
    radius = typical_radius(shape)
    optical = ndimage.gaussian_filter(cells.thickness * (1 - 1.5 * cells.rounded), 0.8)
    halo = ndimage.gaussian_filter(cells.thickness, 0.42 * radius)
    rim = np.exp(-np.square((cells.depth - 0.3) / 1.3))
    picture = 134 - 46 * (optical - 1.15 * halo) + 17 * rim * (cells.depth > -4) + 13 * cells.grain * (1 - 0.6 * cells.rounded)
    picture += 45 * np.exp(-np.square((cells.depth + 1.0) / 1.8)) * ndimage.maximum_filter(cells.rounded, 5)
    picture += 5 * _lattice(shape, 3, rng) + 2.2 * _lattice(shape, 12, rng) + 2.0 * rng.standard_normal(shape)
    for _ in range(shape[0] * shape[1] // 9000):
        _add_debris(picture, rng)
    return np.asarray(np.clip(np.round(picture), 0, 255), np.uint8)


def _add_debris(picture: Field, rng: np.random.Generator) -> None:
    """Add a speck: dark in the middle of a bright ring."""
    y, x = (rng.uniform(0, edge) for edge in picture.shape)
    part = tuple(slice(max(int(c) - 6, 0), int(c) + 7) for c in (y, x))
    view = picture[part]
    rows, columns = np.ogrid[: view.shape[0], : view.shape[1]]
    distance = np.hypot(rows + part[0].start - y, columns + part[1].start - x)
    size = rng.uniform(0.6, 1.8)
    ring, middle = np.exp(-np.square((distance - 2 * size) / size)), np.exp(-np.square(distance / size))
    view += rng.uniform(10, 28) * (ring - 1.4 * middle)


def fluorescence(cells: Drawn, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Photograph a stack of stained cells, 8 bit: bright bodies, blurred across the slices, and shot noise."""
    brightness = cells.thickness * (0.75 + 0.1 * cells.grain) * (cells.ids > 0) * (1 + 0.4 * cells.rounded)
    light = ndimage.gaussian_filter(brightness, (1.2, 0.8, 0.8)) + 0.12 * ndimage.gaussian_filter(brightness, (3, 4, 4))
    photons = rng.poisson(np.clip(9 + 170 * light, 0, None))
    return np.asarray(np.clip(photons + np.round(1.5 * rng.standard_normal(photons.shape)), 0, 255), np.uint8)


def _lattice(shape: tuple[int, ...], nodes: int, rng: np.random.Generator) -> Field:
    """Smooth noise with about ``nodes`` bumps along an edge."""
    coarse = rng.standard_normal((nodes + 1, nodes + 1))
    axes = [np.linspace(0, nodes, n) for n in shape]
    return np.asarray(ndimage.map_coordinates(coarse, np.meshgrid(*axes, indexing="ij"), order=3, mode="nearest"), np.float32)
