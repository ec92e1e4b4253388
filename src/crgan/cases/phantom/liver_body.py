"""The frame of the phantom abdomen: skin, fat, muscles, bones, lungs above the diaphragm, fat and bowel below it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crgan.cases.phantom.liver_patient import AIR, BLOOD, FAT, HALF_DEPTH_MM, HALF_WIDTH_MM, MUSCLE, Patient, Slab
from crgan.cases.phantom.shapes import Box, Field, Grid, ellipsoid_depth, step, tube_mm

_VERTEBRA_MM = 34.0  # from one to the next
_RIB_MM = 27.0


@dataclass(frozen=True, slots=True)
class Frame:
    """Where organs can be, float32 ``(Z, Y, X)``.

    Parameters
    ----------
    cavity_mm
        Depth inside the cavity of chest and belly, negative in its walls and in the spine.
    below_mm
        Depth below the diaphragm, negative in the chest.
    grain
        A field of mean 0 and variance 1 that mottles tissue.
    twigs_mm
        Distance to the nearest small vessel.
    """

    cavity_mm: Field
    below_mm: Field
    grain: Field
    twigs_mm: Field

    def part(self, box: Box) -> Frame:
        """Look at a part only."""
        return Frame(self.cavity_mm[box], self.below_mm[box], self.grain[box], self.twigs_mm[box])


def table(patient: Patient, grid: Grid) -> Field:
    """Hounsfield units of an empty scanner, ``(1, Y, X)``: air, and the table under the patient's back."""
    y, x = grid.axes[1][:, None], grid.axes[2][None, :]
    top = -HALF_DEPTH_MM * patient.scale[1] - 10 + 36 * (1 - np.cos(np.clip(x / 185, -1, 1) * np.pi)) / 2
    shell = np.maximum(1.6 - np.abs(y - top), 1.6 - np.abs(y - top + 24 - 0.0006 * x**2))
    return np.asarray(AIR + 900 * step(np.asarray(shell, np.float32), max(0.4, 0.4 * grid.spacing_mm[1])), np.float32)[None]


def paint_body(slab: Slab) -> Frame:
    """Paint all of the body that is no organ of the belly."""
    grain = slab.patient.grain.on(slab.grid)
    skin = _skin_mm(slab)
    flank = np.square(slab.x / np.float32(HALF_WIDTH_MM))
    muscle = skin - slab.patient.fat_mm * (0.75 + 0.6 * flank + 0.1 * grain)
    slab.paint(skin, 5)
    slab.paint(skin - 1.8, FAT + 5 * grain)
    slab.paint(muscle, MUSCLE + 4 * grain)
    slab.paint(0.4 + 0.5 * grain - np.abs(muscle - 6.5 - grain), -50)  # the fat between the layers of muscle

    back = ellipsoid_depth((slab.x, slab.y, np.zeros_like(slab.x)), (0, -HALF_DEPTH_MM + 20, 0), (64, 33, 1e3))
    spine = ellipsoid_depth((slab.x, slab.y, np.zeros_like(slab.x)), (0, -57, 0), (27, 23, 1e3))
    cavity = np.minimum(muscle - 12.5, -np.maximum(back, spine))
    below = _below_diaphragm_mm(slab)
    one, other = (field.on(slab.grid) for field in slab.patient.twigs)
    frame = Frame(cavity, below, grain, np.asarray(np.hypot(one, other) / 0.14, np.float32))

    slab.paint(cavity, FAT - 6 + 7 * grain)
    _paint_bowel(slab, frame)
    _paint_chest(slab, frame)
    _paint_spine(slab)
    _paint_ribs(slab, cavity)
    _paint_pelvis(slab)
    return frame


def _skin_mm(slab: Slab) -> Field:
    """Depth below the skin: a rounded box with a furrow along the spine; a level set over its slope, so nearly exact."""
    x = np.abs(slab.x)
    y = slab.y - 8 * np.exp(-np.square(slab.x / 24)) * np.clip(-slab.y / 100, 0, 1)
    u, v = x / np.float32(HALF_WIDTH_MM), np.abs(y) / np.float32(HALF_DEPTH_MM)
    steep_u, steep_v = u * np.sqrt(u), v * np.sqrt(v)
    radius = (u * steep_u + v * steep_v) ** 0.4 + np.float32(1e-3)
    slope = np.hypot(steep_u / HALF_WIDTH_MM, steep_v / HALF_DEPTH_MM) / (radius * np.sqrt(radius))
    return np.asarray(np.clip((1 - radius) / slope, -40, HALF_DEPTH_MM), np.float32)


def _below_diaphragm_mm(slab: Slab) -> Field:
    """Depth below the two domes of the diaphragm, which fall off steeply to the sides and to the back."""
    domes = []
    for centre, top in ((72.0, 88.0), (-78.0, 78.0)):
        x = (slab.x - np.float32(centre)) * np.float32(np.sign(centre))
        y = slab.y - 12
        sides = np.where(x > 0, 0.0125, 0.0016) * np.square(x)
        ends = np.where(y > 0, 0.0045, 0.0095) * np.square(y)
        domes.append(top - sides - ends)
    height = np.maximum(domes[0], domes[1]) + slab.patient.breath_mm
    return np.asarray((height - slab.z) * 0.75, np.float32)


def _paint_bowel(slab: Slab, frame: Frame) -> None:
    """Loops with a wall that takes up contrast agent, a mottled content, and gas that rises to the front."""
    box = slab.box((-150, -60, -1e3), (150, 110, 55))
    slab, frame = slab.part(box), frame.part(box)
    if not slab.hu.size:
        return
    room = np.minimum(np.minimum(frame.cavity_mm - 4, frame.below_mm - 8), np.minimum(slab.y + 38 + 0.25 * np.abs(slab.x), 45 - slab.z))
    loops = np.minimum(10 * slab.patient.bowel.on(slab.grid), room)
    content = slab.patient.content.on(slab.grid)
    vessels = np.minimum(1.4 - frame.twigs_mm, room)
    slab.paint(vessels, BLOOD - 10)
    slab.paint(loops + 1.5, 78 + 6 * content)
    slab.paint(loops - 1.5, 32 + 22 * content)
    rising = 7 * (content - 1.1 + slab.patient.gas) + 0.11 * (slab.y - 30)
    slab.paint(np.minimum(loops - 3, rising), -860)


def _paint_chest(slab: Slab, frame: Frame) -> None:
    """Lungs with their vessels, the middle of the chest, and the heart on the diaphragm."""
    box = slab.box((-1e3, -1e3, -20), (1e3, 1e3, 1e3))
    slab, frame = slab.part(box), frame.part(box)
    if not slab.hu.size:
        return
    above = -frame.below_mm
    room = np.minimum(frame.cavity_mm - 1, above - 1.5)
    slab.paint(np.minimum(frame.cavity_mm, above), MUSCLE)
    slab.paint(room, -865 - 0.35 * slab.y + 12 * frame.grain)
    slab.paint(np.minimum(room, 2.2 - frame.twigs_mm), 20)
    middle = ellipsoid_depth((slab.x, slab.y, np.zeros_like(slab.x)), (-3, -20, 0), (30, 80, 1e3))
    long = np.asarray(0.87 * (slab.x + 30) - 0.5 * (slab.y - 34), np.float32)
    wide = np.asarray(0.5 * (slab.x + 30) + 0.87 * (slab.y - 34), np.float32)
    heart = ellipsoid_depth((long, wide, np.asarray(slab.z - 0.35 * long, np.float32)), (0, 0, 126), (70, 46, 52))
    sides = np.minimum(np.maximum(middle, heart + 6), room + 1)
    slab.paint(sides, FAT + 15 + 10 * frame.grain)
    slab.paint(np.minimum(heart, room), 112 + 5 * frame.grain)
    septum = np.abs(wide - 4) - 4.5
    slab.paint(np.minimum(np.minimum(heart - 9, septum), room), BLOOD + 5 * frame.grain)
    oesophagus = 8 - np.hypot(slab.x + 10, slab.y + 26)
    slab.paint(np.minimum(oesophagus, room + 1), 48)


def _paint_spine(slab: Slab) -> None:
    """Vertebrae with their arches and processes, discs, and the canal; the muscles beside them."""
    box = slab.box((-60, -125, -1e3), (60, -20, 1e3))
    slab = slab.part(box)
    x, y, right = slab.x, slab.y, np.abs(slab.x)
    flat = np.zeros_like(x)
    beside = np.minimum(1.5 - np.abs(right - 8 - 0.02 * np.square(y + 100)), 12 - np.abs(y + 88))
    slab.paint(beside, -60)  # fat beside the processes
    psoas = tube_mm(right, y, slab.z, (28, -56, 10, 5), (50, -44, -150, 25), 1.0)
    slab.paint(-psoas, MUSCLE + 4)
    phase = slab.z / np.float32(_VERTEBRA_MM)
    along = np.abs(phase - np.round(phase)) * np.float32(_VERTEBRA_MM)  # from the middle of a vertebra
    body = ellipsoid_depth((x, y, flat), (0, -58, 0), (22, 17, 1e3))
    slab.paint(body, 85)
    bone = np.minimum(body, 13 - along)
    slab.paint(bone, 420)
    trabeculae = 185 + 28 * slab.patient.content.on(slab.grid)
    slab.paint(bone - 2.2, trabeculae)
    arch = np.minimum(4 - np.abs(np.hypot(x, y + 84) - 13), 9 - along)
    spinous = np.minimum(np.minimum(3.2 - right, 9 - np.abs(y + 94)), 10 - along)
    transverse = np.minimum(np.minimum(3.5 - np.abs(y + 78 + 0.15 * right), 42 - right), np.minimum(5 - 0.06 * right - along, right - 10))
    arches = np.maximum(np.maximum(arch, spinous), transverse)
    slab.paint(arches, 430)
    slab.paint(arches - 1.6, 240)
    slab.paint(9.5 - np.hypot(x, y + 84), 28)


def _paint_ribs(slab: Slab, cavity_mm: Field) -> None:
    """Ribs slope down to the front, where cartilage takes their place, and end at the costal margin; the breast bone."""
    box = slab.box((-1e3, -1e3, -70), (1e3, 1e3, 1e3))
    slab, cavity_mm = slab.part(box), cavity_mm[box]
    if not slab.hu.size:
        return
    phase = (slab.z + 0.95 * slab.y) / np.float32(_RIB_MM)
    along = np.abs(phase - np.round(phase)) * np.float32(_RIB_MM) * 0.72
    margin = 0.85 * (slab.z + 62 - 0.85 * np.clip(slab.y + 30, 0, None))
    rib = np.minimum(np.minimum(3.4 - np.abs(cavity_mm + 5), 5.5 - along), margin)
    rib = np.minimum(rib, np.abs(slab.x) - 30)
    rib = np.minimum(rib, slab.y + HALF_DEPTH_MM - 22)  # not in the muscles of the back
    slab.paint(rib, np.where(slab.y < 62, 620, 130))
    slab.paint(rib - 1.5, np.where(slab.y < 62, 210, 95))
    sternum = np.minimum(np.minimum(5 - np.abs(cavity_mm + 6), 17 - np.abs(slab.x)), np.minimum(slab.z - 78, slab.y))
    slab.paint(sternum, 330)
    slab.paint(sternum - 1.8, 150)


def _paint_pelvis(slab: Slab) -> None:
    """The crests of the iliac bones."""
    box = slab.box((-150, -110, -1e3), (150, 40, -95))
    slab = slab.part(box)
    if not slab.hu.size:
        return
    x = np.abs(slab.x)
    arc = np.hypot(x - 52, slab.y - 12) - 74
    crest = 0.8 * (-106 - 0.008 * np.square(slab.y + 30) - slab.z)
    wing = np.minimum(np.minimum(3.4 - np.abs(arc), crest), np.minimum(x - 56, 24 - slab.y))
    slab.paint(wing, 560)
    slab.paint(wing - 1.6, 230)
