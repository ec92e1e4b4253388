"""The patient of the phantom liver, and a slab of the scan that organs are painted on.

Positions are those of a body of standard size whose origin is its middle at the first lumbar vertebra (x to the right, y to
the front, z up, mm); smooth noise and a scale turn it into one patient. Every shape is a formula of the position, so a
patient can be drawn on any grid, slab by slab.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.cases.phantom.shapes import Box, Field, Grid, Noise, Point, step

AIR, FAT, MUSCLE, BLOOD = -1000.0, -100.0, 58.0, 158.0  # Hounsfield units, portal-venous phase
HALF_WIDTH_MM, HALF_DEPTH_MM = 163.0, 115.0  # of the body
_BEND_MM = 5.0
_HALF_NOISE_MM = 215.0


@dataclass(frozen=True, slots=True)
class Patient:
    """What differs between people.

    Parameters
    ----------
    scale
        Size along x, y and z; 1 is standard.
    fat_mm
        Thickness of the fat below the skin.
    liver_hu, spleen_hu
        Of the healthy organ with contrast agent.
    liver_size
        Scale of the liver, around 1.
    breath_mm
        How far the diaphragm has moved up.
    gas
        How much of it is in the bowel, around 0.
    bend
        Fields that bend all organs along x, y and z.
    bowel, content, twigs, grain
        Fields that shape the bowel, what is in it, small vessels (two) and the grain of tissue.
    """

    scale: Point
    fat_mm: float
    liver_hu: float
    spleen_hu: float
    liver_size: float
    breath_mm: float
    gas: float
    bend: tuple[Noise, Noise, Noise]
    bowel: Noise
    content: Noise
    twigs: tuple[Noise, Noise]
    grain: Noise


@dataclass(frozen=True, slots=True)
class Slab:
    """Part of a scan; the arrays are float32 ``(Z, Y, X)``, and painting changes ``hu`` in place.

    Parameters
    ----------
    patient
        Whose it is.
    grid
        Where it is.
    x, y, z
        Where each voxel lies in the straight body of standard size.
    hu
        Hounsfield units.
    softness_mm
        Of all surfaces: half a voxel or so.
    """

    patient: Patient
    grid: Grid
    x: Field
    y: Field
    z: Field
    hu: Field
    softness_mm: float

    @property
    def position(self) -> tuple[Field, Field, Field]:
        """``(x, y, z)``, as the shapes want it."""
        return self.x, self.y, self.z

    def box(self, low: Point, high: Point) -> Box:
        """Voxels where something between two corners of the standard body may lie in this patient."""
        margin, scale = 4 * np.float32(_BEND_MM), self.patient.scale
        start = [float((end - margin) * s) for end, s in zip(low, scale, strict=True)]
        stop = [float((end + margin) * s) for end, s in zip(high, scale, strict=True)]
        return self.grid.box((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))

    def part(self, box: Box) -> Slab:
        """Look at a part only; painting there paints here."""
        return replace(self, grid=self.grid.crop(box), x=self.x[box], y=self.y[box], z=self.z[box], hu=self.hu[box])

    def paint(self, depth_mm: NDArray[np.floating[Any]], hu: NDArray[np.floating[Any]] | float) -> None:
        """Lay tissue over what is there, where ``depth_mm`` is above 0."""
        self.hu[...] += (hu - self.hu) * step(np.asarray(depth_mm, np.float32), self.softness_mm)


def draw_patient(rng: np.random.Generator) -> Patient:
    """Draw what differs between people."""

    def noise(wavelength_mm: float) -> Noise:
        return Noise.draw(wavelength_mm, rng, half_mm=_HALF_NOISE_MM)

    size = rng.uniform(0.93, 1.03)
    return Patient(
        scale=(float(size * rng.uniform(0.98, 1.02)), float(size * rng.uniform(0.94, 1.08)), float(size)),
        fat_mm=float(rng.uniform(6, 17)),
        liver_hu=float(rng.uniform(96, 128)),
        spleen_hu=float(rng.uniform(112, 138)),
        liver_size=float(rng.uniform(0.94, 1.07)),
        breath_mm=float(rng.uniform(-10, 10)),
        gas=float(rng.uniform(-0.5, 0.5)),
        bend=(noise(110), noise(110), noise(110)),
        bowel=noise(46),
        content=noise(10),
        twigs=(noise(30), noise(30)),
        grain=noise(20),
    )


def open_slab(patient: Patient, grid: Grid, hu: Field) -> Slab:
    """Begin a slab: find out where its voxels lie in the standard body."""
    x, y, z = (
        (straight / np.float32(scale)) + np.float32(_BEND_MM) * bend.on(grid)
        for straight, scale, bend in zip(grid.position, patient.scale, patient.bend, strict=True)
    )
    return Slab(patient, grid, x, y, z, hu, softness_mm=max(0.45, 0.4 * float(np.mean(grid.spacing_mm))))


def outline(slab: Slab) -> Box:
    """Voxels that the body may fill; outside of them there is but air and the table."""
    return slab.box((-HALF_WIDTH_MM, -HALF_DEPTH_MM, -1e3), (HALF_WIDTH_MM, HALF_DEPTH_MM, 1e3))
