"""Phantom patients: procedural computed tomographies of the upper abdomen with lesions of the liver."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from crgan.cases.labels import LabelScheme
from crgan.cases.phantom.liver_body import paint_body, table
from crgan.cases.phantom.liver_lesions import draw_lesions, paint_lesion
from crgan.cases.phantom.liver_organs import paint_organs
from crgan.cases.phantom.liver_patient import draw_patient, open_slab, outline
from crgan.cases.phantom.sample import Kind, Phantom
from crgan.cases.phantom.shapes import Field, Grid
from crgan.cases.phantom.writing import check_request, write_phantoms
from crgan.progress import Progress

LIVER, LESION = 1, 2  # the label values of LiTS
KIND = Kind(
    name="liver",
    modalities=("CT",),
    labels=LabelScheme(classes={LIVER: "liver", LESION: "lesion"}, regions={"liver": (LIVER, LESION), "lesion": (LESION,)}),
    spatial="volumes",
)
SHAPE = (100, 512, 512)

_FIELD_OF_VIEW_MM = (300.0, 300.0, 380.0)  # along z, y and x: holds every patient's body
_SLAB_VOXELS = 4_000_000  # drawn at a time: large volumes take little more memory than their voxels
_NOISE_HU = (9.0, 15.0)  # at slices of 2.5 mm


def write_livers(
    out: Path,
    *,
    count: int,
    shape: tuple[int, int, int] = SHAPE,
    seed: int = 0,
    layout: str = "patient_folders",
    progress: Progress | None = None,
) -> None:
    """Write phantom patients: CT in Hounsfield units, and labels of liver and lesions.

    Parameters
    ----------
    out
        Folder to write to; new or empty.
    count
        Number of patients, at least 1. Patient k depends on ``seed``, k and ``shape`` alone.
    shape
        Voxels along z, y and x, each at least 32; all shapes hold the same field of view of 300 mm × 300 mm × 380 mm
        or more. At 100 × 512 × 512 a voxel is 3 mm × 0.74 mm × 0.74 mm.
    seed
        Of all random numbers, at least 0.
    layout
        How the files are laid out and named; see :data:`crgan.cases.phantom.layouts.WRITERS`.
    progress
        Who is told how far it is.

    Raises
    ------
    CrganError
        For a count, shape, seed or layout out of range, a folder that holds something, or a disk that cannot be written to.
    """
    check_request(out, count=count, shape=shape, seed=seed)
    livers = (draw_liver(index, shape=shape, seed=seed) for index in range(count))
    write_phantoms(out, livers, count, kind=KIND, layout=layout, progress=progress)


def draw_liver(index: int, *, shape: tuple[int, int, int], seed: int) -> Phantom:
    """Draw patient ``index``: the same one for the same ``(seed, index, shape)``; images are int16 Hounsfield units."""
    rng = np.random.default_rng([seed, index])
    z_mm, y_mm, x_mm = (edge / voxels for edge, voxels in zip(_FIELD_OF_VIEW_MM, shape, strict=True))
    spacing = (z_mm, max(y_mm, x_mm), max(y_mm, x_mm))
    grid = Grid.centred(shape, spacing)
    patient = draw_patient(rng)
    lesions = draw_lesions(patient, grid, rng)
    sigma = float(np.clip(rng.uniform(*_NOISE_HU) * (2.5 / z_mm) ** 0.25, 4, 20))
    images, labels = np.empty((1, *shape), np.int16), np.zeros(shape, np.uint8)
    thickness = max(_SLAB_VOXELS // (shape[1] * shape[2]), 1)
    for start in range(0, shape[0], thickness):
        planes = slice(start, min(start + thickness, shape[0]))
        slab_grid = grid.crop((planes, slice(None), slice(None)))
        hu = np.broadcast_to(table(patient, slab_grid), slab_grid.shape).copy()
        liver_mm = np.full(slab_grid.shape, -1e3, np.float32)
        whole = open_slab(patient, slab_grid, hu)
        body = outline(whole)
        slab = whole.part(body)
        liver_mm[body] = paint_organs(slab, paint_body(slab))
        marked = labels[planes]
        marked[liver_mm > 0] = LIVER
        for lesion in lesions:
            found = paint_lesion(lesion, hu, liver_mm, planes, softness_mm=slab.softness_mm)
            if found is not None:
                marked[found[0]][found[1] > 0] = LESION
        hu += _noise(slab_grid, sigma, rng)
        images[0, planes] = np.clip(np.round(hu), -1024, 3071)
    return Phantom(name=f"liver_{index:03d}", images=images, labels=labels, spacing_mm=spacing)


def _noise(grid: Grid, sigma: float, rng: np.random.Generator) -> Field:
    """Noise of a reconstruction: grained in plane, streaked from side to side where the beam crosses the spine, weak outside the body."""
    noise = rng.standard_normal(grid.shape, dtype=np.float32)
    kernel = np.array([0.25, 0.5, 0.25], np.float32)
    streaks = ndimage.uniform_filter1d(noise, max(int(30 / grid.spacing_mm[2]), 1), axis=2)
    for axis in (1, 2):
        noise = ndimage.convolve1d(noise, kernel, axis=axis)
    noise /= np.float32(0.375)  # what the kernel leaves of the standard deviation, along two axes
    y, x = grid.axes[1][None, :, None], grid.axes[2][None, None, :]
    middle = np.exp(-np.square(x / 200) - np.square(y / 140), dtype=np.float32)
    spine = 2.5 * np.exp(-np.square(x / 150) - np.square((y + 55) / 45), dtype=np.float32)
    mixed: NDArray[np.float32] = np.float32(sigma) * ((0.35 + 0.75 * middle) * noise + spine * streaks)
    return mixed
