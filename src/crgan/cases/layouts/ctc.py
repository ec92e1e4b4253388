"""The Cell Tracking Challenge: ``01/t000.tif`` … with ``01_GT/SEG/man_seg000.tif`` and ``01_ST/SEG/`` beside.

Source: Maška et al., "The Cell Tracking Challenge: 10 years of objective benchmarking", Nature Methods 20 (2023), and the
challenge's "Naming and file content conventions".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from crgan.cases.case import Case
from crgan.cases.label_formats.ctc_slices import UNKNOWN
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts.found import Found, channel_names, subfolders

_SEQUENCE = re.compile(r"^\d{2,}$")
_FRAME = re.compile(r"^t(?P<time>\d{3,})\.tiff?$", re.IGNORECASE)
_MASK = re.compile(r"^man_seg_?(?P<time>\d{3,})(?P<slice>_\d{3,})?\.tiff?$", re.IGNORECASE)


class CellTracking:
    """A sequence is a patient, a time point a case. Gold truth where there is any, else silver truth."""

    name = "ctc"
    expects = "01/t000.tif … with 01_GT/SEG/man_seg000.tif or 01_ST/SEG/ beside (Cell Tracking Challenge)"

    def detect(self, root: Path) -> bool:
        """Whether there are folders of frames with two digits for a name, or the folder is one."""
        return bool(_sequences(root))

    def cases(self, root: Path) -> Found:
        """Take every frame, with its truth where there is one."""
        cases = []
        for sequence in _sequences(root):
            truth = _truth(sequence)
            for time, frame in _frames(sequence).items():
                mask = truth.get(int(time))
                cases.append(
                    Case(
                        case_id=f"{sequence.name}_t{time}",
                        patient_id=sequence.name,
                        images=(frame,),
                        label=None if mask is None else mask.path,
                        label_format="ctc_slices" if mask is not None and mask.slices else None,
                    )
                )
        modalities = channel_names([case.images[0] for case in cases[:1]])
        return Found(cases=tuple(cases), modalities=modalities, labels=LabelScheme(classes={1: "cell"}, instances=True, ignore=UNKNOWN))


@dataclass(frozen=True, slots=True)
class Frame:
    """What a frame's path tells, both as the digits that stand there."""

    sequence: str
    time: str


def split_name(path: Path) -> Frame | None:
    """The sequence and time of ``01/t000.tif``; None for another name."""
    match = _FRAME.match(path.name)
    return Frame(path.parent.name, match["time"]) if match and _SEQUENCE.match(path.parent.name) else None


@dataclass(frozen=True, slots=True)
class _Mask:
    path: Path
    slices: bool  # some slices of the volume alone, each a file of its own


def _sequences(root: Path) -> list[Path]:
    candidates = [root] if _SEQUENCE.match(root.name) and _frames(root) else subfolders(root)
    return [folder for folder in candidates if _SEQUENCE.match(folder.name) and _frames(folder)]


def _frames(sequence: Path) -> dict[str, Path]:
    """The frames by the digits of their time."""
    if not sequence.is_dir():
        return {}
    return {match["time"]: path for path in sorted(sequence.iterdir()) if (match := _FRAME.match(path.name))}


def _truth(sequence: Path) -> dict[int, _Mask]:
    """The best truth of each time point: gold, whole; gold, of some slices; silver."""
    masks: dict[int, _Mask] = {}
    for kind in ("ST", "GT"):
        folder = sequence.with_name(f"{sequence.name}_{kind}") / "SEG"
        found = [(path, match) for path in sorted(folder.iterdir()) if (match := _MASK.match(path.name))] if folder.is_dir() else []
        # The first slice stands for all of its time point; a whole mask is better than any slice.
        for path, match in sorted(found, key=lambda item: (item[1]["slice"] is None, item[0])):
            time, slices = int(match["time"]), match["slice"] is not None
            known = masks.get(time)
            if slices and known is not None and known.slices and known.path.parent == path.parent:
                continue
            masks[time] = _Mask(path, slices)
    return masks
