"""One folder per patient: ``patient1/patient1_T1.nii.gz``, ``patient1/patient1_seg.nii.gz``.

File names are read in this order, most certain first:

1. A file that ends in a label word (``_seg``, ``_gt``, ``_lesion``, ``_gmseg_manual`` …) is a label; what stands
   before the word is its base.
2. An image whose name begins with the base of a label is of the case of that name, and the rest is its modality.
3. Otherwise the last word decides: a well-known modality (``T1``, ``flair``, ``ct``) is one; a number or a time
   point (``frame01``, ``visit2``) makes a case of its own, with the single modality "image"; any other word is a
   modality if what stands before it is the folder's name.
4. Two labels in one folder drawn on two images make these images two cases, whatever their last words are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from crgan.cases.case import Case
from crgan.cases.files import split_suffix
from crgan.cases.layouts.found import Found, channel_names, distinct_ids, image_files, sorted_names, subfolders, two_labels
from crgan.cases.layouts.label_words import is_helper, is_modality, is_time_point, split_token, strip_label_word
from crgan.errors import Problem

_SINGLE = "image"
_WHOLE_SERIES = "4d"  # ACDC keeps the whole cine series beside the labelled frames
_SEPARATORS = "_-. "


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedImage:
    """An image file and what its name tells.

    Parameters
    ----------
    path
        The file.
    folder
        Name of the folder it lies in, which is the patient.
    case_id, modality
        As read off the name.
    """

    path: Path
    folder: str
    case_id: str
    modality: str

    @property
    def stem(self) -> str:
        """The file's name without its suffix."""
        return split_suffix(self.path)[0]


class PatientFolders:
    """A folder per patient, one file per modality, and the label beside them."""

    name = "patient_folders"
    expects = "a folder per patient with files ID_MODALITY and ID_seg (or _gt, _mask, _label, _lesion …)"

    def detect(self, root: Path) -> bool:
        """Whether most subfolders hold images, or the folder itself holds the modalities of one or more patients."""
        folders = subfolders(root)
        filled = [folder for folder in folders if image_files(folder)]
        # More images beside the folders than folders: they are the cases, and the folder holds something about them.
        return (len(filled) > len(folders) / 2 and len(filled) > len(image_files(root))) or _holds_modalities(root)

    def cases(self, root: Path) -> Found:
        """Find the cases of every patient."""
        flat = _holds_modalities(root)
        folders = [root] if flat else [folder for folder in subfolders(root) if image_files(folder)]
        images: list[NamedImage] = []
        ambiguous: tuple[Problem, ...] = ()
        bases: dict[Path, dict[str, Path]] = {}
        for folder in folders:
            labels = _labels(folder)
            ambiguous += two_labels(labels)
            bases[folder] = dict(labels)
            images += _named_images(folder, bases[folder])
        images = _split_time_points(images, bases)
        images = _one_image_each(images, bases)
        return replace(_assemble(images, bases, one_patient_a_case=flat), ambiguous=ambiguous)


def _holds_modalities(root: Path) -> bool:
    """Whether every image right in the folder ends in a well-known modality or is a label, and some end in one."""
    stems = [split_suffix(path)[0] for path in _files(root)]
    images = [stem for stem in stems if strip_label_word(stem) is None]
    tokens = [(split_token(stem) or ("", stem))[1] for stem in images]
    return bool(tokens) and all(is_modality(token) for token in tokens)


def _files(folder: Path) -> list[Path]:
    """The image files of a folder without by-products such as brain masks."""
    return [path for path in image_files(folder) if not is_helper(split_suffix(path)[0])]


def _labels(folder: Path) -> list[tuple[str, Path]]:
    """Label files of a folder with the base of their name."""
    found = []
    for path in _files(folder):
        base = strip_label_word(split_suffix(path)[0])
        if base is not None:
            found.append((base, path))
    return found


def _named_images(folder: Path, labels: dict[str, Path]) -> list[NamedImage]:
    """The images of one folder with case and modality read off their names (rules 2 and 3)."""
    paths = [path for path in _files(folder) if strip_label_word(split_suffix(path)[0]) is None]
    stems = {split_suffix(path)[0] for path in paths}
    prefixes = sorted((base for base in labels if base not in stems), key=len, reverse=True)
    images = []
    for path in paths:
        stem = split_suffix(path)[0]
        token = split_token(stem)
        if token is not None and token[1].lower() == _WHOLE_SERIES and token[0] in {s[: len(token[0])] for s in stems - {stem}}:
            continue
        base = next((base for base in prefixes if base == "" or (stem.startswith(base) and stem[len(base)] in _SEPARATORS)), None)
        if base is not None:
            case_id, modality = (base, stem[len(base) + 1 :]) if base else (folder.name, stem)
        else:
            case_id, modality = _by_last_word(stem, folder.name)
        images.append(NamedImage(path=path, folder=folder.name, case_id=case_id, modality=modality))
    return images


def _by_last_word(stem: str, folder: str) -> tuple[str, str]:
    token = split_token(stem)
    if token is None:
        return (folder, stem) if is_modality(stem) else (stem, _SINGLE)
    base, word = token
    if is_time_point(word):
        return stem, _SINGLE
    return (base, word) if is_modality(word) or base == folder else (stem, _SINGLE)


def _split_time_points(images: list[NamedImage], bases: dict[Path, dict[str, Path]]) -> list[NamedImage]:
    """Make images cases of their own where a case would have two labels, and all others with the same last words (rule 4)."""
    labelled = defaultdict(list)
    for image in images:
        if image.stem in bases[image.path.parent]:
            labelled[image.path.parent, image.case_id].append(image.modality)
    words = {word for modalities in labelled.values() if len(modalities) > 1 for word in modalities}
    return [replace(image, case_id=image.stem, modality=_SINGLE) if image.modality in words else image for image in images]


def _one_image_each(images: list[NamedImage], bases: dict[Path, dict[str, Path]]) -> list[NamedImage]:
    """Call the modality "image" where every case has exactly one file, and the files' last words differ."""
    cases = {(image.path.parent, image.case_id) for image in images}
    if len(cases) < len(images) or len({image.modality for image in images}) <= 1:
        return images
    # The case keeps the name it has in its label, if that is no image's own.
    return [
        replace(image, case_id=image.case_id if image.case_id in bases[image.path.parent] else image.stem, modality=_SINGLE)
        for image in images
    ]


def _assemble(images: list[NamedImage], bases: dict[Path, dict[str, Path]], *, one_patient_a_case: bool) -> Found:
    """Put the modalities of each case in order; a missing one, and a label's missing image, are named all the same."""
    modalities = sorted_names(image.modality for image in images)
    groups: dict[tuple[Path, str], list[NamedImage]] = defaultdict(list)
    for image in images:
        groups[image.path.parent, image.case_id].append(image)
    used: set[Path] = set()
    cases = []
    for (folder, case_id), members in groups.items():
        label = _label_of(members, bases[folder])
        if label is not None:
            used.add(label)
        paths = {member.modality: member.path for member in members}
        cases.append(
            Case(
                case_id=case_id,
                patient_id=case_id if one_patient_a_case else folder.name,
                images=tuple(paths.get(modality) or _expected(members[0], modality) for modality in modalities),
                label=label,
            )
        )
    for base, path in _unused(bases, used):
        case_id, suffix = base or path.parent.name, split_suffix(path)[1]
        names = [case_id + suffix] if modalities in ((), (_SINGLE,)) else [f"{case_id}_{modality}{suffix}" for modality in modalities]
        patient_id = case_id if one_patient_a_case else path.parent.name
        cases.append(Case(case_id=case_id, patient_id=patient_id, images=tuple(path.with_name(name) for name in names), label=path))
    if modalities == (_SINGLE,):
        modalities = channel_names([image.path for image in images])
    return Found(cases=distinct_ids(cases), modalities=modalities)


def _label_of(members: Iterable[NamedImage], labels: dict[str, Path]) -> Path | None:
    """The label whose base is the case's name in the folder, or the stem of one of its images."""
    for member in members:
        for base in (member.stem, member.stem.removesuffix(member.modality).rstrip(_SEPARATORS)):
            if base in labels:
                return labels[base]
    return None


def _expected(member: NamedImage, modality: str) -> Path:
    """Where a missing modality would be, judged by the name of one that is there."""
    stem, suffix = split_suffix(member.path)
    return member.path.with_name(stem.removesuffix(member.modality) + modality + suffix)


def _unused(bases: dict[Path, dict[str, Path]], used: set[Path]) -> Iterator[tuple[str, Path]]:
    for labels in bases.values():
        for base, path in labels.items():
            if path not in used:
                yield base, path
