"""DICOM: a folder of slices per patient, and beside it a mask for each of them as a picture, as in CHAOS, or one DICOM-SEG file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan import __version__
from crgan.cases.files import read_geometry
from crgan.cases.formats.dicom_seg import write_segmentation
from crgan.cases.phantom.files import write_array
from crgan.cases.phantom.sample import Kind, Phantom
from crgan.files import atomic_write, write_json

_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"


def write_dicom(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> None:
    """Write ``liver_000/DICOM_anon/i0000,0000b.dcm`` from the head down, ``liver_000/Ground/liver_GT_000.png``, and ``labels.json``."""
    for phantom in phantoms:
        _write_series(out / phantom.name / "DICOM_anon", phantom)
        for number, mask in enumerate(phantom.labels[::-1, ::-1, ::-1]):
            path = out / phantom.name / "Ground" / f"liver_GT_{number:03d}.png"
            write_array(path, np.ascontiguousarray(mask), phantom.spacing_mm)
    write_json(out / "labels.json", kind.labels.to_json())


def write_dicom_seg(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> None:
    """Write series as :func:`write_dicom` does, and ``liver_000/liver_000_seg.dcm`` with a segment for each class."""
    for phantom in phantoms:
        series = out / phantom.name / "DICOM_anon"
        _write_series(series, phantom)
        geometry, _ = read_geometry(series)
        write_segmentation(
            out / phantom.name / f"{phantom.name}_seg.dcm",
            phantom.labels.transpose(2, 1, 0)[::-1, ::-1],  # the series counts to the left and to the back
            geometry,
            series=series,
            classes=kind.labels.classes,
            version=__version__,
        )


def _write_series(folder: Path, phantom: Phantom) -> None:
    """Write the slices from the head down. Rows of a DICOM image run to the back, its columns to the patient's left."""
    for number, plane in enumerate(phantom.images[0, ::-1, ::-1, ::-1]):
        _write_slice(folder / f"i{number:04d},0000b.dcm", plane, number, phantom)


def _write_slice(path: Path, plane: NDArray[Any], number: int, phantom: Phantom) -> None:
    import SimpleITK as sitk  # noqa: N813 - its own name for itself

    z_mm, y_mm, x_mm = phantom.spacing_mm
    depth, rows, columns = phantom.labels.shape
    corner = (-x_mm * (columns - 1) / 2, -y_mm * (rows - 1) / 2, z_mm * ((depth - 1) / 2 - number))
    tags = {
        "0008|0016": _CT_IMAGE,
        "0008|0018": _uid(f"{phantom.name} {number}"),
        "0008|0020": "20000101",
        "0008|0030": "120000",
        "0008|0050": "1",
        "0008|0060": "CT",
        "0008|0090": "Nobody^Phantom",
        "0010|0010": f"{phantom.name}^Phantom",
        "0010|0020": phantom.name,
        "0010|0030": "19500101",
        "0010|0040": "O",
        "0018|0050": f"{z_mm:g}",
        "0020|000d": _uid(f"{phantom.name} study"),
        "0020|000e": _uid(f"{phantom.name} series"),
        "0020|0010": "1",
        "0020|0011": "1",
        "0020|0013": str(number + 1),
        "0020|0032": "\\".join(f"{value:.6g}" for value in corner),
        "0020|0037": "1\\0\\0\\0\\1\\0",
        "0020|0052": _uid(f"{phantom.name} frame of reference"),
        "0028|1052": "-1024",
        "0028|1053": "1",
    }
    image = sitk.GetImageFromArray(np.ascontiguousarray(plane)[None])
    image.SetSpacing((x_mm, y_mm, z_mm))
    for tag, value in tags.items():
        image.SetMetaData(tag, value)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    with atomic_write(path, suffix=".dcm") as temporary:
        writer.SetFileName(str(temporary))
        writer.Execute(image)


def _uid(text: str) -> str:
    """An identifier as DICOM wants it, the same one for the same text."""
    return f"2.25.{int(hashlib.sha256(text.encode()).hexdigest()[:30], 16)}"
