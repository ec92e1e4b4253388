"""Slices of a volume, each in a file of its own, as in the Cell Tracking Challenge: ``man_seg_T_Z.tif``."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from crgan.cases.files import read_labels
from crgan.cases.volume import Geometry, Volume
from crgan.errors import fail

UNKNOWN = -1
"""Value of voxels in slices that nobody annotated; ids are never negative."""

_SLICE = re.compile(r"^(?P<volume>.*_\d+)_(?P<slice>\d+)(?P<suffix>\.tiff?)$", re.IGNORECASE)


class CtcSlices:
    """The first annotated slice of a time point stands for all: the files that differ in the last number alone.

    Slices without a file hold :data:`UNKNOWN`.
    """

    def read(self, path: Path, image: Geometry) -> Volume:
        """Put the slices into a map of ids on the image's grid; one that does not fit there is an error."""
        ids = np.full((1, *image.shape), UNKNOWN, np.int32)
        rows_columns = image.shape[:2]
        for part in self.parts(path) or (path,):
            page = read_labels(part).array
            match = _SLICE.match(part.name)
            number = int(match["slice"]) if match else -1
            if page.shape[1:] != (*rows_columns, 1) or not 0 <= number < image.shape[2]:
                raise fail(
                    "The annotated slice does not fit the image.",
                    where=part,
                    expected=f"{rows_columns[0]} x {rows_columns[1]} pixels, and the number of a slice below {image.shape[2]}",
                    got=f"{page.shape[1]} x {page.shape[2]} pixels, slice {number}",
                    fix="check that it belongs to this sequence",
                )
            ids[..., number] = page[..., 0]
        return Volume(ids, image)

    def parts(self, path: Path) -> tuple[Path, ...]:
        """The slices of the same time point by number."""
        match = _SLICE.match(path.name)
        if match is None or not path.parent.is_dir():
            return ()
        start = f"{match['volume']}_"
        siblings = [other for other in path.parent.iterdir() if other.name.startswith(start) and _SLICE.match(other.name)]
        return tuple(sorted(other for other in siblings if other.name[len(start) :].partition(".")[0].isdigit()))
