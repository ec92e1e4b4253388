"""PGM, the portable grey map, by Pillow: what older microscopy sets come in. It is read, and never written."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crgan.cases.formats.pictures import picture_geometry
from crgan.cases.volume import Geometry, Volume
from crgan.errors import fail


class Pgm:
    """``.pgm``: grey, 8 or 16 bit."""

    suffixes = (".pgm",)
    errors: tuple[type[Exception], ...] = (OSError, SyntaxError, ValueError, EOFError, struct.error)

    def read(self, path: Path, *, labels: bool) -> Volume:  # noqa: ARG002 - grey is grey
        """Read a picture."""
        from PIL import Image

        self.header(path)  # before memory is asked for
        with Image.open(path, formats=("PPM",)) as picture:
            pixels = np.array(picture)
        if pixels.dtype == bool:
            pixels = pixels.astype(np.uint8)
        if pixels.dtype == np.int32:  # Pillow's mode I: 16-bit grey in a wider type
            pixels = pixels.astype(np.uint16)
        return Volume(pixels[None, ..., None], picture_geometry(*pixels.shape))

    def header(self, path: Path) -> tuple[Geometry, int]:
        """Read the grid; one channel."""
        from PIL import Image

        try:
            with Image.open(path, formats=("PPM",)) as picture:
                if picture.mode not in {"1", "L", "I", "I;16"}:
                    raise ValueError(f"not grey, but {picture.mode}")
                return picture_geometry(picture.height, picture.width), 1
        except Image.DecompressionBombError as error:
            raise fail("The picture is larger than can be opened at once.", where=path, got=str(error), fix="cut it into tiles") from error

    def write(self, path: Path, array: NDArray[np.generic], geometry: Geometry, *, suffix: str) -> None:  # noqa: ARG002
        """Refuse: PNG holds the same, and more programs read it."""
        raise fail("PGM files are not written.", where=path, fix="write .png")
