"""BraTS as it was handed out from 2013 to 2023, in its official file names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from crgan.cases.case import Case
from crgan.cases.files import split_suffix
from crgan.cases.layouts.brats_names import GRADES, MODALITIES, VSD, Scan, case_folder, is_case_name, read_name
from crgan.cases.layouts.found import Found, image_files, subfolders, two_labels
from crgan.cases.layouts.label_words import strip_label_word
from crgan.errors import Problem, fail

# The names of case folders tell nothing in 2013: this many are looked into before it is said that none is one.
_LOOKED_INTO = 3


class Brats:
    """A folder per case, maybe within HGG and LGG; or all files in one folder."""

    name = "brats"
    expects = "BraTS in its official file names: VSD.*.mha, Brats17_*_t1ce.nii.gz, BraTS2021_*_t1ce.nii.gz, BraTS-GLI-*-t1c.nii.gz"

    def detect(self, root: Path) -> bool:
        """Whether a folder or file right in it, or in its HGG or LGG, is named as BraTS names cases."""
        if not root.is_dir():
            return False
        promising = [root]
        for parent in _parents(root):
            folders = subfolders(parent)
            promising += [*(folder for folder in folders if is_case_name(folder.name)), *folders[:_LOOKED_INTO]]
        return any(read_name(path) is not None for folder in promising for path in _files_of(folder))

    def cases(self, root: Path) -> Found:
        """Find the cases.

        Raises
        ------
        CrganError
            If two files are the same scan of a case.
        """
        scans: dict[str, list[Scan]] = defaultdict(list)
        strangers: dict[Path, list[Path]] = defaultdict(list)
        for path in _files(root):
            scan = read_name(path)
            if scan is None:
                strangers[case_folder(path)].append(path)
            else:
                scans[scan.case_id].append(scan)
        present = {scan.modality for members in scans.values() for scan in members}
        modalities = tuple(name for name in MODALITIES if name in present)
        cases, labels = [], []
        for case_id, members in scans.items():
            truths = [scan.path for scan in members if scan.modality is None] or _misnamed(strangers, members)
            labels += [(case_id, path) for path in truths]
            cases.append(
                Case(
                    case_id=case_id,
                    patient_id=members[0].patient_id,
                    images=tuple(_image(members, modality) for modality in modalities),
                    label=truths[0] if truths else None,
                )
            )
        releases = {id(members[0].release.labels): members[0].release for case_id, members in scans.items() if case_id in dict(labels)}
        return Found(
            cases=tuple(cases),
            modalities=modalities,
            labels=next(iter(releases.values())).labels if releases else None,
            ambiguous=(*two_labels(labels), *_several_meanings(root, sorted(release.years for release in releases.values()))),
        )


def _parents(root: Path) -> list[Path]:
    """The folders that case folders may lie in."""
    return [root, *(folder for folder in subfolders(root) if folder.name.lower() in GRADES)]


def _files(root: Path) -> Iterator[Path]:
    """All image files that may belong to a case."""
    for folder in [root, *(folder for parent in _parents(root) for folder in subfolders(parent) if not folder.name.startswith(VSD))]:
        yield from _files_of(folder)


def _files_of(folder: Path) -> Iterator[Path]:
    """The image files of a case's folder: right in it, or each in a folder of its own up to 2015."""
    yield from image_files(folder)
    for scan in subfolders(folder):
        if scan.name.startswith(VSD):
            yield from image_files(scan)


def _image(members: Sequence[Scan], modality: str) -> Path:
    """The case's file of a modality, or what it would be called."""
    paths = [scan.path for scan in members if scan.modality == modality]
    if len(paths) > 1:
        raise fail(
            f"Two files are the image {modality} of case {members[0].case_id}.",
            where=paths[0].parent,
            expected="one",
            got=", ".join(path.name for path in paths),
            fix="remove all but one",
        )
    if paths:
        return paths[0]
    example = members[0]
    suffix = split_suffix(example.path)[1]
    word = next(word for word, named in example.release.words.items() if named == modality)
    name = f"VSD.Brain.XX.O.MR_{word}" if example.number else f"{example.case_id}{example.release.separator}{word}"
    return example.path.with_name(name + suffix)


def _misnamed(strangers: dict[Path, list[Path]], members: Sequence[Scan]) -> list[Path]:
    """The label of a case that has none of the right name: BraTS20_Training_355 was handed out with W39_1998.09.19_Segm.nii."""
    folder = case_folder(members[0].path)
    if not is_case_name(folder.name):
        return []
    others = [path for path in strangers.get(folder, []) if strip_label_word(split_suffix(path)[0].removesuffix("m")) is not None]
    return others if len(others) == 1 else []


def _several_meanings(root: Path, years: Sequence[str]) -> tuple[Problem, ...]:
    """Tell of years whose label values mean different things."""
    if len(years) < 2:
        return ()
    return (
        Problem(
            what="The folder holds years of BraTS whose label values mean different things.",
            where=root,
            expected="cases of one of 2013–2015, 2017–2021 or 2023",
            got=", ".join(years),
            fix="keep them in folders of their own; a model trained on one may be used, and trained on, with the other (--init)",
        ),
    )
