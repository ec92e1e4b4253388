"""A case: the files of one examination, and the data set it belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crgan.cases.labels import LabelScheme
from crgan.errors import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The files of one examination of one patient.

    Parameters
    ----------
    case_id
        The image file's stem without its modality suffix; unique in a data set.
    patient_id
        Whose examination it is; all cases of a patient stay on the same side of every split.
    images
        One file per modality in the data set's order, or a single file that holds all channels.
    label
        The expert's label map, or None.
    label_format
        How the label is read where it is not one label map in an image file: a key of
        :data:`crgan.cases.label_formats.LABEL_FORMATS`. ``label`` may then be a folder.
    reference
        Which of ``images`` lies on the grid that all are brought onto; None: the one on the label's grid, else the first.
    """

    case_id: str
    patient_id: str
    images: tuple[Path, ...]
    label: Path | None = None
    label_format: str | None = None
    reference: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What a layout found in a folder.

    Parameters
    ----------
    root
        The folder (or single file) it was read from.
    layout
        Name of the layout that read it.
    cases
        Labelled and unlabelled cases, sorted by id.
    modalities
        Names of the image channels, in order.
    labels
        What the label values mean; None if there are no labels at all.
    warnings
        What a user of the labels must know of them.
    """

    root: Path
    layout: str
    cases: tuple[Case, ...]
    modalities: tuple[str, ...]
    labels: LabelScheme | None
    warnings: tuple[Problem, ...] = ()

    @property
    def labelled(self) -> tuple[Case, ...]:
        """The cases that have a label file."""
        return tuple(case for case in self.cases if case.label is not None)
