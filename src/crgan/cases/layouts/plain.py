"""A plain folder of images without labels, or a single image file."""

from __future__ import annotations

from pathlib import Path

from crgan.cases.case import Case
from crgan.cases.files import is_image, split_suffix
from crgan.cases.layouts.found import Found, channel_names, image_files
from crgan.cases.layouts.label_words import strip_label_word


class Plain:
    """Every image file right in the folder is a case; files named as labels of another one are left out."""

    name = "plain"
    expects = "image files right in the folder, one per case, or a single image file"

    def detect(self, root: Path) -> bool:
        """Whether it is an image file or a folder that holds some."""
        return (root.is_file() and is_image(root)) or bool(image_files(root))

    def cases(self, root: Path) -> Found:
        """Take each file as a case, with the label that lies beside it, if any."""
        paths = [root] if root.is_file() else image_files(root)
        by_stem = {split_suffix(path)[0]: path for path in paths}
        labels = {base: path for stem, path in by_stem.items() if (base := strip_label_word(stem)) in by_stem and base is not None}
        images = [path for path in paths if path not in labels.values()]
        cases = []
        for path in images:
            case_id, _ = split_suffix(path)
            cases.append(Case(case_id=case_id, patient_id=case_id, images=(path,), label=labels.get(case_id)))
        return Found(cases=tuple(cases), modalities=channel_names(images))
