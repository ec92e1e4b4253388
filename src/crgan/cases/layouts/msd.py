"""The Medical Segmentation Decathlon: ``dataset.json``, ``imagesTr/``, ``labelsTr/`` and, for tests, ``imagesTs/``."""

from __future__ import annotations

from pathlib import Path

from crgan.cases.case import Case
from crgan.cases.files import split_suffix
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts.found import Found, channel_names, image_files, label_files
from crgan.cases.layouts.nnunet import NnUNet
from crgan.cases.schemes import named_scheme
from crgan.errors import CrganError, fail
from crgan.files import read_json

DESCRIPTION = "dataset.json"
_PARTS = ("imagesTr", "imagesTs")


class Msd:
    """A Decathlon task: its training cases. Its ``imagesTs`` or ``imagesTr`` alone gives images without labels."""

    name = "msd"
    expects = "dataset.json with modality and labels, beside imagesTr/ and labelsTr/ (Medical Segmentation Decathlon)"

    def detect(self, root: Path) -> bool:
        """Whether ``dataset.json`` is there, or beside ``root`` if that is one of the image folders."""
        task = _task_folder(root)
        return task is not None and (task / "imagesTr").is_dir() and not NnUNet().detect(task)

    def cases(self, root: Path) -> Found:
        """Find the training cases that ``dataset.json`` lists, or all of ``imagesTr`` if it lists none."""
        task = _task_folder(root) or root
        path = task / DESCRIPTION
        data = read_json(path)
        try:
            modalities = tuple(str(name) for _, name in sorted(data["modality"].items(), key=lambda item: int(item[0])))
            labels = named_scheme({int(value): str(name) for value, name in data["labels"].items()})
            pairs = [(task / entry["image"], task / entry["label"]) for entry in data.get("training") or []]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise fail(
                "dataset.json is not that of a Decathlon task.",
                where=path,
                expected='"modality": {"0": "MRI"}, "labels": {"0": "background", "1": …}, "training": [{"image": …, "label": …}]',
                got=f"{type(error).__name__}: {error}",
                fix="correct the file, or give --layout and --pattern",
            ) from error
        if root != task:
            return Found(cases=tuple(_case(image, None) for image in image_files(root)), modalities=_names(modalities, image_files(root)))
        if pairs:
            cases = [_case(image, label) for image, label in pairs]
        else:
            label_by_case = label_files(task / "labelsTr")
            cases = [_case(image, label_by_case.get(split_suffix(image)[0])) for image in image_files(task / "imagesTr")]
        return Found(cases=tuple(cases), modalities=_names(modalities, [case.images[0] for case in cases]), labels=labels)


def scheme_beside(folder: Path) -> LabelScheme | None:
    """The label scheme of the task that a folder such as ``labelsTs`` belongs to, or None."""
    path = folder.resolve().parent / DESCRIPTION
    if not path.is_file():
        return None
    try:
        data = read_json(path)
        return named_scheme({int(value): str(name) for value, name in data["labels"].items()})
    except (CrganError, KeyError, TypeError, ValueError, AttributeError):
        return None  # some other program's dataset.json; the label values are then found out


def _task_folder(root: Path) -> Path | None:
    """The folder with ``dataset.json``: ``root``, or the one above one of its image folders."""
    candidates = [root, *([root.resolve().parent] if root.resolve().name in _PARTS else [])]
    for folder in candidates:
        try:
            data = read_json(folder / DESCRIPTION) if (folder / DESCRIPTION).is_file() else {}
        except CrganError:
            return folder  # damaged: let reading it say so
        if isinstance(data, dict) and "modality" in data:
            return folder
    return None


def _names(declared: tuple[str, ...], images: list[Path]) -> tuple[str, ...]:
    """The declared modalities, unless the files hold another number of channels (prostate tasks merge or drop some)."""
    present = [image for image in images if image.is_file()]
    found = channel_names(present[:1]) if present else declared
    return declared if len(found) == len(declared) else found


def _case(image: Path, label: Path | None) -> Case:
    case_id, _ = split_suffix(image)
    return Case(case_id=case_id, patient_id=case_id, images=(image,), label=label)
