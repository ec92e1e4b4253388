"""Phantom patients: procedural brains in four modalities with lesions of very different sizes, for trials without real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crgan.cases.labels import LabelScheme
from crgan.cases.phantom.brain_lesions import ENHANCING, NECROSIS, OEDEMA, LesionMaps, draw_lesions, draw_main_lesion, draw_other_lesions
from crgan.cases.phantom.brain_tissue import Anatomy, draw_anatomy
from crgan.cases.phantom.sample import Kind, Phantom
from crgan.cases.phantom.shapes import Box, Field, Grid, smooth_noise
from crgan.cases.phantom.writing import check_request, write_phantoms
from crgan.progress import Progress

MODALITIES = ("t1", "t1ce", "t2", "flair")
LABELS = LabelScheme(
    classes={NECROSIS: "core", OEDEMA: "oedema", ENHANCING: "enhancing"},
    regions={"WT": (NECROSIS, OEDEMA, ENHANCING), "TC": (NECROSIS, ENHANCING), "ET": (ENHANCING,)},
)
KIND = Kind(name="brain", modalities=MODALITIES, labels=LABELS, spatial="volumes")

_HEAD_MM = (155.0, 200.0, 160.0)  # the box along z, y, x that holds every brain with a margin
# Mean intensity of fluid, grey matter, white matter and blood, white matter in t1 being 1; then of oedema, core and enhancing tissue.
_CONTRAST: dict[str, tuple[tuple[float, float, float, float], tuple[float, float, float]]] = {
    "t1": ((0.30, 0.70, 1.00, 0.75), (0.76, 0.55, 0.68)),
    "t1ce": ((0.30, 0.72, 1.00, 1.55), (0.76, 0.52, 1.60)),
    "t2": ((1.25, 0.66, 0.46, 0.35), (0.98, 1.12, 0.80)),
    "flair": ((0.20, 0.78, 0.62, 0.45), (1.08, 0.66, 0.90)),
}
_NOISE = (0.018, 0.045)  # standard deviation of the scanner's noise, as a share of white matter in t1


def write_brains(
    out: Path,
    *,
    count: int,
    shape: tuple[int, int, int] = (155, 240, 240),
    seed: int = 0,
    layout: str = "patient_folders",
    progress: Progress | None = None,
) -> None:
    """Write phantom patients; by default one folder each: ``OUT/brain_000/brain_000_t1.nii.gz`` and so on.

    Parameters
    ----------
    out
        Folder to write to; new or empty.
    count
        Number of patients, at least 1. Patient k depends on ``seed``, k and ``shape`` alone.
    shape
        Voxels along z, y and x, each at least 32. At 155 × 240 × 240 a voxel is 1 mm; other shapes hold the same head.
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
    brains = (draw_brain(index, shape=shape, seed=seed) for index in range(count))
    write_phantoms(out, brains, count, kind=KIND, layout=layout, progress=progress)


def draw_brain(index: int, *, shape: tuple[int, int, int], seed: int) -> Phantom:
    """Draw patient ``index``: the same one for the same ``(seed, index, shape)``.

    Its images are int16 in the order of :data:`MODALITIES`, 0 exactly outside the head and above 0 inside; its labels uint8.
    """
    rng = np.random.default_rng([seed, index])
    spacing = _spacing_mm(shape)
    whole = Grid.centred(shape, spacing)
    box = _head_box(whole)
    grid = whole.crop(box)

    main = draw_main_lesion(rng)
    anatomy = draw_anatomy(grid, rng, mass_centre=main.centre, mass_mm=main.radius_mm)
    others = draw_other_lesions(anatomy, grid, rng, main=main)
    lesions = draw_lesions((main, *others), anatomy, grid, voxels=int(np.prod(shape)))
    images = np.zeros((len(MODALITIES), *shape), np.int16)
    for channel, modality in enumerate(MODALITIES):
        images[channel][box] = _scan(modality, anatomy, lesions, grid, rng)
    labels = np.zeros(shape, np.uint8)
    labels[box] = lesions.labels
    return Phantom(name=f"brain_{index:03d}", images=images, labels=labels, spacing_mm=spacing)


def _scan(modality: str, anatomy: Anatomy, lesions: LesionMaps, grid: Grid, rng: np.random.Generator) -> NDArray[np.int16]:
    """Scan a brain: tissue contrast, lesions, bias field, Rician noise, an arbitrary scale."""
    (fluid, grey, white, blood), parts = _CONTRAST[modality]
    healthy = fluid * anatomy.tissue[0] + grey * anatomy.tissue[1] + white * anatomy.tissue[2]
    healthy *= 1 + np.float32(0.04) * smooth_noise(grid, 18, rng)
    healthy += (blood - healthy) * anatomy.vessels
    if modality in {"t2", "flair"}:
        healthy += _bright_rims(anatomy, grid, rng) * np.float32(0.5 if modality == "flair" else 0.2)
    if modality == "flair":
        healthy += _flowing_fluid(anatomy, grid, rng)
    signal = healthy
    mottle = 1 + np.float32(0.13) * smooth_noise(grid, 9, rng)
    for strength, level in zip(lesions.strength, parts, strict=True):
        signal = signal + (np.float32(level) * mottle - signal) * strength
    bias = np.exp(np.float32(0.14) * smooth_noise(grid, 130, rng))
    sigma = np.float32(rng.uniform(*_NOISE))
    scale = np.float32(rng.uniform(350, 900))
    real = signal * bias + sigma * rng.standard_normal(grid.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(grid.shape, dtype=np.float32)
    image = np.clip(np.round(scale * np.hypot(real, imaginary)), 1, np.iinfo(np.int16).max)
    return np.where(anatomy.head, image, 0).astype(np.int16)


def _bright_rims(anatomy: Anatomy, grid: Grid, rng: np.random.Generator) -> Field:
    """Draw the bright rims and caps that healthy ventricles have in t2 and flair: no lesions, though they look like some."""
    patchy = np.clip(0.4 + 0.9 * smooth_noise(grid, 36, rng), 0, 1)
    return np.asarray(np.exp(-np.clip(anatomy.ventricle_mm, 0, None) / 2.5) * patchy * anatomy.tissue[2], np.float32)


def _flowing_fluid(anatomy: Anatomy, grid: Grid, rng: np.random.Generator) -> Field:
    """Draw fluid that moves too fast for flair to darken it: bright patches in sulci and ventricles, and again no lesions."""
    return np.asarray(0.65 * np.clip(smooth_noise(grid, 22, rng) - 1.1, 0, 1) * anatomy.tissue[0], np.float32)


def _spacing_mm(shape: tuple[int, int, int]) -> tuple[float, float, float]:
    """Voxel size along z, y, x with which the head fills ``shape``: cubes, or thick slices where the shape asks for them."""
    z, y, x = (edge / voxels for edge, voxels in zip(_HEAD_MM, shape, strict=True))
    if max(z, y, x) <= 2 * min(z, y, x):
        return (max(z, y, x),) * 3
    return z, max(y, x), max(y, x)


def _head_box(grid: Grid) -> Box:
    """Where the head is, never at the grid's border: nothing need be drawn elsewhere, at full size in half of the grid."""
    ends = []
    for axis, edge in zip(grid.axes, _HEAD_MM, strict=True):
        inside = np.flatnonzero(np.abs(axis) < edge / 2)
        ends.append(slice(max(int(inside[0]), 1), min(int(inside[-1]) + 1, axis.size - 1)))
    return ends[0], ends[1], ends[2]
