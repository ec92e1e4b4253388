"""What preprocessing learns from the training cases: their common spacing, CT intensities and MR landmarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.cases.canonical import canonical_spacing
from crgan.cases.case import Case, Dataset
from crgan.cases.files import read_geometry
from crgan.cases.labels import IGNORED
from crgan.cases.reading import read_case, reference_geometry, reference_of
from crgan.errors import fail
from crgan.preprocessing.landmarks import find_landmarks, fit_landmarks
from crgan.preprocessing.prepared import Spacing, three_lengths
from crgan.preprocessing.resample import SAME_SPACING
from crgan.preprocessing.settings import PreprocessingSettings
from crgan.preprocessing.steps import adjust, cut_to_foreground, even_out
from crgan.preprocessing.zscore import IntensityStatistics, Kind, fit_intensities
from crgan.progress import Progress

# Up to this ratio of spacings a volume is seen from three planes, for which its voxels are made cubes.
_ISOTROPIC_RATIO = 3.0
# The intensities of this many training cases stand for all: they are stable, and each costs reading a whole volume.
_CASES = 50
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
    geometries = [reference_geometry(case) for case in cases]
    if all(geometry.dimensions == 2 for geometry in geometries):
        return None
    return common_spacing([canonical_spacing(geometry) for geometry in geometries])


def fit_reference(cases: Sequence[Case]) -> int:
    """Give the number of the modality whose grid most cases are brought onto; it decides where masks lie at prediction.

    Raises
    ------
    CrganError
        If a header cannot be read.
    """
    several = [case for case in cases if len(case.images) > 1]
    counts = Counter(reference_of(case, [read_geometry(path)[0] for path in case.images]) for case in several)
    return counts.most_common(1)[0][0] if counts else 0


def fit_ct(
    cases: Sequence[Case], dataset: Dataset, kinds: Sequence[Kind], settings: PreprocessingSettings, progress: Progress
) -> tuple[IntensityStatistics | None, ...]:
    """Fit the intensities of each CT channel to voxels within the labels, or within the body where there are none.

    Up to 10,000 voxels, at places fixed by the case's id, are drawn from each of up to 50 evenly chosen cases, after the
    steps that come before normalisation.

    Parameters
    ----------
    cases
        The training cases alone.
    dataset
        The data set they belong to.
    kinds
        What each channel is.
    settings
        Which steps there are.
    progress
        Follows the cases.

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
        for case in _some(cases, progress):
            working = read_case(case, dataset)
            box, image, foreground = cut_to_foreground(working.image, settings)
            label = None if working.label is None else working.label[box]
            generator = np.random.default_rng(list(case.case_id.encode()))
            for channel, drawn in samples.items():
                inside = _ct_inside(image[channel], label)
                voxels = adjust(image[channel], foreground[channel], settings, "ct", None)[inside]
                drawn.append(voxels if voxels.size <= _CT_VOXELS_PER_CASE else generator.choice(voxels, _CT_VOXELS_PER_CASE, replace=False))
    for channel, drawn in samples.items():
        if not any(voxels.size for voxels in drawn):
            raise fail(
                f"The CT channel {dataset.modalities[channel]} shows nothing but air in every training case.",
                where=dataset.root,
                expected=f"Hounsfield units, with a body above {_CT_BODY_HU}",
                fix="convert the images to Hounsfield units, or set kind to mr to normalise each case by itself",
            )
    # A window, and the range that equalisation gives, are what the user wants to see whole.
    bounds = (0.0, 1.0) if settings.equalisation != "none" else settings.window_hu
    return tuple(fit_intensities(samples[channel], bounds=bounds) if channel in samples else None for channel in range(len(kinds)))


def fit_mr(
    cases: Sequence[Case], dataset: Dataset, kinds: Sequence[Kind], settings: PreprocessingSettings, progress: Progress
) -> tuple[tuple[float, ...] | None, ...]:
    """Fit the standard scale of each MR channel to the foreground of up to 50 evenly chosen cases, if the settings want one.

    Parameters
    ----------
    cases, dataset, kinds, settings, progress
        As in :func:`fit_ct`.

    Returns
    -------
    tuple
        One entry a channel; None for those that are not MR, and where no case has any contrast. Unless the settings want
        landmarks no file is read.

    Raises
    ------
    CrganError
        If a file cannot be read.
    """
    found: dict[int, list[NDArray[np.float64]]] = {channel: [] for channel, kind in enumerate(kinds) if kind == "mr"}
    if settings.landmarks and found:
        for case in _some(cases, progress):
            _, image, foreground = cut_to_foreground(read_case(replace(case, label=None), dataset).image, settings)
            for channel, landmarks in found.items():
                even = even_out(image[channel], foreground[channel], settings, "mr")
                if (own := find_landmarks(even[foreground[channel]])) is not None:
                    landmarks.append(own)
    return tuple(fit_landmarks(found.get(channel, ())) for channel in range(len(kinds)))


def _some(cases: Sequence[Case], progress: Progress) -> Iterator[Case]:
    """Evenly chosen cases, 50 at most."""
    chosen = np.unique(np.linspace(0, len(cases) - 1, min(len(cases), _CASES)).round().astype(int))
    with progress.task("Fitting preprocessing", len(chosen)) as task:
        for index in chosen:
            yield cases[int(index)]
            task.advance()


def _ct_inside(channel: NDArray[Any], label: NDArray[np.uint8] | None) -> NDArray[np.bool_]:
    if label is not None and (inside := (label > 0) & (label != IGNORED)).any():
        return np.asarray(inside)
    return np.asarray(channel > _CT_BODY_HU)
