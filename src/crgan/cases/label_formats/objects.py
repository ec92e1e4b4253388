"""A folder with one picture for each object, as in the Data Science Bowl 2018."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crgan.cases.files import is_image, read_labels
from crgan.cases.volume import Geometry, Volume
from crgan.errors import fail


class Objects:
    """Every picture of the folder is the mask of one object: 0 outside, anything else inside.

    Ids count from 1 in the order of the file names. Where two masks overlap the pixel stays the first one's.
    """

    def read(self, path: Path, image: Geometry) -> Volume:  # noqa: ARG002 - the pictures have a grid of their own
        """Read all masks into one map of ids; a folder without any is an error, an empty mask leaves its id out."""
        parts = self.parts(path)
        if not parts:
            raise fail(
                "The folder of masks is empty." if path.is_dir() else "There is no such folder of masks.",
                where=path,
                expected="a picture for each object",
                fix="add the masks, or leave the case out",
            )
        ids: NDArray[np.int32] | None = None
        geometry = None
        for number, part in enumerate(parts, start=1):
            mask = read_labels(part)
            if ids is None or geometry is None:
                ids, geometry = np.zeros(mask.array.shape, np.int32), mask.geometry
            if not geometry.matches(mask.geometry):
                raise fail(
                    "The masks of a case differ in shape.",
                    where=part,
                    expected=f"{geometry.shape[:2]}, as {parts[0].name}",
                    got=f"{mask.geometry.shape[:2]}",
                    fix="check that all of them belong to this image",
                )
            ids[(mask.array != 0) & (ids == 0)] = number
        assert ids is not None  # noqa: S101 - there is at least one part
        assert geometry is not None  # noqa: S101
        return Volume(ids, geometry)

    def parts(self, path: Path) -> tuple[Path, ...]:
        """The pictures of the folder by name."""
        return tuple(sorted(part for part in path.iterdir() if is_image(part))) if path.is_dir() else ()
