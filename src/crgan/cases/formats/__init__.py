"""Image file formats, one file each, behind one small interface."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from crgan.cases.volume import Geometry, Volume
from crgan.errors import CrganError, fail


class Format(Protocol):
    """How one family of image files is read and written.

    The functions may raise any of ``errors``, which :mod:`crgan.cases.files` turns into a message that
    names the file and what to do; they raise :class:`crgan.errors.CrganError` where they know better.
    """

    @property
    def suffixes(self) -> tuple[str, ...]:
        """File name endings in lower case."""

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What reading a damaged file may raise."""

    def read(self, path: Path, *, labels: bool) -> Volume:
        """Read voxels and grid; a label map is neither scaled to float32 nor turned into colours."""

    def header(self, path: Path) -> tuple[Geometry, int]:
        """Read the grid and the number of channels without the voxels."""

    def write(self, path: Path, array: NDArray[np.generic], geometry: Geometry, *, suffix: str) -> None:
        """Write one channel ``(I, J, K)`` to ``path`` in the variant that ``suffix`` names."""


def unreadable(path: Path, error: Exception) -> CrganError:
    """The message for a file that a library cannot read."""
    reason = (getattr(error, "strerror", None) or str(error) or type(error).__name__).strip()
    fix = "check that you may read it; if it is damaged, get it again from its source or convert the original anew"
    got = " ".join(reason.split())[:300]
    return fail("The image file cannot be read.", where=path, expected="a complete file of the kind that its name says", got=got, fix=fix)
