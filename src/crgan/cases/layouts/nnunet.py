"""The raw data of nnU-Net, versions 1 and 2: ``dataset.json``, and a file per channel, ``case_0000.nii.gz``."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from crgan.cases.case import Case
from crgan.cases.files import split_suffix
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts.found import Found, image_files
from crgan.cases.schemes import ignoring, named_scheme
from crgan.errors import CrganError, fail
from crgan.files import read_json

DESCRIPTION = "dataset.json"
_IMAGES = ("imagesTr", "imagesTs")
_CHANNEL = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")
_IGNORE = "ignore"


class NnUNet:
    """A task (version 1) or data set (version 2): its training cases. ``imagesTs`` or ``imagesTr`` alone gives images without labels."""

    name = "nnunet"
    expects = "dataset.json with channel_names (or modality), beside imagesTr/CASE_0000.nii.gz and labelsTr/CASE.nii.gz (nnU-Net)"

    def detect(self, root: Path) -> bool:
        """Whether ``dataset.json`` is nnU-Net's, here or beside ``root`` if that is one of the image folders."""
        return _task_folder(root) is not None

    def cases(self, root: Path) -> Found:
        """Find the training cases, and what ``dataset.json`` says of channels and labels.

        Raises
        ------
        CrganError
            If ``dataset.json`` lacks something, or its regions do not lie within each other.
        """
        task = _task_folder(root) or root
        path = task / DESCRIPTION
        data = read_json(path)
        alone = root != task
        try:
            names = data["channel_names"] if "channel_names" in data else data["modality"]
            modalities = tuple(str(name) for _, name in sorted(names.items(), key=lambda item: int(item[0])))
            listed = {str(case): (entry["images"], entry["label"]) for case, entry in (data.get("dataset") or {}).items()}
            labels = None if alone else _scheme(data["labels"], where=path)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise fail(
                "dataset.json is not that of an nnU-Net data set.",
                where=path,
                expected='"channel_names": {"0": "CT"}, "labels": {"background": 0, "lesion": 1}, "file_ending": ".nii.gz"',
                got=f"{type(error).__name__}: {error}",
                fix="correct the file, or give --layout and --pattern",
            ) from error
        if listed and not alone:
            cases = [
                Case(case_id=case, patient_id=case, images=tuple(task / image for image in images), label=task / label)
                for case, (images, label) in listed.items()
            ]
            return Found(cases=tuple(cases), modalities=modalities, labels=labels)
        images = image_files(root if alone else task / "imagesTr")
        label_by_case = {} if alone else {split_suffix(label)[0]: label for label in image_files(task / "labelsTr")}
        return Found(cases=_assemble(images, label_by_case, len(modalities)), modalities=modalities, labels=labels)


def split_channel(path: Path) -> tuple[str, int] | None:
    """The case and the channel that a file is named for: ``liver_01_0000.nii.gz`` gives ``("liver_01", 0)``; None if for none."""
    match = _CHANNEL.fullmatch(split_suffix(path)[0])
    return None if match is None else (match["case"], int(match["channel"]))


def are_channels(images: Sequence[Path], labels: Iterable[Path]) -> bool:
    """Whether images are named by channel: every case has a channel 0, and no label has the name of an image."""
    named = [split_channel(path) for path in images]
    if not images or None in named or {split_suffix(path)[0] for path in labels} & {split_suffix(path)[0] for path in images}:
        return False
    cases = {name[0] for name in named if name is not None}
    return cases == {name[0] for name in named if name is not None and name[1] == 0}


def scheme_beside(folder: Path) -> LabelScheme | None:
    """The label scheme of the data set that a folder such as ``labelsTs`` belongs to, or None."""
    path = folder.resolve().parent / DESCRIPTION
    if not path.is_file():
        return None
    try:
        return _scheme(read_json(path)["labels"], where=path)
    except (CrganError, KeyError, TypeError, ValueError, AttributeError):
        return None  # some other program's dataset.json; the label values are then found out


def _task_folder(root: Path) -> Path | None:
    """The folder with nnU-Net's ``dataset.json``: ``root``, or the one above one of its image folders."""
    for folder in [root, *([root.resolve().parent] if root.resolve().name in _IMAGES else [])]:
        try:
            data = read_json(folder / DESCRIPTION) if (folder / DESCRIPTION).is_file() else {}
        except CrganError:
            continue
        if not isinstance(data, dict):
            continue
        if "channel_names" in data or (
            "modality" in data and are_channels(image_files(folder / "imagesTr"), image_files(folder / "labelsTr"))
        ):
            return folder
    return None


def _assemble(images: Sequence[Path], labels: Mapping[str, Path], channels: int) -> tuple[Case, ...]:
    """Put the channels of each case in order; one that is missing is named all the same."""
    files: dict[str, dict[int, Path]] = defaultdict(dict)
    for path in images:
        case, channel = split_channel(path) or (split_suffix(path)[0], 0)
        files[case][channel] = path
    # A picture holds all its colours in one file.
    counts = Counter(len(found) for found in files.values())
    numbers = range(1 if counts and counts.most_common(1)[0][0] == 1 else channels)
    example = images[0] if images else Path("imagesTr/CASE_0000.nii.gz")
    for case in set(labels) - set(files):
        files[case] = {}
    cases = []
    for case, found in files.items():
        paths = tuple(found.get(number, example.with_name(f"{case}_{number:04d}{split_suffix(example)[1]}")) for number in numbers)
        cases.append(Case(case_id=case, patient_id=case, images=paths, label=labels.get(case)))
    return tuple(cases)


def _scheme(labels: Mapping[str, Any], *, where: Path) -> LabelScheme:
    """Read ``labels``: names by value (version 1), or values by name, several for a region (version 2)."""
    if all(str(key).isdigit() for key in labels):
        return named_scheme({int(value): str(name) for value, name in labels.items()})
    values = {str(name): tuple(map(int, value)) if isinstance(value, list) else (int(value),) for name, value in labels.items()}
    ignore = values.pop(_IGNORE, (None,))[0]
    values = {name: members for name, members in values.items() if members != (0,)}
    names = {members[0]: name for name, members in values.items() if len(members) == 1}
    classes = {value: names.get(value, f"class {value}") for value in sorted({value for members in values.values() for value in members})}
    if all(len(members) == 1 for members in values.values()):
        return ignoring(named_scheme(classes), ignore)
    regions = dict(sorted(values.items(), key=lambda item: -len(item[1])))
    for outer, inner in pairwise(regions):
        if not {*regions[inner]} < {*regions[outer]}:
            raise fail(
                "The regions of dataset.json do not lie within each other.",
                where=where,
                expected="every region within the next larger one, such as WT ⊃ TC ⊃ ET",
                got=f"{outer}: {list(regions[outer])}, {inner}: {list(regions[inner])}",
                fix="declare classes that exclude each other in their place",
            )
    return ignoring(LabelScheme(classes=classes, regions=regions), ignore)
