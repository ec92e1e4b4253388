"""NRRD and MetaImage (MHA, MHD) by SimpleITK, its LPS axes turned to RAS."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.cases.volume import Geometry, Volume
from crgan.errors import fail

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
LARGEST_COMPRESSION = 2000
"""Bytes from one; deflate reaches 1032."""

_DETACHED = (".mhd", ".nhdr")


def load_itk() -> Any:
    """Import SimpleITK, which takes half a second and carries no types; its warnings on the terminal are switched off."""
    import SimpleITK

    sitk: Any = SimpleITK
    sitk.ProcessObject.GlobalWarningDisplayOff()
    return sitk


class Itk:
    """``.nrrd``, ``.nhdr``, ``.mha`` and ``.mhd``."""

    suffixes = (".nrrd", ".nhdr", ".mha", ".mhd")
    errors: tuple[type[Exception], ...] = (RuntimeError, OSError, ValueError)

    def read(self, path: Path, *, labels: bool) -> Volume:  # noqa: ARG002 - a label map is stored like an image
        """Read a file in its stored type."""
        sitk = load_itk()
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        _require_room(path, reader)
        image = reader.Execute()
        geometry, channels = _grid(path, image)
        stored = sitk.GetArrayFromImage(image)
        # Slowest axis first, components last: (T, K, J, I, components) -> (channels, I, J, K).
        i, j, k = geometry.shape
        array = stored.reshape((-1, k, j, i, image.GetNumberOfComponentsPerPixel()))
        array = array.transpose(0, 4, 3, 2, 1).reshape((channels, i, j, k))
        return Volume(array, geometry)

    def header(self, path: Path) -> tuple[Geometry, int]:
        """Read the grid and the number of channels."""
        sitk = load_itk()
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        _require_room(path, reader)
        return _grid(path, reader)

    def write(self, path: Path, array: NDArray[np.generic], geometry: Geometry, *, suffix: str) -> None:
        """Write a compressed file."""
        sitk = load_itk()
        if suffix in _DETACHED:
            raise fail(
                "Voxels in a second file are not written.", where=path, expected=".mha or .nrrd", got=suffix, fix="name the file .mha"
            )
        spacing = np.array(geometry.spacing_mm)
        matrix = _LPS_TO_RAS @ geometry.affine[:3, :3] / spacing
        if not np.allclose(matrix.T @ matrix, np.eye(3), atol=1e-4):
            raise fail("The grid is sheared, which this format cannot hold.", where=path, got=suffix, fix="write a .nii.gz file")
        n = 3 if geometry.is_movie else geometry.dimensions
        image = sitk.GetImageFromArray(array.transpose(2, 1, 0) if n == 3 else array[..., 0].T)
        image.SetSpacing(spacing[:n].tolist())
        image.SetOrigin((_LPS_TO_RAS @ geometry.affine[:3, 3])[:n].tolist())
        image.SetDirection(matrix[:n, :n].ravel().tolist())
        sitk.WriteImage(image, str(path), useCompression=True)


def _require_room(path: Path, reader: Any) -> None:
    """Refuse a header that says the image is larger than its file can hold, before memory is taken for it."""
    if path.suffix.lower() in _DETACHED:
        return  # the voxels are in another file
    declared = math.prod(int(n) for n in reader.GetSize()) * int(reader.GetNumberOfComponents())
    size = path.stat().st_size
    if declared > LARGEST_COMPRESSION * size:
        got = f"{' x '.join(map(str, reader.GetSize()))} voxels in a file of {size} bytes"
        raise fail(
            "The image says it is larger than its file can hold.", where=path, got=got, fix="it is damaged: get it again from its source"
        )


def _grid(path: Path, image: Any) -> tuple[Geometry, int]:
    """Grid and number of channels of a SimpleITK image or reader; a fourth axis holds channels."""
    size, spacing = image.GetSize(), image.GetSpacing()
    origin, direction = image.GetOrigin(), image.GetDirection()
    components = int(image.GetNumberOfComponents() if hasattr(image, "GetNumberOfComponents") else image.GetNumberOfComponentsPerPixel())
    axes = len(size)
    if axes not in (2, 3, 4):
        raise fail(
            "The image has a shape that is no volume.", where=path, expected="2 to 4 axes", got=str(size), fix="store a volume a file"
        )
    n = min(axes, 3)
    affine = np.eye(4)
    affine[:n, :n] = np.reshape(direction, (axes, axes))[:n, :n] * np.array(spacing[:n])
    affine[:n, 3] = origin[:n]
    affine[:3] = _LPS_TO_RAS @ affine[:3]
    shape = (*size, 1)[:3]
    channels = components * (int(size[3]) if axes == 4 else 1)
    return Geometry((int(shape[0]), int(shape[1]), int(shape[2])), affine, dimensions=2 if axes == 2 else 3), channels
