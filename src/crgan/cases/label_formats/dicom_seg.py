"""Segmentations as DICOM objects (DICOM-SEG), by highdicom."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from crgan.cases.formats.dicom_frames import geometry_of, upright
from crgan.cases.formats.highdicom_extra import load_highdicom
from crgan.cases.volume import Geometry, Volume
from crgan.errors import fail

_SAME_PLACE_VOXELS = 0.1


class DicomSeg:
    """A file of segments; the number of a segment is its label value. Slices without a frame are background."""

    def read(self, path: Path, image: Geometry) -> Volume:
        """Lay the segments onto the image's grid; on another grid they are given as they are, to be noticed."""
        found = open_segmentation(path)
        try:
            volume = upright(found.get_volume(combine_segments=True, rescale_fractional=False))
        except Exception as error:  # a damaged header can lead highdicom anywhere, and what it says may quote it
            raise fail(
                "The DICOM segmentation is no label map.",
                where=path,
                expected="binary segments that do not overlap, in parallel slices",
                got="overlapping or fractional segments, slices out of order, or damage",
                fix="export one segment a file, or the label map as NIfTI",
            ) from error
        segments, own = volume.array.transpose(2, 1, 0), geometry_of(volume)
        slices = _slices_of(own, image)
        if slices is None:
            return Volume(segments[None], own)
        labels = np.zeros((1, *image.shape), segments.dtype)
        labels[0][..., slices] = segments
        return Volume(labels, image)

    def parts(self, path: Path) -> tuple[Path, ...]:
        """The file."""
        return (path,)


def open_segmentation(path: Path) -> Any:
    """Open a DICOM-SEG file.

    Raises
    ------
    CrganError
        If it is none, is damaged, or highdicom is not installed.
    """
    highdicom = load_highdicom("A DICOM segmentation")
    try:
        return highdicom.seg.segread(path)
    except Exception as error:
        raise fail(
            "The DICOM segmentation cannot be read.",
            where=path,
            expected="a DICOM-SEG file",
            got=f"a file of {path.stat().st_size} bytes" if path.is_file() else "nothing",
            fix="it is damaged, or something else: export it again",
        ) from error


def segment_names(path: Path) -> Mapping[int, str]:
    """The labels of the segments by number."""
    found = open_segmentation(path)
    return {number: str(found.get_segment_description(number).segment_label) for number in found.segment_numbers}


def referenced_series(path: Path) -> str:
    """The id of the series that was segmented, not to be shown; ``""`` if the file does not say."""
    sequence = getattr(open_segmentation(path), "ReferencedSeriesSequence", None)
    return str(sequence[0].SeriesInstanceUID) if sequence else ""


def _slices_of(own: Geometry, image: Geometry) -> list[int] | None:
    """The slice of the image that each slice of the segmentation lies on; None if it lies on another grid."""
    if own.shape[:2] != image.shape[:2]:
        return None
    to_image = np.linalg.inv(image.affine) @ own.affine
    corners = np.array([[i, j, k, 1] for k in range(own.shape[2]) for i in (0, own.shape[0] - 1) for j in (0, own.shape[1] - 1)])
    places = (to_image @ corners.T).T[:, :3]
    slices = np.rint(places[::4, 2]).astype(int)
    expected = np.column_stack([corners[:, :2], np.repeat(slices, 4)])
    if np.abs(places - expected).max() > _SAME_PLACE_VOXELS or slices.min() < 0 or slices.max() >= image.shape[2]:
        return None
    return [int(number) for number in slices]
