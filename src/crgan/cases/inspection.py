"""What one case holds, and what is wrong with it: each of its files is read once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.cases.case import Case
from crgan.cases.checks.image import IMAGE_CHECKS, ImageFile
from crgan.cases.checks.label import LABEL_CHECKS, LabelFile
from crgan.cases.checks.pairing import agreement, take_probe, turned_places
from crgan.cases.files import image_parts, read_labels, read_volume, split_suffix
from crgan.cases.grids import compare_grids
from crgan.cases.label_formats import label_parts, read_label
from crgan.cases.labels import LabelScheme
from crgan.cases.reading import label_grid_problems, modality_problems, reference_of
from crgan.cases.regions import marked_box, summarise_targets
from crgan.cases.schemes import count_values
from crgan.cases.summary import FOREGROUND_PERCENTILES, PERCENTILES, CaseSummary, ChannelSummary, Evidence, Inspection, Probe, TargetSummary
from crgan.cases.volume import Volume
from crgan.errors import CrganError, Problem

_SAMPLE = 50_000  # voxels, evenly spaced, that percentiles are taken from: sorting all of a volume would take longer than reading it
_CHUNK = 1 << 18
_BACKGROUND_SHARE = 0.2  # of the voxels that must have one value for it to be background
_PICTURES = {".png", ".pgm", ".tif", ".tiff"}


def inspect_case(case: Case, modalities: Sequence[str], labels: LabelScheme | None) -> Inspection:
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
    Inspection
        The summary is None if no image file could be read; there are no problems if all is well.
    """
    images: list[ImageFile] = []
    problems: list[Problem] = []
    hashes: list[str | None] = []
    for path in case.images:
        image, found = _inspect_image(case, path, modalities)
        problems += found
        hashes.append(None if image is None else _hash(image.volume.array))
        images += [] if image is None else [image]
    complete = len(images) == len(case.images)
    reference = 0
    if complete:
        # What follows sees the case on the grid that its images are brought onto, and the images that lie on it.
        geometries = [image.volume.geometry for image in images]
        reference = reference_of(case, geometries)
        problems += modality_problems(case, geometries, reference)
    case = replace(case, reference=reference if complete else None)
    label, counts, found = _inspect_label(case, images, labels)
    label_sound = label is not None and not any(problem.severity == "error" for problem in found)
    problems += found
    if not images:
        return Inspection(summary=None, problems=tuple(problems), evidence=Evidence(image_hashes=tuple(hashes)))
    first = images[case.reference or 0].volume
    evidence = Evidence(
        image_hashes=tuple(hashes),
        label_sound=label_sound,
        units_guessable=split_suffix(case.images[0])[1] not in _PICTURES,
    )
    targets: tuple[TargetSummary, ...] = ()
    if label is not None and counts is not None and labels is not None:
        box = marked_box(label.array[0])
        codes = labels.as_one().encode(labels.merge(label.array[0][box]))
        targets = summarise_targets(codes, counts, labels)
        evidence = replace(evidence, label_hash=f"{_hash(codes)} {box}" if codes.any() else None)
        if complete and not any(problem.severity == "error" for problem in problems):
            on_grid = [image.volume for image in images if not compare_grids(first.geometry, image.volume.geometry)]
            evidence = _weigh(evidence, on_grid, take_probe(codes, box, first.geometry.shape))
            if len(on_grid) < len(images):
                evidence = replace(evidence, contrast=None)  # which has a row for each channel
    files = [part for path in case.images for part in image_parts(path)]
    files += [] if case.label is None else label_parts(case.label, case.label_format)
    summary = CaseSummary(
        case_id=case.case_id,
        patient_id=case.patient_id,
        shape=first.geometry.shape,
        spacing_mm=first.geometry.spacing_mm,
        orientation=first.geometry.orientation,
        dimensions=first.geometry.dimensions,
        dtype=str(first.array.dtype),
        channels=tuple(channel for image in images for channel in image.channels),
        label_voxels=counts,
        bytes_on_disk=sum(path.stat().st_size for path in files if path.is_file()),
        targets=targets,
    )
    return Inspection(summary=summary, problems=tuple(problems), evidence=evidence)


def _inspect_image(case: Case, path: Path, modalities: Sequence[str]) -> tuple[ImageFile | None, list[Problem]]:
    """Read an image file and look for all that may be wrong with it; nothing is said of a missing one."""
    if not path.exists():
        return None, []
    try:
        volume = read_volume(path)
    except CrganError as error:
        return None, [replace(problem, kind="unreadable") for problem in error.problems]
    # Slice by slice: the two passes over all voxels tell blank slices as well, and NaN and infinity show in the extremes.
    if volume.geometry.dimensions == 2:  # colours lie pixel by pixel in memory, which makes each pass over one of them slow
        volume = Volume(np.ascontiguousarray(volume.array), volume.geometry)
    low, high = volume.array.min(axis=(1, 2)), volume.array.max(axis=(1, 2))
    finite = bool(np.isfinite(low).all() and np.isfinite(high).all())
    channels = [
        _figures(channel, float(lows.min()), float(highs.max())) if finite else _finite_figures(channel)
        for channel, lows, highs in zip(volume.array, low, high, strict=True)
    ]
    image = ImageFile(case=case, path=path, volume=volume, modalities=modalities, channels=channels, finite=finite, blank=low == high)
    return image, [problem for check in IMAGE_CHECKS if (problem := check(image)) is not None]


def _inspect_label(
    case: Case, images: Sequence[ImageFile], labels: LabelScheme | None
) -> tuple[Volume | None, Mapping[int, int] | None, list[Problem]]:
    """Read the label file of a case, count its values, and look for all that may be wrong with it."""
    if case.label is None:
        return None, None, []
    if not case.label.exists():
        what = f"The label of case {case.case_id} is missing."
        fix = "add the file, or take it out of the list"
        return None, None, [Problem(kind="missing-label", what=what, where=case.label, fix=fix)]
    grid = images[case.reference or 0].volume.geometry if images else None
    if grid is None and case.label_format is not None:
        return None, None, []  # made for the image's grid, which could not be read
    try:
        volume = read_label(case.label, case.label_format, image=grid) if grid is not None else read_labels(case.label)
    except CrganError as error:
        return None, None, [replace(problem, kind="unreadable") for problem in error.problems]
    problems = [] if grid is None else [replace(problem, kind="grids") for problem in label_grid_problems(case, grid, volume.geometry)]
    label = LabelFile(case=case, counts=count_values(volume.array), scheme=labels)
    problems += [problem for check in LABEL_CHECKS if (problem := check(label)) is not None]
    return volume, label.counts, problems


def _figures(channel: NDArray[Any], minimum: float, maximum: float) -> ChannelSummary:
    """Numbers about one channel ``(I, J, K)``, or about its finite voxels in one row."""
    flat = channel.ravel(order="K")
    sample = flat[:: max(1, flat.size // _SAMPLE)]
    # Numbers of 8 and 16 bits are sorted in linear time by the stable way.
    sample = np.sort(sample, kind="stable" if sample.dtype.kind in "ui" and sample.dtype.itemsize <= 2 else None)
    starts = np.flatnonzero(np.concatenate([[True], sample[1:] != sample[:-1]]))  # of the runs of equal values
    lengths = np.diff(starts, append=sample.size)
    most = int(lengths.argmax())
    background = lengths[most] >= _BACKGROUND_SHARE * sample.size and len(starts) > 1
    shown = np.delete(sample, slice(starts[most], starts[most] + lengths[most])) if background else sample
    low, middle, high = _percentiles(sample, PERCENTILES)
    return ChannelSummary(
        minimum=minimum,
        maximum=maximum,
        mean=float(flat.mean(dtype=np.float64)),
        percentiles=(low, middle, high),
        foreground=_percentiles(shown, FOREGROUND_PERCENTILES),
    )


def _percentiles(ordered: NDArray[Any], percentages: Sequence[float]) -> tuple[float, ...]:
    """Percentiles of values in ascending order, as :func:`numpy.percentile` gives them."""
    places = np.array(percentages) / 100 * (ordered.size - 1)
    before = np.floor(places).astype(int)
    low, high = (ordered[np.minimum(before + step, ordered.size - 1)].astype(np.float64) for step in (0, 1))
    return tuple(float(value) for value in low + (places - before) * (high - low))


def _finite_figures(channel: NDArray[Any]) -> ChannelSummary:
    """The same of a channel in which some voxels are NaN or infinite."""
    flat = channel[np.isfinite(channel)]
    if not flat.size:
        return ChannelSummary(minimum=0.0, maximum=0.0, mean=0.0, percentiles=(0.0, 0.0, 0.0))
    return _figures(flat, float(flat.min()), float(flat.max()))


def _weigh(evidence: Evidence, volumes: Sequence[Volume], probe: Probe | None) -> Evidence:
    """Add how well the image agrees with its label, and with the label turned in other ways."""
    if probe is None:
        return evidence
    channels = [channel for volume in volumes for channel in volume.array]
    own, contrast = agreement(channels, probe)
    turned = {how: agreement(channels, probe, places)[0] for how, places in turned_places(probe).items()}
    return replace(evidence, probe=probe, agreement=own, turned=turned, contrast=contrast)


def _hash(array: NDArray[Any]) -> str:
    """Tell voxels from others by their values, whatever type they are stored in."""
    digest = hashlib.sha256(repr(array.shape).encode())
    flat = array.ravel(order="K")
    for start in range(0, flat.size, _CHUNK):  # in parts that stay in the processor's cache
        digest.update(np.ascontiguousarray(flat[start : start + _CHUNK], np.float32).data)
    return digest.hexdigest()
