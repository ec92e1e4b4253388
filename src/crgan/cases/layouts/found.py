"""What a layout is, and what it finds in a folder."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from crgan.cases.case import Case
from crgan.cases.files import is_image, read_geometry, split_suffix
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts.label_words import strip_label_word
from crgan.cases.reading import COLOURS
from crgan.errors import CrganError, Problem, fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The cases of a folder.

    Parameters
    ----------
    cases
        In any order. A file that ought to be there but is not (a missing modality, the image of a label) is
        named all the same: the integrity check reports it, together with all other problems.
    modalities
        Names of the channels, in the order of :attr:`Case.images`.
    labels
        What the folder itself declares about label values, or None.
    ambiguous
        Labels that the layout would have to choose between; no matter if labels are not asked for.
    warnings
        What a user of the labels must know of them.
    """

    cases: tuple[Case, ...]
    modalities: tuple[str, ...]
    labels: LabelScheme | None = None
    ambiguous: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()


class Layout(Protocol):
    """A way to lay out a data set in a folder. A new one is a file beside this and a line in ``LAYOUTS``."""

    @property
    def name(self) -> str:
        """What ``--layout`` calls it."""

    @property
    def expects(self) -> str:
        """What the folder must hold, in half a sentence."""

    def detect(self, root: Path) -> bool:
        """Whether the folder (or single file) looks like this layout; quick, and never raises for another one."""

    def cases(self, root: Path) -> Found:
        """Find the cases; called only where :meth:`detect` says yes."""


def entries(folder: Path) -> list[os.DirEntry[str]]:
    """Everything right in a folder, in any order; whether it is a file is known without looking at each again.

    Raises
    ------
    CrganError
        If it may not be read: to pass over it might leave out patients without a word.
    """
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError as error:
        fix = "allow it to be read, or give the folder of the images alone"
        raise fail("A folder cannot be read.", where=folder, got=error.strerror or str(error), fix=fix) from error


def image_files(folder: Path) -> list[Path]:
    """The image files right in a folder, sorted by name; hidden ones left out. Empty if it is no folder."""
    if not folder.is_dir():
        return []
    return [folder / name for name in sorted(entry.name for entry in entries(folder) if is_image(Path(entry.name)) and entry.is_file())]


def label_files(folder: Path) -> dict[str, Path]:
    """The label files right in a folder by case id: the stem, without a word such as ``_mask`` if all have one."""
    stems = {split_suffix(path)[0]: path for path in image_files(folder)}
    stripped = {strip_label_word(stem): path for stem, path in stems.items()}
    if len(stripped) == len(stems) and all(stripped):
        return {str(stem): path for stem, path in stripped.items()}
    return stems


def subfolders(folder: Path) -> list[Path]:
    """The folders right in a folder, sorted by name; hidden ones left out. Empty if it is no folder."""
    if not folder.is_dir():
        return []
    return [folder / name for name in sorted(entry.name for entry in entries(folder) if entry.is_dir() and not entry.name.startswith("."))]


def channel_names(paths: Sequence[Path], *, one: str = "image") -> tuple[str, ...]:
    """Name the channels of files that each hold a whole image, by their headers.

    Colour pictures have red, green and blue, even if most are grey. Otherwise the number of channels that most
    files have counts, and the integrity check reports the others.

    Parameters
    ----------
    paths
        Image files; unreadable ones are left to the integrity check.
    one
        What a single channel is called.
    """
    with ThreadPoolExecutor() as pool:
        headers = [header for header in pool.map(_header_or_none, paths) if header is not None]
    counts = Counter(channels for _, channels in headers)
    if any(dimensions == 2 and channels == len(COLOURS) for dimensions, channels in headers) and set(counts) <= {1, len(COLOURS)}:
        return COLOURS
    channels = counts.most_common(1)[0][0] if counts else 1
    return (one,) if channels == 1 else tuple(f"channel {number}" for number in range(1, channels + 1))


def sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    """Each name once, in alphabetical order regardless of case."""
    return tuple(sorted(set(names), key=lambda name: (name.lower(), name)))


def distinct_ids(cases: Sequence[Case]) -> tuple[Case, ...]:
    """Put the patient in front of case ids that several patients have (``P1/scan.nii.gz``, ``P2/scan.nii.gz``)."""
    patients: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        patients[case.case_id].add(case.patient_id)
    return tuple(replace(case, case_id=f"{case.patient_id}_{case.case_id}") if len(patients[case.case_id]) > 1 else case for case in cases)


def two_labels(labels: Sequence[tuple[str, Path]]) -> tuple[Problem, ...]:
    """List the cases with several label files, given as pairs of the case's name and the file."""
    by_case: dict[str, list[Path]] = defaultdict(list)
    for name, path in labels:
        by_case[name].append(path)
    return tuple(
        Problem(
            what=f"Case {name or paths[0].parent.name} has {len(paths)} label files.",
            where=paths[0].parent,
            expected="one",
            got=", ".join(path.name for path in paths),
            fix='move all but one elsewhere, or tell which: --pattern "{patient}/{case}_{modality}.nii.gz;{patient}/{case}_seg.nii.gz"',
        )
        for name, paths in by_case.items()
        if len(paths) > 1
    )


def _header_or_none(path: Path) -> tuple[int, int] | None:
    try:
        geometry, channels = read_geometry(path)
    except CrganError:
        return None
    return geometry.dimensions, channels
