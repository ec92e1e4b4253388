"""What one case holds, and what is wrong with it: each of its files is read once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.cases.case import Case
from crgan.cases.files import image_parts, read_labels, read_volume
from crgan.cases.label_formats import label_parts, read_label
from crgan.cases.labels import LabelScheme
from crgan.cases.reading import COLOURS, label_grid_problems, modality_problems
from crgan.cases.schemes import count_values
from crgan.cases.volume import Geometry, Volume
from crgan.errors import CrganError, Problem

PERCENTILES = (0.5, 50.0, 99.5)
"""The percentiles a :class:`ChannelSummary` holds."""

_SAMPLE = 50_000  # voxels, evenly spaced, that percentiles are taken from: sorting all of a volume would take longer than reading it


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelSummary:
    """Intensities of one channel of a case.

    Parameters
    ----------
    minimum, maximum, mean
        Of all finite voxels; 0 if there are none.
    percentiles
        The 0.5th, 50th and 99.5th, estimated from evenly spaced voxels.
    """

    minimum: float
    maximum: float
    mean: float
    percentiles: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseSummary:
    """What the files of a case hold.

    Parameters
    ----------
    case_id, patient_id
        As in :class:`crgan.cases.case.Case`.
    shape, spacing_mm, orientation, dimensions
        The grid of the first image file.
    dtype
        Type of its voxels, after scaling.
    channels
        Intensities, one a channel.
    label_voxels
        Voxels by label value, 0 included; None without a readable label.
    bytes_on_disk
        Of all files of the case.
    """

    case_id: str
    patient_id: str
    shape: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    orientation: str
    dimensions: int
    dtype: str
    channels: tuple[ChannelSummary, ...]
    label_voxels: Mapping[int, int] | None
    bytes_on_disk: int


def inspect_case(case: Case, modalities: Sequence[str], labels: LabelScheme | None) -> tuple[CaseSummary | None, list[Problem]]:
    """Read the files of a case and tell all that is wrong with them.

    Files that are not there are left to :func:`crgan.cases.integrity.check_cases`, which sees all cases.

    Parameters
    ----------
    case
        Whose files to read.
    modalities
        Channel names of the data set.
    labels
        What label values may occur; None allows all.

    Returns
    -------
    summary
        None if no image file could be read.
    problems
        Empty if all is well.
    """
    problems: list[Problem] = []
    geometries: list[Geometry] = []
    channels: list[ChannelSummary] = []
    dtype = ""
    complete = all(path.exists() for path in case.images)
    for path in case.images:
        if not path.exists():
            continue
        try:
            volume = read_volume(path)
        except CrganError as error:
            problems += error.problems
            complete = False
            continue
        geometries.append(volume.geometry)
        channels += [_summarise(channel) for channel in volume.array]
        dtype = dtype or str(volume.array.dtype)
        expected = len(modalities) if len(case.images) == 1 else 1
        problems += _channel_problems(case, path, volume.array.shape[0], expected, modalities)
        problems += _voxel_problems(case, path, volume)
    if complete:
        problems += modality_problems(case, geometries)
    label_voxels = None
    if case.label is not None:
        label_problems, label_voxels = _inspect_label(case, case.label, geometries, labels)
        problems += label_problems
    if not geometries:
        return None, problems
    files = [
        *(part for path in case.images for part in image_parts(path)),
        *(() if case.label is None else label_parts(case.label, case.label_format)),
    ]
    summary = CaseSummary(
        case_id=case.case_id,
        patient_id=case.patient_id,
        shape=geometries[0].shape,
        spacing_mm=geometries[0].spacing_mm,
        orientation=geometries[0].orientation,
        dimensions=geometries[0].dimensions,
        dtype=dtype,
        channels=tuple(channels),
        label_voxels=label_voxels,
        bytes_on_disk=sum(path.stat().st_size for path in files if path.is_file()),
    )
    return summary, problems


def _summarise(channel: NDArray[Any]) -> ChannelSummary:
    """Numbers about one channel ``(I, J, K)``."""
    flat = channel.ravel(order="K")
    if flat.dtype.kind == "f" and not np.isfinite(flat).all():
        flat = flat[np.isfinite(flat)]
    if not flat.size:
        return ChannelSummary(minimum=0.0, maximum=0.0, mean=0.0, percentiles=(0.0, 0.0, 0.0))
    low, middle, high = np.percentile(flat[:: max(1, flat.size // _SAMPLE)], PERCENTILES)
    mean = float(flat.mean(dtype=np.float64))
    return ChannelSummary(
        minimum=float(flat.min()), maximum=float(flat.max()), mean=mean, percentiles=(float(low), float(middle), float(high))
    )


def _channel_problems(case: Case, path: Path, channels: int, expected: int, modalities: Sequence[str]) -> list[Problem]:
    """A file with another number of channels than the data set's, most often a 4-D file."""
    if channels == expected or (channels == 1 and tuple(modalities) == COLOURS):
        return []
    return [
        Problem(
            what=f"Case {case.case_id} holds {channels} channels where {expected} {'was' if expected == 1 else 'were'} meant.",
            where=path,
            expected="a 3-D volume" if expected == 1 else f"{expected} channels: {', '.join(modalities)}",
            got="a 3-D volume" if channels == 1 else f"a 4-D file of {channels} volumes",
            fix="split the series into one file per time point, or give every case the same channels",
        )
    ]


def _voxel_problems(case: Case, path: Path, volume: Volume) -> list[Problem]:
    """Voxels that are no numbers, and images that show nothing."""
    problems = []
    array = volume.array
    if array.dtype.kind == "f":
        nan, infinite = int(np.isnan(array).sum()), int(np.isinf(array).sum())
        if nan or infinite:
            problems.append(
                Problem(
                    what=f"The image of case {case.case_id} holds voxels that are not numbers.",
                    where=path,
                    expected="finite intensities",
                    got=f"{nan} NaN and {infinite} infinite voxels of {array.size}",
                    fix="replace them, for example by the background's value",
                )
            )
            return problems
    constant = [number for number, channel in enumerate(array) if channel.min() == channel.max()]
    if constant:
        everything = len(constant) == array.shape[0]
        value = float(array[constant[0]].flat[0])
        problems.append(
            Problem(
                what=f"The image of case {case.case_id} is constant."
                if everything
                else f"{len(constant)} of {array.shape[0]} channels of case {case.case_id} are constant.",
                where=path,
                expected="an image",
                got=f"the value {value:g} everywhere",
                fix="export it again, or leave the case out",
                severity="error" if everything else "warning",
            )
        )
    return problems


def _inspect_label(
    case: Case, path: Path, geometries: Sequence[Geometry], labels: LabelScheme | None
) -> tuple[list[Problem], Mapping[int, int] | None]:
    """Problems of the label file, and its voxels by value."""
    if not path.exists():
        return [
            Problem(what=f"The label of case {case.case_id} is missing.", where=path, fix="add the file, or take it out of the list")
        ], None
    if not geometries and case.label_format is not None:
        return [], None  # made for the image's grid, which could not be read
    try:
        volume = read_label(path, case.label_format, image=geometries[0]) if geometries else read_labels(path)
    except CrganError as error:
        return list(error.problems), None
    problems = label_grid_problems(case, geometries[0], volume.geometry) if geometries else []
    counts = count_values(volume.array)
    allowed = None if labels is None else set(labels.declared)
    strange = (
        [value for value in counts if value < 0]
        if labels is not None and labels.instances
        else sorted(set(counts) - (allowed or set(counts)))
    )
    if strange:
        names = (
            "whole numbers from 0" if allowed is None or (labels is not None and labels.instances) else ", ".join(map(str, sorted(allowed)))
        )
        problems.append(
            Problem(
                what=f"The label of case {case.case_id} holds values that nobody declared.",
                where=path,
                expected=names,
                got=", ".join(f"{value} ({counts[value]} voxels)" for value in strange[:10]) + (" …" if len(strange) > 10 else ""),
                fix="declare them (labels.json, dataset.json or the setting data.classes), or correct the file",
            )
        )
    ignored = None if labels is None else labels.ignore
    if not {*counts} - {0, ignored}:
        everything = {*counts} == {ignored}
        healthy = "right for a healthy patient; else check the file"
        problems.append(
            Problem(
                what=f"The label of case {case.case_id} is empty.",
                where=path,
                expected="some voxels above 0",
                got="voxels to be ignored alone" if everything else "background alone",
                fix="leave the case out; nothing can be learned from it" if everything else healthy,
                severity="warning",
            )
        )
    return problems, counts
