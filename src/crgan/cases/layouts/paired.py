"""Paired folders: ``images/`` and ``labels/`` (or ``masks/``) with files of equal stems."""

from __future__ import annotations

from pathlib import Path

from crgan.cases.case import Case
from crgan.cases.files import split_suffix
from crgan.cases.layouts.found import Found, channel_names, image_files, label_files

_PAIRS = (("images", "labels"), ("images", "masks"), ("imagesTr", "labelsTr"))


class Paired:
    """One image file per case in one folder, the label files in another."""

    name = "paired"
    expects = "images/ and labels/ (or masks/) with files of equal names"

    def detect(self, root: Path) -> bool:
        """Whether both folders are there with images in the first, or ``images/`` alone."""
        return bool(image_files(root / "images")) or _folders(root) is not None

    def cases(self, root: Path) -> Found:
        """Pair the files by their stems; a label's stem may carry a word such as ``_mask`` more."""
        folders = _folders(root)
        images = image_files(folders[0] if folders else root / "images")
        labels = label_files(folders[1]) if folders else {}
        cases = []
        for image in images:
            case_id, _ = split_suffix(image)
            cases.append(Case(case_id=case_id, patient_id=case_id, images=(image,), label=labels.get(case_id)))
        # A label without an image is most often a misspelt name: it becomes a case whose image is missing.
        for case_id in sorted(set(labels) - {case.case_id for case in cases}):
            image = images[0].parent / (case_id + split_suffix(images[0])[1]) if images else root / "images" / labels[case_id].name
            cases.append(Case(case_id=case_id, patient_id=case_id, images=(image,), label=labels[case_id]))
        return Found(cases=tuple(cases), modalities=channel_names(images))


def _folders(root: Path) -> tuple[Path, Path] | None:
    for images, labels in _PAIRS:
        if image_files(root / images) and image_files(root / labels):
            return root / images, root / labels
    return None
