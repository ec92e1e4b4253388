"""BIDS: ``sub-01/ses-1/anat/sub-01_ses-1_T1w.nii.gz``, with labels under ``derivatives/``.

Source: Gorgolewski et al., "The brain imaging data structure", Scientific Data 3:160044 (2016).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from crgan.cases.case import Case
from crgan.cases.files import split_suffix
from crgan.cases.layouts.found import Found, channel_names, image_files, sorted_names, subfolders, two_labels
from crgan.cases.layouts.label_words import is_helper, strip_label_word
from crgan.errors import Problem

_Key = tuple[str, str | None]  # subject and session

_NAME = re.compile(r"^(?P<sub>sub-[^_]+)(?:_(?P<ses>ses-[^_]+))?(?P<rest>(?:_.+)?)$")
_RAW = "rawdata"
_DERIVATIVES = "derivatives"
# Folders of what is no image of anatomy: time series, field maps, and recordings without a picture.
_NO_ANATOMY = {"func", "fmap", "perf", "eeg", "ieeg", "meg", "nirs", "motion", "beh", "mrs"}
_DEPTH = 3  # a subject's folder, a session's, a modality's


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """A file and what its name tells: whose it is, when it was taken, and what it shows."""

    path: Path
    subject: str
    session: str | None
    rest: str  # "acq-sag_T2w"

    @property
    def suffix(self) -> str:
        return self.rest.rpartition("_")[2]

    @property
    def case_id(self) -> str:
        return self.subject if self.session is None else f"{self.subject}_{self.session}"


class Bids:
    """Subjects and their sessions, a file per modality, labels in any pipeline of ``derivatives/``."""

    name = "bids"
    expects = "sub-*/[ses-*]/MODALITY/sub-*_*.nii.gz, right there or under rawdata/, and derivatives/ with labels (BIDS)"

    def detect(self, root: Path) -> bool:
        """Whether there are ``sub-*`` folders, and anything tells them from folders of patients with such names."""
        raw = _raw(root)
        subjects = _subjects(raw)
        marked = raw != root or (root / "dataset_description.json").is_file() or (root / _DERIVATIVES).is_dir()
        return bool(subjects) and (marked or not image_files(subjects[0])) and next(_images(subjects), None) is not None

    def cases(self, root: Path) -> Found:
        """Make a case of each session of a subject, or of the subject if it has none."""
        images: dict[_Key, list[_Named]] = defaultdict(list)
        for image in _images(_subjects(_raw(root))):
            images[image.subject, image.session].append(image)
        labels, ambiguous = _labels(root, images)
        modality = _modality_names(images.values())
        modalities = sorted_names(modality[image.rest] for members in images.values() for image in members)
        cases = []
        for key, members in sorted(images.items(), key=lambda item: item[1][0].case_id):
            paths = {modality[image.rest]: image.path for image in members}
            cases.append(
                Case(
                    case_id=members[0].case_id,
                    patient_id=members[0].subject,
                    images=tuple(paths.get(name) or _expected(members[0], name) for name in modalities),
                    label=labels.get(key),
                )
            )
        for key in labels.keys() - images.keys():  # most often a download that was cut short
            named = _Named(path=_raw(root) / key[0] / labels[key].name, subject=key[0], session=key[1], rest="")
            missing = tuple(_expected(named, name) for name in modalities)
            cases.append(Case(case_id=named.case_id, patient_id=key[0], images=missing, label=labels[key]))
        if len(modalities) == 1:
            modalities = channel_names([image.path for members in images.values() for image in members], one=modalities[0])
        return Found(cases=tuple(cases), modalities=modalities, ambiguous=ambiguous)


def _raw(root: Path) -> Path:
    return root / _RAW if (root / _RAW).is_dir() else root


def _subjects(folder: Path) -> list[Path]:
    return [subject for subject in subfolders(folder) if subject.name.startswith("sub-")]


def _named(path: Path) -> _Named | None:
    match = _NAME.match(split_suffix(path)[0])
    if match is None:
        return None
    return _Named(path=path, subject=match["sub"], session=match["ses"], rest=match["rest"].lstrip("_"))


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """The NIfTI files of a folder and the folders in it, by name."""
    yield from (path for path in image_files(folder) if split_suffix(path)[1] in {".nii", ".nii.gz"})
    if depth > 1:
        for inner in subfolders(folder):
            if inner.name not in _NO_ANATOMY:
                yield from _files(inner, depth - 1)


def _images(subjects: Sequence[Path]) -> Iterator[_Named]:
    """All images of anatomy; diffusion series, which have a table of gradients beside them, are none."""
    for subject in subjects:
        for path in _files(subject, _DEPTH):
            named = _named(path)
            stem, _ = split_suffix(path)
            if named is None or _is_label(stem) or is_helper(stem) or path.with_name(f"{stem}.bval").is_file():
                continue
            yield named


def _is_label(stem: str) -> bool:
    return strip_label_word(stem) is not None and not stem.endswith("_probseg")


def _labels(root: Path, keys: Iterable[_Key]) -> tuple[dict[_Key, Path], tuple[Problem, ...]]:
    """The label of each examination, from ``derivatives/`` and from beside the images; and where there are several."""
    known = set(keys)
    sessions: dict[str, list[_Key]] = defaultdict(list)
    for key in known:
        sessions[key[0]].append(key)
    found: list[tuple[_Key, Path]] = []
    paths = [path for subject in _subjects(_raw(root)) for path in _files(subject, _DEPTH)]
    paths += _files(root / _DERIVATIVES, _DEPTH + 2)  # its own and a pipeline's folder above the subject's
    for path in paths:
        named, stem = _named(path), split_suffix(path)[0]
        if named is None or not _is_label(stem) or is_helper(stem):
            continue
        key = (named.subject, named.session)
        # A subject's only session need not be told again.
        if key not in known and named.session is None and len(sessions[named.subject]) == 1:
            key = sessions[named.subject][0]
        found.append((key, path))
    ambiguous = two_labels([("_".join(filter(None, key)), path) for key, path in found])
    return dict(found), ambiguous


def _modality_names(cases: Iterable[Sequence[_Named]]) -> dict[str, str]:
    """Name of the modality by the rest of the file name: the suffix alone, unless a case has several files of that suffix."""
    members = list(cases)
    several = {suffix for case in members for suffix, count in Counter(image.suffix for image in case).items() if count > 1}
    return {image.rest: image.rest if image.suffix in several else image.suffix for case in members for image in case}


def _expected(image: _Named, modality: str) -> Path:
    """Where a missing modality would be, judged by the name of one that is there."""
    suffix = split_suffix(image.path)[1]
    return image.path.with_name(f"{image.case_id}_{modality}{suffix}")
