"""Intensities brought to mean 0 and standard deviation 1: by the patient's own foreground, or by a training set's CT values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["mr", "ct", "microscopy"]

# Voxels turned to float64 at a time, so that a large image needs no float64 copy of itself.
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class IntensityStatistics:
    """What a CT channel is clipped to and normalised by, in Hounsfield units, or from 0 to 1 once equalised.

    Parameters
    ----------
    low, high
        The 0.5th and 99.5th percentile of the training voxels, or the range that the settings say.
    mean, std
        Mean and standard deviation of the training voxels after clipping.
    """

    low: float
    high: float
    mean: float
    std: float


def guess_kind(modality: str) -> Kind:
    """Guess from the name of a modality whether it is computed tomography; anything else is normalised like MR."""
    words = "".join(letter if letter.isalpha() else " " for letter in modality.lower()).split()
    return "ct" if "ct" in words else "mr"


def fit_intensities(samples: Sequence[NDArray[np.generic]], *, bounds: tuple[float, float] | None = None) -> IntensityStatistics:
    """Fit clipping bounds, mean and standard deviation to CT voxels of the training cases.

    Parameters
    ----------
    samples
        One array of intensities for each training case, any shape; every case counts by its number of voxels.
    bounds
        Clip to these; by itself to the 0.5th and the 99.5th percentile.

    Raises
    ------
    ValueError
        If there is not a single voxel.
    """
    voxels = np.concatenate([np.asarray(sample, np.float64).ravel() for sample in samples]) if samples else np.empty(0)
    if voxels.size == 0:
        raise ValueError("intensity statistics need at least one voxel")
    low, high = bounds or np.percentile(voxels, (0.5, 99.5))
    clipped = voxels.clip(low, high)
    return IntensityStatistics(low=float(low), high=float(high), mean=float(clipped.mean()), std=float(clipped.std()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """How the voxels of one channel are normalised, part by part: ``(value - mean) / std``, zeros where ``std`` is 0 in 32 bits.

    Parameters
    ----------
    mean, std
        What is taken off, and what is divided by.
    bounds
        Clip to these first; None to clip nothing.
    masked
        Set what is not foreground to 0.
    """

    mean: float
    std: float
    bounds: tuple[float, float] | None = None
    masked: bool = False

    def __call__(self, values: NDArray[np.generic], foreground: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Normalise voxels of any shape, of which ``foreground`` tells those that count; float32 in fresh memory."""
        if np.float32(self.std) <= 0:
            return np.zeros(values.shape, np.float32)
        result = values.astype(np.float32)
        if self.bounds is not None:
            np.clip(result, *(np.float32(bound) for bound in self.bounds), out=result)
        result -= np.float32(self.mean)
        result /= np.float32(self.std)
        if self.masked:
            result *= foreground
        return result


def ct_scaling(statistics: IntensityStatistics) -> Scaling:
    """Clip a CT channel and normalise it by the training set's statistics.

    Air is information in CT, so that no voxel is set to 0. Statistics of a single value give zeros.
    """
    return Scaling(mean=statistics.mean, std=statistics.std, bounds=(statistics.low, statistics.high))


def patient_scalings(image: NDArray[np.generic], foreground: NDArray[np.bool_], *, pooled: bool = False) -> list[Scaling]:
    """Normalise the channels of one case by its own foreground voxels; background becomes 0.

    Parameters
    ----------
    image
        ``(M, Z, Y, X)``, finite.
    foreground
        Bool ``(M, Z, Y, X)``: each channel's own foreground.
    pooled
        One mean and standard deviation over the foreground of all channels together, as the paper has it;
        by default each channel has its own.

    Returns
    -------
    list of Scaling
        One for each channel. A constant channel and a channel without foreground become 0. Where the foreground has but one
        value (a binary image), the whole channel stands in for it.
    """
    scalings: list[Scaling] = []
    everything = range(len(image))
    for group in [everything] if pooled else [(channel,) for channel in everything]:
        mean, std = _mean_and_std([image[channel][foreground[channel]] for channel in group])
        for channel in group:
            if std > 0:
                scalings.append(Scaling(mean=mean, std=std, masked=True))
            else:
                whole_mean, whole_std = _mean_and_std([image[channel]])
                scalings.append(Scaling(mean=whole_mean, std=whole_std))
    return scalings


def _mean_and_std(arrays: Sequence[NDArray[np.generic]]) -> tuple[float, float]:
    """Mean and standard deviation of all values together, accumulated in float64; (0, 0) without any value.

    A deviation within the rounding error of float32 counts as 0: it would amplify noise of the number format.
    """
    count = sum(array.size for array in arrays)
    if count == 0:
        return 0.0, 0.0
    mean = sum(float(array.sum(dtype=np.float64)) for array in arrays) / count
    squares = 0.0
    for array in arrays:
        flat = array.reshape(-1)
        for start in range(0, flat.size, _BLOCK):
            difference = flat[start : start + _BLOCK].astype(np.float64) - mean
            squares += float(difference @ difference)
    std = math.sqrt(squares / count)
    return mean, std if std > 1e-6 * abs(mean) else 0.0
