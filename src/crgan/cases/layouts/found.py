"""What a layout is, and what it finds in a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from crgan.cases.case import Case
from crgan.cases.files import is_image, read_geometry
from crgan.cases.labels import LabelScheme
from crgan.cases.reading import COLOURS
from crgan.errors import CrganError


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
    """

    cases: tuple[Case, ...]
    modalities: tuple[str, ...]
    labels: LabelScheme | None = None


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


def image_files(folder: Path) -> list[Path]:
    """The image files right in a folder, sorted by name; hidden ones left out. Empty if it is no folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if is_image(path) and path.is_file())


def subfolders(folder: Path) -> list[Path]:
    """The folders right in a folder, sorted by name; hidden ones left out. Empty if it is no folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


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


def _header_or_none(path: Path) -> tuple[int, int] | None:
    try:
        geometry, channels = read_geometry(path)
    except CrganError:
        return None
    return geometry.dimensions, channels
