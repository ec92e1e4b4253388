"""CellDetect (PhC-HeLa): ``im01.pgm`` and, for each cell, a dot in ``im01.mat``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import io, ndimage

from crgan.cases.phantom.files import write_array
from crgan.cases.phantom.sample import Kind, Phantom
from crgan.files import atomic_write


def write_celldetect(out: Path, phantoms: Iterator[Phantom], kind: Kind) -> None:
    """Write pictures and dots; where the cells end is not told."""
    del kind
    for number, phantom in enumerate(phantoms, start=1):
        write_array(out / f"im{number:02d}.pgm", phantom.images[0], phantom.spacing_mm)
        with atomic_write(out / f"im{number:02d}.mat", suffix=".mat") as temporary:
            io.savemat(temporary, {"gt": _dots(phantom.labels)})


def _dots(labels: NDArray[np.uint16]) -> NDArray[np.float64]:
    """A point well inside each cell: ``(cells, 2)``, x and y, counted from 1."""
    dots = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            depth = ndimage.distance_transform_edt(np.pad(labels[box] == number, 1))[1:-1, 1:-1]
            y, x = np.unravel_index(int(np.argmax(depth)), depth.shape)
            dots.append((x + box[1].start + 1, y + box[0].start + 1))
    return np.array(dots, np.float64).reshape(-1, 2)
