"""The organs of the phantom abdomen: kidneys, spleen, stomach, pancreas, great vessels, gallbladder, and the liver itself."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from crgan.cases.phantom.liver_body import Frame
from crgan.cases.phantom.liver_patient import BLOOD, FAT, MUSCLE, Slab
from crgan.cases.phantom.shapes import Field, Point, ellipsoid_depth, tube_mm

Tube = tuple[tuple[float, float, float, float], ...]  # (x, y, z, radius) from one end to the other

_AORTA: Tube = ((-9, -30, 160, 10.5), (-11, -30, 20, 10.0), (-8, -27, -90, 9.0), (-6, -26, -120, 8.5))
_ILIAC: tuple[Tube, ...] = (((-6, -26, -118, 6.5), (-32, -28, -160, 6.0)), ((-4, -26, -118, 6.5), (26, -28, -160, 6.0)))
_CAVA: Tube = ((20, -22, 96, 12.0), (22, -27, 40, 11.5), (18, -30, -20, 10.5), (14, -32, -160, 10.0))
_SPLENIC: Tube = ((12, 0, -20, 5.0), (-36, -12, 14, 4.2), (-92, -42, 34, 3.5))
_MESENTERIC: tuple[Tube, ...] = (
    ((12, 0, -20, 6.5), (8, 16, -70, 5.5), (4, 22, -150, 4.5)),
    ((-10, -22, -6, 3.8), (-6, 12, -60, 3.8), (-6, 18, -140, 3.0)),
)
_RENAL: tuple[Tube, ...] = (((20, -30, -34, 4.5), (52, -46, -38, 4.0)), ((-8, -22, -30, 4.2), (-50, -46, -34, 4.0)))
_PANCREAS: Tube = ((40, 6, -38, 15.0), (24, 14, -20, 12.0), (-8, 14, 0, 9.0), (-46, -8, 18, 10.0), (-82, -34, 32, 8.0))
_PORTAL: tuple[Tube, ...] = (
    ((12, 0, -20, 7.0), (28, 6, 10, 6.5), (62, 2, 20, 5.0), (100, -18, 22, 3.0), (126, -32, 16, 1.8)),
    ((28, 6, 10, 5.0), (4, 34, 32, 3.8), (-26, 46, 40, 2.2)),
    ((62, 2, 20, 3.6), (86, 36, 4, 2.6), (106, 52, -16, 1.6)),
    ((100, -18, 22, 2.4), (110, -36, -18, 2.0), (114, -42, -44, 1.4)),
    ((62, 2, 20, 3.2), (82, 30, 46, 2.2), (92, 44, 58, 1.4)),
)
_HEPATIC: tuple[Tube, ...] = (
    ((22, -24, 78, 6.0), (64, -30, 64, 4.4), (116, -30, 46, 2.0)),
    ((20, -22, 78, 6.0), (50, 20, 60, 4.0), (76, 58, 36, 1.8)),
    ((18, -20, 78, 5.5), (2, 20, 62, 3.5), (-30, 46, 50, 1.6)),
)


def paint_organs(slab: Slab, frame: Frame) -> Field:
    """Paint the organs; gives the depth below the surface of the liver in mm, negative outside, ``(Z, Y, X)``.

    Vessels in the liver belong to it; the vena cava and the gallbladder do not.
    """
    _paint_tubes(slab, (_PANCREAS,), 92 + 10 * frame.grain)
    _paint_kidneys(slab, frame)
    _paint_stomach(slab, frame)
    _paint_spleen(slab, frame)
    _paint_tubes(slab, (_AORTA, *_ILIAC, _SPLENIC, *_MESENTERIC, *_RENAL), np.full_like(slab.hu, BLOOD))
    liver = np.full(slab.hu.shape, -1e3, np.float32)
    box = slab.box((-100, -105, -110), (160, 105, 110))
    part = slab.part(box)
    if part.hu.size:
        liver[box] = _paint_liver(part, frame.part(box))
    _paint_tubes(slab, (_CAVA,), np.full_like(slab.hu, BLOOD - 18))
    return liver


def _kidney_mm(slab: Slab, side: float) -> Field:
    """Depth below the surface of a kidney; its upper pole leans to the spine."""
    x = np.float32(side) * slab.x + 0.16 * (slab.z + 38)
    return ellipsoid_depth((x, slab.y - 0.12 * (slab.z + 38), slab.z), (66, -52, -42 if side > 0 else -32), (28, 27, 55))


def _stomach_mm(slab: Slab) -> Field:
    """Depth below the surface of the stomach: from the fundus at the back down to the front."""
    fundus = ellipsoid_depth(slab.position, (-66, -8, 52), (40, 44, 34))
    belly = ellipsoid_depth((slab.x, slab.y, slab.z - 0.5 * (slab.x + 40)), (-40, 44, 8), (50, 30, 26))
    return np.maximum(fundus, belly)


def _paint_kidneys(slab: Slab, frame: Frame) -> None:
    for side in (1.0, -1.0):
        low, high = ((26, -90, -105), (105, -15, 30)) if side > 0 else ((-105, -90, -105), (-26, -15, 30))
        box = slab.box(low, high)
        part = slab.part(box)
        if not part.hu.size:
            continue
        grain = frame.grain[box]
        kidney = _kidney_mm(part, side)
        part.paint(kidney, 192 + 6 * grain)
        x = np.float32(side) * part.x
        angle = np.arctan2(part.y + 52, x - 60)
        pyramids = 7.5 + 3 * np.cos(5 * angle + 0.12 * part.z)
        part.paint(kidney - pyramids, 150 + 6 * grain)
        sinus = ellipsoid_depth((x, part.y, part.z), (52, -46, -42 if side > 0 else -32), (17, 9, 27))
        part.paint(sinus + 2 * grain, FAT + 40 + 30 * grain)


def _paint_stomach(slab: Slab, frame: Frame) -> None:
    """A wall, and what was drunk, with a level above which there is gas: the patient lies on the back."""
    box = slab.box((-120, -60, -60), (20, 85, 95))
    part = slab.part(box)
    if not part.hu.size:
        return
    frame = frame.part(box)
    stomach = np.minimum(_stomach_mm(part), np.minimum(frame.cavity_mm - 3, frame.below_mm - 4))
    part.paint(stomach, 82 + 6 * frame.grain)
    part.paint(stomach - 4 - frame.grain, 18 + 14 * part.patient.content.on(part.grid))
    part.paint(np.minimum(stomach - 4.5, part.y - np.float32(46 - 12 * part.patient.gas)), -960)


def _paint_spleen(slab: Slab, frame: Frame) -> None:
    box = slab.box((-150, -95, -30), (-65, 25, 100))
    part = slab.part(box)
    if not part.hu.size:
        return
    frame = frame.part(box)
    spleen = ellipsoid_depth(part.position, (-112, -36, 34), (38, 50, 54))
    hollow = ellipsoid_depth(part.position, (-72, -12, 36), (38, 46, 62))
    spleen = np.minimum(np.minimum(spleen, -hollow), np.minimum(frame.cavity_mm - 2.5, frame.below_mm - 3))
    part.paint(np.minimum(spleen, -_kidney_mm(part, -1.0) - 2), part.patient.spleen_hu + 3 * frame.grain)


def _paint_liver(slab: Slab, frame: Frame) -> Field:
    patient = slab.patient
    size = patient.liver_size
    right = ellipsoid_depth(slab.position, (72, -2, 14), (86 * size, 94, 98 * size))
    left = ellipsoid_depth(slab.position, (0, 50, 42), (86 * size, 40, 40 * size))
    hollow = ellipsoid_depth(slab.position, (0, -6, -54), (60, 84, 66))
    ligament = 2.0 - np.abs(slab.x - 10 - 0.12 * (slab.y - 60))  # the fat in the fissure between the lobes
    fissure = np.minimum(ligament, np.minimum(slab.y - 22, 44 - slab.z))
    gallbladder = ellipsoid_depth((slab.x - 0.25 * (slab.y - 46), slab.y, slab.z), (56, 46, -20), (13, 18, 30))
    cava = _distance(slab, _CAVA)
    liver = np.minimum(np.maximum(right, left), np.minimum(frame.cavity_mm - 2.5, frame.below_mm - 2.5))
    for other in (hollow, fissure, gallbladder + 1, _kidney_mm(slab, 1.0) + 3, _stomach_mm(slab) + 2, 1 - cava):
        liver = np.minimum(liver, -other)

    slab.paint(liver + 1, MUSCLE + 20)  # the capsule, and what it touches
    slab.paint(liver, patient.liver_hu + 2.5 * frame.grain)
    slab.paint(np.minimum(1.1 - frame.twigs_mm, liver - 5), patient.liver_hu + 38)
    portal = np.minimum(-np.minimum.reduce([_distance(slab, tube) for tube in _PORTAL]), frame.cavity_mm)
    hepatic = np.minimum(-np.minimum.reduce([_distance(slab, tube) for tube in _HEPATIC]), liver + 2)
    slab.paint(portal, patient.liver_hu + 52)
    slab.paint(hepatic, patient.liver_hu + 42)
    slab.paint(np.minimum(gallbladder, frame.cavity_mm - 3), 10)
    return np.asarray(liver, np.float32)


def _distance(slab: Slab, tube: Tube) -> Field:
    """Distance to a bent tube, negative inside."""
    return np.asarray(np.minimum.reduce([tube_mm(*slab.position, start, end, 1.0) for start, end in pairwise(tube)]), np.float32)


def _paint_tubes(slab: Slab, tubes: Iterable[Tube], hu: Field) -> None:
    """Paint tubes piece by piece, each only where it can be."""
    for tube in tubes:
        for start, end in pairwise(tube):
            low, high = _corners(start, end)
            box = slab.box(low, high)
            part = slab.part(box)
            if part.hu.size:
                part.paint(-tube_mm(*part.position, start, end, 1.0), hu[box])


def _corners(start: tuple[float, ...], end: tuple[float, ...]) -> tuple[Point, Point]:
    low = [min(a, b) - max(start[3], end[3]) for a, b in zip(start[:3], end[:3], strict=True)]
    high = [max(a, b) + max(start[3], end[3]) for a, b in zip(start[:3], end[:3], strict=True)]
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])
