"""DICOM series in folders, and their masks beside them: a picture for each slice, a label map, or a DICOM-SEG file."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from crgan.cases.case import Case
from crgan.cases.files import split_suffix
from crgan.cases.formats.dicom import all_series
from crgan.cases.formats.dicom_headers import SEGMENTATION, Header, holds_image, is_dicom, storage_class
from crgan.cases.label_formats.dicom_seg import referenced_series, segment_names
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts.found import Found, channel_names, distinct_ids, image_files, subfolders, two_labels
from crgan.cases.layouts.label_words import strip_label_word
from crgan.cases.schemes import named_scheme
from crgan.errors import CrganError

_DEEPEST = 6
_NOT_HERE = {"sourcedata"}  # originals that a data set in another layout keeps
_PICTURES = {".png", ".tif", ".tiff"}
_MASK_FOLDER = re.compile(r"ground|gt\b|mask|label|seg|annot|truth|roi", re.IGNORECASE)
_SERIES_FOLDER = re.compile(r"^(?:dicom|dcm)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Label:
    """A label of an examination, how it is read, and the id of the series it is for (never shown; ``""`` if it does not say)."""

    path: Path
    label_format: str
    series: str = ""


class Dicom:
    """Folders of DICOM series, at any depth."""

    name = "dicom"
    expects = "a folder of DICOM files for each series, and beside it a mask (.nii.gz, DICOM-SEG) or a folder of masks (a .png per slice)"

    def detect(self, root: Path) -> bool:
        """Whether there is a folder with DICOM images, or ``root`` is one of them."""
        if root.is_file():
            return not split_suffix(root)[1] and holds_image(root)
        return next(_series_folders(root), None) is not None

    def cases(self, root: Path) -> Found:
        """Every series is a case; its label lies with it or beside its folder."""
        if root.is_file():
            return Found(cases=(Case(case_id=root.stem, patient_id=root.stem, images=(root,)),), modalities=channel_names([root]))
        folders: dict[Path, list[Path]] = defaultdict(list)
        for folder in _series_folders(root):
            folders[_examination(folder, root)].append(folder)
        names = _names(list(folders), root)
        cases: list[Case] = []
        several: list[tuple[str, Path]] = []
        for examination, members in folders.items():
            series = [(folder, headers) for folder in members for headers in all_series(folder)]
            labels = _labels(examination, members)
            for (folder, headers), case_name in zip(series, _case_names(names[examination], examination, series), strict=True):
                alone = len(series) == 1
                fitting = [label for label in labels if label.series == headers[0].series or (alone and not label.series)]
                several += [(case_name, label.path) for label in fitting]
                cases.append(
                    Case(
                        case_id=case_name,
                        patient_id=names[examination][0],
                        images=(folder if sum(f == folder for f, _ in series) == 1 else headers[0].path,),
                        label=fitting[0].path if fitting else None,
                        label_format=fitting[0].label_format if fitting else None,
                    )
                )
        return Found(
            cases=distinct_ids(cases),
            modalities=channel_names([case.images[0] for case in cases]),
            labels=_scheme(cases),
            ambiguous=two_labels(several),
        )


def _series_folders(root: Path) -> Iterator[Path]:
    """Folders that hold DICOM images, sorted by path; one file of each is looked at, unless it is no image."""
    for folder, children, files in os.walk(root):
        place = Path(folder)
        deep = len(place.relative_to(root).parts) >= _DEEPEST
        children[:] = [] if deep else sorted(child for child in children if child not in _NOT_HERE and not child.startswith("."))
        if any(holds_image(place / name) for name in files if not split_suffix(name)[1]):
            yield place


def _examination(folder: Path, root: Path) -> Path:
    """The folder of an examination: that of the series, or the one above where that is called DICOM or holds the masks."""
    if folder == root or folder.parent.name == "":
        return folder
    above = folder.parent
    is_above = _SERIES_FOLDER.match(folder.name) is not None or (not _labels(folder, [folder]) and bool(_labels(above, [folder])))
    return above if is_above else folder


def _names(examinations: Sequence[Path], root: Path) -> dict[Path, tuple[str, ...]]:
    """The words that tell examinations apart, the first of them the patient: their paths without what all have in common."""
    parts = {path: path.relative_to(root).parts for path in examinations}
    levels = zip(*(names[:-1] for names in parts.values()), strict=False)
    common = len(list(takewhile(lambda level: len(set(level)) == 1, levels)))
    return {path: names[common:] or (path.resolve().name,) for path, names in parts.items()}


def _case_names(words: Sequence[str], examination: Path, series: Sequence[tuple[Path, tuple[Header, ...]]]) -> list[str]:
    """The name of each series of an examination: its folder's, and the series number where a folder holds several."""
    names = []
    for folder, headers in series:
        inner = folder.relative_to(examination).parts if len({f for f, _ in series}) > 1 else ()
        number = headers[0].series_number
        beside = [other for other_folder, other in series if other_folder == folder]
        if len(beside) == 1:
            ending: tuple[str, ...] = ()
        elif all(len(other) == 1 for other in beside):
            ending = (headers[0].path.stem,)  # X-rays, for example: the file's own name says most
        elif number is not None and Counter(other[0].series_number for other in beside)[number] == 1:
            ending = (f"series{number}",)
        else:
            ending = (f"number{beside.index(headers) + 1}",)
        names.append("_".join([*words, *inner, *ending]))
    return names


def _labels(examination: Path, series: Sequence[Path]) -> list[_Label]:
    """The labels right in a folder, in its folders of series and in those that are called after masks."""
    masks = [folder for folder in subfolders(examination) if folder not in series and _MASK_FOLDER.search(folder.name)]
    found = []
    for folder in dict.fromkeys([examination, *series, *masks]):
        files = image_files(folder)
        if folder in masks and files and all(split_suffix(file)[1] in _PICTURES for file in files):
            found.append(_Label(path=folder, label_format="slices"))
            continue
        volumes = [file for file in files if split_suffix(file)[1] not in _PICTURES]
        found += [
            _Label(path=file, label_format="turned")
            for file in volumes
            if folder in masks or strip_label_word(split_suffix(file)[0]) is not None
        ]
        others = sorted(file for file in folder.iterdir() if file.is_file() and not split_suffix(file)[1])
        segmentations = [file for file in others if is_dicom(file) and storage_class(file) == SEGMENTATION]
        found += [_Label(path=file, label_format="dicom_seg", series=referenced_series(file)) for file in segmentations]
    return found


def _scheme(cases: Sequence[Case]) -> LabelScheme | None:
    """What DICOM-SEG files say that their segments are, if all say the same."""
    paths = [case.label for case in cases if case.label is not None and case.label_format == "dicom_seg"]
    names: dict[int, str] = {}
    for path in paths:
        try:
            found = segment_names(path)
        except CrganError:
            return None  # damaged: left to the integrity check
        if any(names.get(number, name) != name for number, name in found.items()):
            return None
        names |= found
    return named_scheme(names) if names and len(set(names.values())) == len(names) else None
