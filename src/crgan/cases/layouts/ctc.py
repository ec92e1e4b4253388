"""The Cell Tracking Challenge: ``01/t000.tif`` … with ``01_GT/SEG/man_seg000.tif`` and ``01_ST/SEG/`` beside.

Source: Maška et al., "The Cell Tracking Challenge: 10 years of objective benchmarking", Nature Methods 20 (2023), and the
challenge's "Naming and file content conventions".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from crgan.cases.case import Case
from crgan.cases.files import read_geometry
from crgan.cases.formats.frames import frame_time, frames_of
from crgan.cases.label_formats.ctc_slices import UNKNOWN
from crgan.cases.label_formats.ctc_truth import best_masks
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts.found import Found, channel_names, subfolders
from crgan.errors import CrganError

_SEQUENCE = re.compile(r"^\d{2,}$")


class CellTracking:
    """A sequence is a patient. Of pictures it is one case, a movie; of volumes every time point is a case.

    Gold truth where there is any, else silver truth.
    """

    name = "ctc"
    expects = "01/t000.tif … with 01_GT/SEG/man_seg000.tif or 01_ST/SEG/ beside (Cell Tracking Challenge)"

    def detect(self, root: Path) -> bool:
        """Whether there are folders of frames with two digits for a name, or the folder is one."""
        return bool(_sequences(root))

    def cases(self, root: Path) -> Found:
        """Take every sequence, with its truth where there is one."""
        cases = [case for sequence in _sequences(root) for case in ([_movie(sequence)] if _is_flat(sequence) else _volumes(sequence))]
        modalities = channel_names([case.images[0] for case in cases[:1]])
        return Found(cases=tuple(cases), modalities=modalities, labels=LabelScheme(classes={1: "cell"}, instances=True, ignore=UNKNOWN))


@dataclass(frozen=True, slots=True)
class Frame:
    """What a frame's path tells, both as the digits that stand there."""

    sequence: str
    time: str


def split_name(path: Path) -> Frame | None:
    """The sequence and time of ``01/t000.tif``; None for another name."""
    time = frame_time(path)
    return Frame(path.parent.name, time) if time is not None and _SEQUENCE.match(path.parent.name) else None


def split_movie(path: Path) -> tuple[Frame, ...]:
    """The sequence and time of every frame in the folder ``01``; nothing for another folder."""
    return tuple(Frame(path.name, time) for time in frames_of(path)) if _SEQUENCE.match(path.name) else ()


def _sequences(root: Path) -> list[Path]:
    candidates = [root] if _SEQUENCE.match(root.name) and frames_of(root) else subfolders(root)
    return [folder for folder in candidates if _SEQUENCE.match(folder.name) and frames_of(folder)]


def _is_flat(sequence: Path) -> bool:
    """Whether the frames are pictures, by the first; one that cannot be read is left to the integrity check."""
    try:
        return read_geometry(next(iter(frames_of(sequence).values())))[0].dimensions == 2
    except CrganError:
        return False


def _movie(sequence: Path) -> Case:
    truth = [mask.path.parent for _, mask in sorted(best_masks(sequence).items())]
    return Case(
        case_id=sequence.name,
        patient_id=sequence.name,
        images=(sequence,),
        label=truth[0] if truth else None,
        label_format="ctc_movie" if truth else None,
    )


def _volumes(sequence: Path) -> list[Case]:
    truth = best_masks(sequence)
    return [
        Case(
            case_id=f"{sequence.name}_t{time}",
            patient_id=sequence.name,
            images=(frame,),
            label=None if mask is None else mask.path,
            label_format="ctc_slices" if mask is not None and mask.slices else None,
        )
        for time, frame in frames_of(sequence).items()
        for mask in [truth.get(int(time))]
    ]
