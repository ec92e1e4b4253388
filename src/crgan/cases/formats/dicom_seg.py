"""Masks written as DICOM objects (DICOM-SEG), by highdicom, so that archives and viewers lay them over their series."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.cases.formats.dicom import series_of
from crgan.cases.formats.highdicom_extra import load_highdicom
from crgan.cases.volume import Geometry
from crgan.errors import fail
from crgan.files import atomic_write

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_TISSUE = ("85756007", "SCT", "Tissue")  # what a class is, is known by its name alone


def require_highdicom() -> None:
    """Raise ``CrganError``, with the line that installs it, if highdicom is missing."""
    load_highdicom("Writing DICOM segmentations")


def write_segmentation(
    path: Path, labels: NDArray[np.integer], geometry: Geometry, *, series: Path, classes: Mapping[int, str], version: str
) -> None:
    """Write a label map as a segmentation of the series it was made from.

    The object belongs to the same patient and study as the series, and so holds what the series says about them: that is
    what lets an archive file it. It is as confidential as the series.

    Parameters
    ----------
    path
        Where to.
    labels
        ``(I, J, K)`` whole numbers on the grid of the series; 0 is background.
    geometry
        That grid.
    series
        The folder or a file of the series.
    classes
        Names by label value. DICOM numbers segments from 1 without gaps: the classes in the order of their values.
    version
        Of the program, to be noted in the file.

    Raises
    ------
    CrganError
        If highdicom is missing, or the series lacks what a segmentation has to take from it.
    """
    highdicom = load_highdicom("Writing DICOM segmentations")
    import pydicom

    values = sorted(classes)
    numbers = np.zeros(max(values) + 1, np.uint8)
    numbers[values] = np.arange(1, len(values) + 1)
    sources = [pydicom.dcmread(header.path, stop_before_pixels=True) for header in series_of(series)]
    affine = _RAS_TO_LPS @ geometry.affine[:, [2, 1, 0, 3]]  # slices, rows, columns
    try:
        volume = highdicom.Volume(
            numbers[labels].transpose(2, 1, 0),
            affine,
            coordinate_system="PATIENT",
            frame_of_reference_uid=sources[0].FrameOfReferenceUID,
        )
        segmentation = highdicom.seg.Segmentation(
            source_images=sources,
            pixel_array=volume,
            segmentation_type="BINARY",
            segment_descriptions=[_segment(highdicom, number, classes[value], version) for number, value in enumerate(values, start=1)],
            series_instance_uid=highdicom.UID(),
            series_number=1000,
            sop_instance_uid=highdicom.UID(),
            instance_number=1,
            manufacturer="crgan",
            manufacturer_model_name="crgan",
            software_versions=version,
            device_serial_number="0",
            series_description="crgan segmentation",
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise fail(
            "The series lacks what a DICOM segmentation takes from it.",
            where=series,
            expected="complete headers of patient, study and frame of reference",
            got=type(error).__name__,  # its message may quote the header
            fix="leave --dicom-seg out, or restore the headers, which anonymisation may have cut",
        ) from error
    with atomic_write(path) as temporary:
        segmentation.save_as(temporary)


def _segment(highdicom: Any, number: int, name: str, version: str) -> Any:
    tissue = highdicom.sr.CodedConcept(*_TISSUE)
    family = highdicom.sr.CodedConcept("123109", "DCM", "Artificial Intelligence")
    algorithm = highdicom.AlgorithmIdentificationSequence(name="crgan", family=family, version=version)
    return highdicom.seg.SegmentDescription(number, name, tissue, tissue, "AUTOMATIC", algorithm)
