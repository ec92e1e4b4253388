"""Labels that are not one label map on the image's grid: one reader a file, behind one small interface."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from crgan.cases.files import read_labels
from crgan.cases.label_formats.ctc_slices import CtcSlices
from crgan.cases.label_formats.ctc_truth import CtcMovie
from crgan.cases.label_formats.dicom_seg import DicomSeg
from crgan.cases.label_formats.dots import Dots
from crgan.cases.label_formats.objects import Objects
from crgan.cases.label_formats.slices import Slices
from crgan.cases.label_formats.turned import Turned
from crgan.cases.volume import Geometry, Volume

__all__ = ["LABEL_FORMATS", "LabelFormat", "label_parts", "read_label"]


class LabelFormat(Protocol):
    """How labels of one kind become a label map. A new one is a file beside this and a line in :data:`LABEL_FORMATS`."""

    def read(self, path: Path, image: Geometry) -> Volume:
        """Make the label map ``(1, I, J, K)`` of whole numbers for the image's grid, or raise ``CrganError``.

        The grid that the files themselves tell is given back where they tell one, so that a label that does not fit its
        image is noticed.
        """

    def parts(self, path: Path) -> tuple[Path, ...]:
        """The files that the label map is made of, in a fixed order; empty if there are none."""


LABEL_FORMATS: Mapping[str, LabelFormat] = {
    "objects": Objects(),
    "dots": Dots(),
    "ctc_slices": CtcSlices(),
    "ctc_movie": CtcMovie(),
    "slices": Slices(),
    "turned": Turned(),
    "dicom_seg": DicomSeg(),
}
"""What :attr:`crgan.cases.case.Case.label_format` may name."""


def read_label(path: Path, label_format: str | None, *, image: Geometry) -> Volume:
    """Read the label of a case.

    Parameters
    ----------
    path
        The label file, or the folder that holds its parts.
    label_format
        A key of :data:`LABEL_FORMATS`, or None for a label map in an image file.
    image
        The grid of the case's image.

    Returns
    -------
    Volume
        ``(1, I, J, K)`` whole numbers.

    Raises
    ------
    CrganError
        If the label is missing, damaged or not what its format says.
    """
    return read_labels(path) if label_format is None else LABEL_FORMATS[label_format].read(path, image)


def label_parts(path: Path, label_format: str | None) -> tuple[Path, ...]:
    """The files that a label is read from; see :meth:`LabelFormat.parts`."""
    return (path,) if label_format is None else LABEL_FORMATS[label_format].parts(path)
