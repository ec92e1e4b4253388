"""Slices of a DICOM series as a regular stack: their order, the grid they make up, and all that keeps them from being one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crgan.cases.formats.dicom_headers import Header
from crgan.cases.volume import Geometry
from crgan.errors import CrganError, Problem

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SAME_PLACE_MM = 1e-3
_UNEVEN = 0.1  # of the distance of slices; positions are rounded by the programs that write them, often to 0.1 mm
_ROUNDING_MM = 0.1
_STRAIGHT_DEGREES = 0.5


def sort_slices(folder: Path, headers: Sequence[Header]) -> tuple[Header, ...]:
    """Sort slices along the normal of their plane.

    Parameters
    ----------
    folder
        Where they lie, for messages.
    headers
        The files of one series in any order, at least one.

    Raises
    ------
    CrganError
        If slices differ in size or direction, have no position, lie at the same place, unevenly or with a gap, or are
        shifted against each other (gantry tilt).
    """
    problems = _differences(folder, headers)
    if problems:
        raise CrganError(problems)
    if len(headers) == 1:
        return tuple(headers)
    heights = _heights(headers)
    order = np.argsort(heights, kind="stable")
    ordered = tuple(headers[number] for number in order)
    problem = _spacing_problem(folder, ordered, heights[order]) or _tilt_problem(folder, ordered)
    if problem is not None:
        raise CrganError(problem)
    return ordered


def stack_geometry(headers: Sequence[Header]) -> Geometry:
    """The grid of sorted slices ``(columns, rows, slices)``: columns, rows and slices are the axes I, J and K.

    The step from slice to slice is that from the first to the last one, divided by their number. A single slice is as
    thick as its pixels are wide.
    """
    first, last = headers[0], headers[-1]
    assert first.directions is not None  # noqa: S101 - sort_slices or the caller has looked
    assert first.position_mm is not None  # noqa: S101
    assert last.position_mm is not None  # noqa: S101
    normal = np.cross(*first.directions)
    step = (last.position_mm - first.position_mm) / (len(headers) - 1) if len(headers) > 1 else normal * first.spacing_mm[0]
    affine = np.eye(4)
    affine[:3, 0], affine[:3, 1] = first.directions * np.array(first.spacing_mm)[:, None]
    affine[:3, 2], affine[:3, 3] = step, first.position_mm
    columns, rows, _ = first.shape
    return Geometry((columns, rows, len(headers)), _LPS_TO_RAS @ affine)


def _differences(folder: Path, headers: Sequence[Header]) -> list[Problem]:
    """What keeps the files from being parallel slices of one size."""
    problems = []
    if any(header.shape[2] > 1 for header in headers):
        return [
            Problem(
                what="The DICOM file holds several frames without positions.",
                where=next(header.path for header in headers if header.shape[2] > 1),
                expected="one slice a file, or an enhanced multi-frame file",
                got=f"{max(header.shape[2] for header in headers)} frames",
                fix="films are not volumes; export single frames",
            )
        ]
    if len(headers) == 1:
        return []
    without = [header.path for header in headers if header.position_mm is None or header.directions is None]
    if without:
        return [
            Problem(
                what="The slices of the DICOM series have no position in space.",
                where=folder,
                expected="ImagePositionPatient and ImageOrientationPatient in every file",
                got=f"{len(without)} of {len(headers)} files without, for example {without[0].name}",
                fix="export the series again from its source; single pictures belong in series of their own",
            )
        ]
    sizes = Counter((*header.shape[:2], header.channels) for header in headers)
    if len(sizes) > 1:
        problems.append(_odd_one(folder, headers, [(*h.shape[:2], h.channels) == sizes.most_common(1)[0][0] for h in headers], "size"))
    if not problems:
        spacing = np.array([header.spacing_mm for header in headers])
        same = np.abs(spacing - np.median(spacing, axis=0)).max(axis=1) <= 1e-3
        problems += [] if same.all() else [_odd_one(folder, headers, same.tolist(), "spacing")]
        directions = np.array([header.directions for header in headers])
        reference = Counter(tuple(np.round(direction, 3).ravel()) for direction in directions).most_common(1)[0][0]
        same = np.abs(directions.reshape(len(headers), 6) - np.array(reference)).max(axis=1) <= 5e-3
        problems += [] if same.all() else [_odd_one(folder, headers, same.tolist(), "direction")]
    return problems


def _odd_one(folder: Path, headers: Sequence[Header], usual: Sequence[bool], what: str) -> Problem:
    odd = [header.path.name for header, fine in zip(headers, usual, strict=True) if not fine]
    return Problem(
        what=f"The slices of the DICOM series differ in {what}.",
        where=folder,
        expected="parallel slices of one size and spacing",
        got=f"{len(odd)} of {len(headers)} differ from most, for example {odd[0]}",
        fix="move scouts and reformatted images to a folder of their own",
    )


def _heights(headers: Sequence[Header]) -> NDArray[np.float64]:
    """Position of each slice along the normal of the first one."""
    assert headers[0].directions is not None  # noqa: S101 - looked at before
    heights: NDArray[np.float64] = np.array([header.position_mm for header in headers]) @ np.cross(*headers[0].directions)
    return heights


def _spacing_problem(folder: Path, ordered: Sequence[Header], heights: NDArray[np.float64]) -> Problem | None:
    """Slices at one place, missing ones, and uneven distances, in sorted slices."""
    distances = np.diff(heights)
    twice = np.flatnonzero(distances <= _SAME_PLACE_MM)
    if twice.size:
        a, b = ordered[twice[0]].path.name, ordered[twice[0] + 1].path.name
        volumes = len(ordered) / np.unique(np.round(heights, 2)).size
        return Problem(
            what="The DICOM series has several slices at one place.",
            where=folder,
            expected="every slice at a place of its own",
            got=f"{twice.size} places taken twice, for example by {a} and {b}",
            fix="remove copies of files"
            if volumes != round(volumes)
            else f"remove copies of files; if there are {volumes:.0f} volumes (time points, echoes), give each a folder",
        )
    usual = float(np.median(distances))
    tolerance = max(_UNEVEN * usual, min(_ROUNDING_MM, 0.25 * usual) + 1e-6)
    odd = np.flatnonzero(np.abs(distances - usual) > tolerance)
    if not odd.size:
        return None
    steps = distances / usual
    whole = np.abs(steps - np.rint(steps)) * usual <= tolerance * np.maximum(np.rint(steps), 1)
    place = int(odd[0])
    between = f"between {ordered[place].path.name} and {ordered[place + 1].path.name}"
    if (whole & (steps > 0.5)).all():
        missing = int((np.rint(steps) - 1).sum())
        return Problem(
            what=f"The DICOM series lacks {missing} slice{'' if missing == 1 else 's'}.",
            where=folder,
            expected=f"a slice every {usual:.4g} mm",
            got=f"{distances[place]:.4g} mm {between}",
            fix="copy the missing files; if they are lost, resample the series to a regular grid",
        )
    return Problem(
        what="The slices of the DICOM series are unevenly spaced.",
        where=folder,
        expected=f"a slice every {usual:.4g} mm",
        got=f"{distances[place]:.4g} mm {between}, {distances.min():.4g} to {distances.max():.4g} mm in all",
        fix="resample the series to a regular grid, or keep the part that is regular",
    )


def _tilt_problem(folder: Path, ordered: Sequence[Header]) -> Problem | None:
    """Slices that are shifted against each other, so that the volume is sheared."""
    first, last = ordered[0], ordered[-1]
    assert first.directions is not None  # noqa: S101 - looked at before
    assert first.position_mm is not None  # noqa: S101
    assert last.position_mm is not None  # noqa: S101
    run = last.position_mm - first.position_mm
    angle = float(np.degrees(np.arccos(np.clip(run @ np.cross(*first.directions) / np.linalg.norm(run), -1, 1))))
    if angle <= _STRAIGHT_DEGREES:
        return None
    return Problem(
        what="The slices of the DICOM series are shifted against each other (gantry tilt).",
        where=folder,
        expected="slices stacked at right angles to their plane",
        got=f"stacked at {angle:.1f} degrees to it",
        fix="straighten the volume, for example by dcm2niix, and use the NIfTI file that it writes",
    )
