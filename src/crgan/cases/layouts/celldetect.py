"""CellDetect (PhC-HeLa): pictures with a ``.mat`` file of dots beside each, ``im01.pgm`` and ``im01.mat``."""

from __future__ import annotations

from pathlib import Path

from crgan.cases.case import Case
from crgan.cases.files import split_suffix
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts.found import Found, channel_names, image_files
from crgan.errors import Problem


class CellDetect:
    """Every picture is a case; its dots become regions."""

    name = "celldetect"
    expects = "pictures with a .mat file of dots beside each, im01.pgm and im01.mat (CellDetect, PhC-HeLa)"

    def detect(self, root: Path) -> bool:
        """Whether a picture right in the folder has a ``.mat`` file of its name beside it."""
        return any(_dots(image).is_file() for image in image_files(root))

    def cases(self, root: Path) -> Found:
        """Take every picture, with the dots beside it, if any."""
        images = image_files(root)
        cases = []
        for image in images:
            case_id, dots = split_suffix(image)[0], _dots(image)
            there = dots.is_file()
            cases.append(
                Case(
                    case_id=case_id,
                    patient_id=case_id,
                    images=(image,),
                    label=dots if there else None,
                    label_format="dots" if there else None,
                )
            )
        derived = Problem(
            what="The labels are derived from dots, not drawn.",
            where=root,
            expected="masks of cells",
            got="a dot for each cell, around which a watershed grew a region",
            fix="docs/layouts/celldetect.md tells how far such regions are from masks; trust no outline",
            severity="warning",
            kind="derived-labels",
        )
        labels = LabelScheme(classes={1: "cell"}, instances=True)
        return Found(cases=tuple(cases), modalities=channel_names(images), labels=labels, warnings=(derived,))


def _dots(image: Path) -> Path:
    return image.with_name(split_suffix(image)[0] + ".mat")
