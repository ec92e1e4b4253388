"""Arrays that hold what is found of a volume until it is whole: in memory, or on disk where a volume is huge."""

from __future__ import annotations

import os
import tempfile
from math import prod
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from crgan.errors import fail

_Scalar = TypeVar("_Scalar", bound=np.generic)

# An array above this goes to a file. The kernel then keeps in memory what there is room for.
_MOST_BYTES_IN_MEMORY = 1 << 30


def scratch_zeros(shape: tuple[int, ...], dtype: type[_Scalar]) -> NDArray[_Scalar]:
    """Make an array of zeros that may be larger than memory.

    Parameters
    ----------
    shape, dtype
        Of the array.

    Returns
    -------
    NDArray
        In memory; above 1 GiB mapped from a file of its own in the folder for temporary files (``TMPDIR``), which is gone when
        the array is, and even if the process is killed.

    Raises
    ------
    CrganError
        If there is no room for the file.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    if size <= _MOST_BYTES_IN_MEMORY:
        return np.zeros(shape, dtype)
    try:
        with tempfile.TemporaryFile(prefix="crgan-") as file:
            if hasattr(os, "posix_fallocate"):  # room that turned out to be missing later would end the process
                os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype, mode="r+" if hasattr(os, "posix_fallocate") else "w+", shape=shape)
    except OSError as error:
        raise fail(
            "There is no room for the intermediate results of a large volume.",
            where=tempfile.gettempdir(),
            expected=f"{size / 2**30:.1f} GiB",
            got=error.strerror or str(error),
            fix="set TMPDIR to a folder on a larger disk",
        ) from error
