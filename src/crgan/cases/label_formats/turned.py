"""A label map whose file counts its axes in another order or direction than the image, as NIfTI masks of DICOM series do."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from crgan.cases.files import read_labels
from crgan.cases.volume import Geometry, Volume


class Turned:
    """An image file of labels, its axes swapped and flipped to run as the image's do; nothing is interpolated."""

    def read(self, path: Path, image: Geometry) -> Volume:
        """Read the file and turn it; that it then lies on the image's grid is left to be checked."""
        volume = read_labels(path)
        turn = nib.orientations.ornt_transform(  # type: ignore[no-untyped-call]
            nib.orientations.io_orientation(volume.geometry.affine),  # type: ignore[no-untyped-call]
            nib.orientations.io_orientation(image.affine),  # type: ignore[no-untyped-call]
        )
        array = nib.orientations.apply_orientation(volume.array[0], turn)  # type: ignore[no-untyped-call]
        back = nib.orientations.inv_ornt_aff(turn, volume.geometry.shape)  # type: ignore[no-untyped-call]
        i, j, k = array.shape
        return Volume(np.ascontiguousarray(array)[None], Geometry((i, j, k), volume.geometry.affine @ back))

    def parts(self, path: Path) -> tuple[Path, ...]:
        """The file."""
        return (path,)
