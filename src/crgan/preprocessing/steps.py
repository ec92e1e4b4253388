"""What is done to the intensities of a case before they are normalised.

In this order:

1. cut to the box around the foreground, which is found on the image as it came;
2. bias field correction (MR), :mod:`~crgan.preprocessing.bias_field`;
3. the standard scale of the training set (MR), :mod:`~crgan.preprocessing.landmarks`;
4. a window of Hounsfield units (CT), :mod:`~crgan.preprocessing.hu_window`;
5. equalised slices (all kinds), :mod:`~crgan.preprocessing.equalisation`.

Then come z-scores and resampling. Each step after the first is off unless the settings ask for it. The same functions serve
fitting, training and prediction.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from crgan.preprocessing.bias_field import correct_bias_field
from crgan.preprocessing.equalisation import equalise_slices
from crgan.preprocessing.foreground import bounding_box, foreground_mask
from crgan.preprocessing.hu_window import clip_to_window
from crgan.preprocessing.landmarks import standardise
from crgan.preprocessing.prepared import Box
from crgan.preprocessing.settings import PreprocessingSettings
from crgan.preprocessing.zscore import Kind

# Voxels of background kept around the foreground, so that its outline is seen from both sides.
_CROP_MARGIN = 2


def cut_to_foreground(image: NDArray[np.generic], settings: PreprocessingSettings) -> tuple[Box, NDArray[np.generic], NDArray[np.bool_]]:
    """Give the box that is kept of ``(M, Z, Y, X)``, the image within it and each channel's own foreground there.

    The box holds every channel's foreground with a margin, or everything if the settings want no cropping.
    """
    masks = [foreground_mask(channel) for channel in image]
    foreground = masks[0][None] if len(masks) == 1 else np.stack(masks)
    box = bounding_box(masks[0] if len(masks) == 1 else np.asarray(foreground.any(axis=0)), _CROP_MARGIN)
    if not settings.crop_to_foreground:
        z, y, x = image.shape[1:]
        box = slice(0, z), slice(0, y), slice(0, x)
    return box, image[(slice(None), *box)], foreground[(slice(None), *box)]


def even_out(
    channel: NDArray[np.generic], foreground: NDArray[np.bool_], settings: PreprocessingSettings, kind: Kind
) -> NDArray[np.generic]:
    """Do what comes before anything fitted: correct the bias field of an MR channel ``(Z, Y, X)`` if the settings ask for it."""
    if kind == "mr" and settings.bias_field:
        return correct_bias_field(channel, foreground, shrink=settings.bias_field_shrink)
    return channel


def adjust(
    channel: NDArray[np.generic],
    foreground: NDArray[np.bool_],
    settings: PreprocessingSettings,
    kind: Kind,
    landmarks: Sequence[float] | None,
) -> NDArray[np.generic]:
    """Do all steps on one channel ``(Z, Y, X)``; the channel itself if there are none.

    Parameters
    ----------
    channel, foreground
        From :func:`cut_to_foreground`.
    settings
        Which steps to do.
    kind
        What the channel is.
    landmarks
        The channel's standard scale, if one was fitted.
    """
    channel = even_out(channel, foreground, settings, kind)
    if landmarks is not None:
        channel = standardise(channel, foreground, landmarks)
    if kind == "ct" and settings.window_hu is not None:
        channel = clip_to_window(channel, settings.window_hu)
    if settings.equalisation != "none":
        channel = equalise_slices(channel, foreground, method=settings.equalisation)
    return channel
