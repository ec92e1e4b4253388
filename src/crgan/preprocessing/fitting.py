"""What preprocessing learns from the training cases: their common spacing and, for CT, their intensities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.cases.canonical import canonical_spacing
from crgan.cases.case import Case, Dataset
from crgan.cases.files import read_geometry
from crgan.cases.labels import IGNORED
from crgan.cases.reading import read_case
from crgan.errors import fail
from crgan.preprocessing.prepared import Spacing, three_lengths
from crgan.preprocessing.resample import SAME_SPACING
from crgan.preprocessing.zscore import IntensityStatistics, Kind, fit_intensities

# Up to this ratio of spacings a volume is seen from three planes, for which its voxels are made cubes.
_ISOTROPIC_RATIO = 3.0
# The CT statistics of this many training cases stand for all: they are stable, and each costs reading a whole volume.
_CT_CASES = 50
_CT_VOXELS_PER_CASE = 10_000
# Without labels, CT statistics come from the body: everything denser than lung.
_CT_BODY_HU = -500


def common_spacing(spacings_mm: Sequence[Spacing]) -> Spacing:
    """Give the spacing that suits all cases: the median of each axis.

    Where the axes then differ by a factor of 3 at most, voxels become cubes with the finest axis' spacing, so that
    every plane shows the anatomy in the same scale and no axis is made finer than that. A stack of thick slices
    keeps its own.

    Parameters
    ----------
    spacings_mm
        ``(z, y, x)`` of each case; at least one.
    """
    median = np.median(np.asarray(spacings_mm, np.float64), axis=0)
    if SAME_SPACING < median.max() / median.min() <= _ISOTROPIC_RATIO:
        median[:] = median.min()
    return three_lengths(median.tolist())


def fit_spacing(cases: Sequence[Case]) -> Spacing | None:
    """Read the headers of the cases and give their :func:`common_spacing`; None for 2-D images, which keep their pixels.

    Raises
    ------
    CrganError
        If a file cannot be read.
    """
    geometries = [read_geometry(case.images[0])[0] for case in cases]
    if all(geometry.dimensions == 2 for geometry in geometries):
        return None
    return common_spacing([canonical_spacing(geometry) for geometry in geometries])


def fit_ct(cases: Sequence[Case], dataset: Dataset, kinds: Sequence[Kind]) -> tuple[IntensityStatistics | None, ...]:
    """Fit the intensities of each CT channel to voxels within the labels, or within the body where there are none.

    Up to 10,000 voxels, at places fixed by the case's id, are drawn from each of up to 50 evenly chosen cases.

    Parameters
    ----------
    cases
        The training cases alone.
    dataset
        The data set they belong to.
    kinds
        What each channel is.

    Returns
    -------
    tuple
        One entry a channel; None for those that are not CT. Without CT no file is read.

    Raises
    ------
    CrganError
        If a file cannot be read, or a CT channel shows nothing but air in all cases.
    """
    samples: dict[int, list[NDArray[np.generic]]] = {channel: [] for channel, kind in enumerate(kinds) if kind == "ct"}
    if samples:
        chosen = np.unique(np.linspace(0, len(cases) - 1, min(len(cases), _CT_CASES)).round().astype(int))
        for case in (cases[int(index)] for index in chosen):
            working = read_case(case, dataset)
            generator = np.random.default_rng(list(case.case_id.encode()))
            for channel, drawn in samples.items():
                voxels = _ct_voxels(working.image[channel], working.label)
                drawn.append(voxels if voxels.size <= _CT_VOXELS_PER_CASE else generator.choice(voxels, _CT_VOXELS_PER_CASE, replace=False))
    for channel, drawn in samples.items():
        if not any(voxels.size for voxels in drawn):
            raise fail(
                f"The CT channel {dataset.modalities[channel]} shows nothing but air in every training case.",
                where=dataset.root,
                expected=f"Hounsfield units, with a body above {_CT_BODY_HU}",
                fix="convert the images to Hounsfield units, or set kind to mr to normalise each case by itself",
            )
    return tuple(fit_intensities(samples[channel]) if channel in samples else None for channel in range(len(kinds)))


def _ct_voxels(channel: NDArray[Any], label: NDArray[np.uint8] | None) -> NDArray[Any]:
    if label is not None and (inside := (label > 0) & (label != IGNORED)).any():
        return np.asarray(channel[inside])
    return channel[channel > _CT_BODY_HU]
