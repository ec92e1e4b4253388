"""The part of the Hounsfield scale in which an organ shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def clip_to_window(image: NDArray[np.generic], window_hu: tuple[float, float]) -> NDArray[np.float32]:
    """Clip a CT channel to a range of Hounsfield units (paper, section 3.1: "to exclude irrelevant organs and objects").

    Parameters
    ----------
    image
        Any shape, in Hounsfield units.
    window_hu
        Lowest and highest value that stays.

    Returns
    -------
    NDArray
        float32, same shape.
    """
    return np.asarray(np.clip(image, *window_hu), np.float32)
