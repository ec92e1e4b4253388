"""The files of a phantom: NIfTI for volumes, PNG for pictures, TIFF for stacks of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from crgan.cases.phantom.sample import Kind, Phantom
from crgan.files import atomic_write


def suffix(kind: Kind, phantom: Phantom) -> str:
    """File name ending of a phantom's files."""
    if kind.spatial == "volumes":
        return ".nii.gz"
    return ".png" if phantom.labels.ndim == 2 else ".tif"


def write_array(path: Path, array: NDArray[Any], spacing_mm: tuple[float, ...]) -> None:
    """Write ``(Z, Y, X)``, ``(channels, Z, Y, X)`` or ``(rows, columns)`` in the format the file's name asks for."""
    if path.name.endswith((".nii.gz", ".nii")):
        write_nifti(path, array, spacing_mm)
    elif path.suffix in {".png", ".pgm"}:
        with atomic_write(path, suffix=path.suffix) as temporary:
            Image.fromarray(array).save(temporary)
    else:
        with atomic_write(path, suffix=".tif") as temporary:
            tifffile.imwrite(temporary, array, compression="zlib", photometric="minisblack")


def write_nifti(path: Path, array: NDArray[Any], spacing_mm: tuple[float, ...]) -> None:
    """Write ``(Z, Y, X)`` or ``(channels, Z, Y, X)`` as NIfTI with axes right, front, up and the origin in the middle."""
    affine = np.diag([*reversed(spacing_mm), 1.0])
    edges = list(reversed(array.shape[-3:]))
    affine[:3, 3] = [-s * (n - 1) / 2 for s, n in zip(reversed(spacing_mm), edges, strict=True)]
    image = nib.nifti1.Nifti1Image(array.transpose(), affine)  # type: ignore[no-untyped-call]
    image.header.set_xyzt_units("mm")  # type: ignore[no-untyped-call]
    with atomic_write(path, suffix=path.name.removeprefix(path.name.split(".")[0])) as temporary:
        nib.save(image, temporary)


def write_metaimage(path: Path, array: NDArray[Any], spacing_mm: tuple[float, ...]) -> None:
    """Write ``(Z, Y, X)`` as MetaImage, where :func:`write_nifti` would put it: ITK counts millimetres to the left and to the back."""
    import SimpleITK as sitk  # noqa: N813 - its own name for itself

    image = sitk.GetImageFromArray(array)
    step = list(reversed(spacing_mm))
    image.SetSpacing(step)
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    edge = [s * (n - 1) / 2 for s, n in zip(step, reversed(array.shape), strict=True)]
    image.SetOrigin((edge[0], edge[1], -edge[2]))
    with atomic_write(path, suffix=".mha") as temporary:
        sitk.WriteImage(image, str(temporary), useCompression=True)
