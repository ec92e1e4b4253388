"""What the official file names of BraTS tell: whose scan a file is, what it shows, and what that year's label values mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crgan.cases.files import split_suffix
from crgan.cases.labels import LabelScheme

MODALITIES = ("flair", "t1", "t1ce", "t2")
"""The four scans, by the names they had from 2017 to 2021, whatever the year calls them."""

GRADES = frozenset({"hgg", "lgg", "hg", "lg", "hgg_lgg"})
"""Folders, in lower case, that some years sort cases into."""

VSD = "VSD."
"""How files and folders begin in the years of the Virtual Skeleton Database."""


def _scheme(core: tuple[int, ...], enhancing: int, names: Mapping[int, str]) -> LabelScheme:
    return LabelScheme(classes=dict(names), regions={"WT": tuple(names), "TC": core, "ET": (enhancing,)})


TO_2015 = _scheme((1, 3, 4), 4, {1: "necrosis", 2: "oedema", 3: "non-enhancing core", 4: "enhancing"})
TO_2021 = _scheme((1, 4), 4, {1: "necrosis and non-enhancing core", 2: "oedema", 4: "enhancing"})
FROM_2023 = _scheme((1, 3), 3, {1: "necrosis and non-enhancing core", 2: "oedema", 3: "enhancing"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Years of BraTS that name files alike.

    Parameters
    ----------
    years
        For messages.
    case
        Regular expression of a case's name; its group ``patient`` is what all visits of a patient share.
    separator
        Between the case and what a file shows.
    words
        Modality by the word that ends a file's name, the usual word first.
    labels
        What the label values mean.
    """

    years: str
    case: str
    separator: str
    words: Mapping[str, str]
    labels: LabelScheme


_WORDS = {"flair": "flair", "t1": "t1", "t1ce": "t1ce", "t2": "t2"}
_VSD_WORDS = {"Flair": "flair", "T1": "t1", "T1c": "t1ce", "T2": "t2"}
_SEGMENTATION = "seg"

RELEASES = (
    # Converted to NIfTI by many; the names of the cases are still those of 2015.
    Release(
        years="2013–2015",
        case=r"(?P<patient>brats_(?:2013|tcia)_pat\d+)_\d+",
        separator="_",
        words={**_WORDS, "t1c": "t1ce"},
        labels=TO_2015,
    ),
    Release(
        years="2017–2021",
        case=r"(?P<patient>BraTS1[789]_\w+?)_\d+|BraTS20_[A-Za-z]+_\d+|BraTS2021_\d+",
        separator="_",
        words=_WORDS,
        labels=TO_2021,
    ),
    Release(
        years="2023",
        case=r"(?P<patient>BraTS-(?:GLI|SSA|MEN|MET)-\d+)-\d+",
        separator="-",
        words={"t2f": "flair", "t1n": "t1", "t1c": "t1ce", "t2w": "t2"},
        labels=FROM_2023,
    ),
)
_NAMES = [
    (
        release,
        re.compile(
            rf"(?P<case>{release.case}){re.escape(release.separator)}(?P<word>{_SEGMENTATION}|{'|'.join(release.words)})", re.IGNORECASE
        ),
    )
    for release in RELEASES
]
_CASE = re.compile("|".join(f"(?:{release.case})" for release in RELEASES).replace("?P<patient>", "?:"), re.IGNORECASE)
_VISIT = re.compile(RELEASES[0].case, re.IGNORECASE)
_VSD_FILE = re.compile(r"VSD\.Brain.*\.(?:MR_(?P<word>T1c|T1|T2|Flair)|(?P<truth>OT))\.(?P<number>\d+)", re.IGNORECASE)
VSD_RELEASE = Release(years="2013–2015", case=RELEASES[0].case, separator=".", words=_VSD_WORDS, labels=TO_2015)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A file of a case.

    Parameters
    ----------
    path
        The file.
    release
        Whose naming it follows.
    case_id, patient_id
        Whose scan it is.
    modality
        One of :data:`MODALITIES`, or None for the label.
    number
        The file's own number in the Virtual Skeleton Database, or ``""``.
    """

    path: Path
    release: Release
    case_id: str
    patient_id: str
    modality: str | None
    number: str = ""


def read_name(path: Path) -> Scan | None:
    """Read a file's name, and for the years up to 2015 its folders' names; None if it is no official one."""
    stem, suffix = split_suffix(path)
    if not suffix:
        return None
    match = _VSD_FILE.fullmatch(stem)
    if match is not None:
        case_id, patient_id = _vsd_case(path)
        word = match["word"]
        modality = None if word is None else _VSD_WORDS[next(known for known in _VSD_WORDS if known.lower() == word.lower())]
        return Scan(path=path, release=VSD_RELEASE, case_id=case_id, patient_id=patient_id, modality=modality, number=match["number"])
    for release, name in _NAMES:
        match = name.fullmatch(stem)
        if match is not None:
            word = match["word"].lower()
            patient_id = match["patient"] or match["case"]
            modality = None if word == _SEGMENTATION else release.words[word]
            return Scan(path=path, release=release, case_id=match["case"], patient_id=patient_id, modality=modality)
    return None


def is_case_name(folder: str) -> bool:
    """Whether a folder's name is that of a case."""
    return _CASE.fullmatch(folder) is not None


def case_folder(path: Path) -> Path:
    """The folder of the case that a file belongs to: in the early years each file has a folder of its own in it."""
    folder = path.resolve().parent
    return folder.parent if folder.name.startswith(VSD) else folder


def _vsd_case(path: Path) -> tuple[str, str]:
    """Case and patient; numbers alone count anew in each grade (``HG/0001`` and ``LG/0001``)."""
    folder = case_folder(path)
    name = f"{folder.parent.name}_{folder.name}" if folder.name.isdigit() and folder.parent.name.lower() in GRADES else folder.name
    visit = _VISIT.fullmatch(name)
    return name, name if visit is None else visit["patient"]
