"""The Data Science Bowl 2018: ``stage1_train/ID/images/ID.png`` with a mask for each nucleus in ``stage1_train/ID/masks/``."""

from __future__ import annotations

from pathlib import Path

from crgan.cases.case import Case
from crgan.cases.files import split_suffix
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts.found import Found, channel_names, image_files, subfolders

_TRAINING = "stage1_train"
_FEW = 8


class Dsb2018:
    """A folder for each image, with the picture in ``images/`` and a picture of each object in ``masks/``."""

    name = "dsb2018"
    expects = "stage1_train/ID/images/ID.png and stage1_train/ID/masks/*.png (Data Science Bowl 2018)"

    def detect(self, root: Path) -> bool:
        """Whether the folder, or ``stage1_train`` in it, holds folders with ``images/`` in them."""
        folders = subfolders(_stage(root))
        return bool(folders) and all(image_files(folder / "images") for folder in folders[:_FEW])

    def cases(self, root: Path) -> Found:
        """Take the picture of every folder; without ``masks/`` it has no label."""
        cases = []
        for folder in subfolders(_stage(root)):
            masks = folder / "masks"
            cases += [
                Case(
                    case_id=split_suffix(image)[0],
                    patient_id=folder.name,
                    images=(image,),
                    label=masks if masks.is_dir() else None,
                    label_format="objects" if masks.is_dir() else None,
                )
                for image in image_files(folder / "images")
            ]
        labels = LabelScheme(classes={1: "nucleus"}, instances=True)
        return Found(cases=tuple(cases), modalities=channel_names([case.images[0] for case in cases]), labels=labels)


def _stage(root: Path) -> Path:
    return root / _TRAINING if (root / _TRAINING).is_dir() else root
