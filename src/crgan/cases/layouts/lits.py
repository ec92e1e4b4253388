"""LiTS: ``volume-N.nii`` and ``segmentation-N.nii``, all in one folder or split over a few."""

from __future__ import annotations

import re
from pathlib import Path

from crgan.cases.case import Case
from crgan.cases.files import split_suffix
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts.found import Found, image_files, subfolders

LABELS = LabelScheme(classes={1: "liver", 2: "lesion"}, regions={"liver": (1, 2), "lesion": (2,)})
"""The liver takes in its lesions, as the challenge scores it."""

_NAME = re.compile(r"(?P<test>test-)?(?P<kind>volume|segmentation)-(?P<number>\d+)", re.IGNORECASE)
_MOST_PARTS = 16  # the challenge hands out two; a folder with many more is something else


class Lits:
    """CT volumes of the liver, as the challenge names them."""

    name = "lits"
    expects = "volume-N.nii and segmentation-N.nii (LiTS), or test-volume-N.nii, also split over folders (Training Batch 1, …)"

    def detect(self, root: Path) -> bool:
        """Whether there are volumes or segmentations of such names in the folder or right in its subfolders."""
        return any(split_name(path) is not None for folder in _folders(root) for path in image_files(folder))

    def cases(self, root: Path) -> Found:
        """Pair volumes and segmentations by their numbers, wherever they lie."""
        volumes: dict[tuple[bool, int], list[Path]] = {}
        segmentations: dict[tuple[bool, int], Path] = {}
        for path in (path for folder in _folders(root) for path in image_files(folder)):
            name = split_name(path)
            if name is None:
                continue
            test, kind, number = name
            if kind == "volume":
                volumes.setdefault((test, number), []).append(path)
            else:
                segmentations[test, number] = path
        for key, path in segmentations.items():
            volume = re.sub("segmentation", "volume", path.name, flags=re.IGNORECASE)
            volumes.setdefault(key, [path.with_name(volume)])  # not there: the check says so
        cases = [
            Case(case_id=split_suffix(path)[0], patient_id=split_suffix(path)[0], images=(path,), label=segmentations.get(key))
            for key, paths in volumes.items()
            for path in paths
        ]
        return Found(cases=tuple(cases), modalities=("CT",), labels=LABELS if segmentations else None)


def split_name(path: Path) -> tuple[bool, str, int] | None:
    """Whether a file is of the test set, ``"volume"`` or ``"segmentation"``, and its number; None if it has another name."""
    match = _NAME.fullmatch(split_suffix(path)[0])
    return None if match is None else (match["test"] is not None, match["kind"].lower(), int(match["number"]))


def _folders(root: Path) -> list[Path]:
    parts = subfolders(root)
    return [root, *(parts if len(parts) <= _MOST_PARTS else [])]
