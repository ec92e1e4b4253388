"""Enhanced DICOM: one file whose frames are the slices of a volume, each with its own position, by highdicom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.cases.formats.highdicom_extra import load_highdicom
from crgan.cases.volume import Geometry, Volume
from crgan.errors import fail

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_SLICES_ROWS_COLUMNS = [2, 1, 0]  # highdicom's axes by ours: columns, rows, slices


def read_frames(path: Path) -> Volume:
    """Read all frames, sorted by position, with the rescaling of each applied; ``(1, columns, rows, slices)`` float32.

    Raises
    ------
    CrganError
        If the frames are no regular stack, or highdicom is not installed.
    """
    image = _open(path)
    _geometry(path, image)
    try:
        volume = upright(image.get_volume(dtype=np.float32, apply_real_world_transform=False, allow_missing_positions=False))
    except Exception as error:
        raise _irregular(path) from error
    return Volume(volume.array.transpose(_SLICES_ROWS_COLUMNS)[None], geometry_of(volume))


def read_frames_grid(path: Path) -> Geometry:
    """The grid of :func:`read_frames`, without its voxels."""
    return _geometry(path, _open(path, lazy=True))


def upright(volume: Any) -> Any:
    """Count the slices of a highdicom volume or volume geometry along the normal of its planes, as in a plain series."""
    slices, rows, columns = volume.affine[:3, :3].T
    return volume.flip_spatial(0) if np.cross(columns, rows) @ slices < 0 else volume


def geometry_of(volume: Any) -> Geometry:
    """The grid of a highdicom volume with its axes turned round: columns, rows, slices."""
    affine = np.eye(4)
    affine[:3, :3] = volume.affine[:3, _SLICES_ROWS_COLUMNS]
    affine[:3, 3] = volume.affine[:3, 3]
    slices, rows, columns = volume.spatial_shape
    ras: NDArray[np.float64] = _LPS_TO_RAS @ affine
    return Geometry((int(columns), int(rows), int(slices)), ras)


def _open(path: Path, *, lazy: bool = False) -> Any:
    highdicom = load_highdicom("An enhanced DICOM file (one file for a whole volume)")
    try:
        return highdicom.imread(path, lazy_frame_retrieval=lazy)
    except Exception as error:  # a damaged header can lead it anywhere
        raise _irregular(path) from error


def _geometry(path: Path, image: Any) -> Geometry:
    try:
        volume = image.get_volume_geometry(allow_duplicate_positions=False)
    except Exception as error:
        raise _irregular(path) from error
    if volume is None:
        raise _irregular(path)
    return geometry_of(upright(volume))


def _irregular(path: Path) -> Exception:
    """One message for all: what the library says is left out, since it may quote the header."""
    return fail(
        "The frames of the DICOM file do not make up one regular volume.",
        where=path,
        expected="parallel frames at even distances, each at a place of its own",
        got="missing, repeated or shifted frames, several volumes in one file, or damage",
        fix="export one volume a file, or straighten it, for example by dcm2niix",
    )
