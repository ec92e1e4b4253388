"""The masks of a sequence of the Cell Tracking Challenge: gold truth in ``01_GT/SEG``, else silver truth in ``01_ST/SEG``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crgan.cases.files import read_labels
from crgan.cases.formats.frames import frames_of
from crgan.cases.label_formats.ctc_slices import UNKNOWN
from crgan.cases.volume import Geometry, Volume
from crgan.errors import fail

_MASK = re.compile(r"^man_seg_?(?P<time>\d{3,})(?P<slice>_\d{3,})?\.tiff?$", re.IGNORECASE)
_TRUTH = re.compile(r"^(?P<sequence>\d{2,})_(GT|ST)$")


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask of a time point, or the first of those that each hold one of its slices."""

    path: Path
    slices: bool


def best_masks(sequence: Path) -> dict[int, Mask]:
    """The best truth of each time point of a sequence: gold, whole; gold, of some slices; silver."""
    masks: dict[int, Mask] = {}
    for kind in ("ST", "GT"):
        folder = sequence.with_name(f"{sequence.name}_{kind}") / "SEG"
        found = [(path, match) for path in sorted(folder.iterdir()) if (match := _MASK.match(path.name))] if folder.is_dir() else []
        # The first slice stands for all of its time point; a whole mask is better than any slice.
        for path, match in sorted(found, key=lambda item: (item[1]["slice"] is None, item[0])):
            time, slices = int(match["time"]), match["slice"] is not None
            known = masks.get(time)
            if slices and known is not None and known.slices and known.path.parent == path.parent:
                continue
            masks[time] = Mask(path, slices)
    return masks


class CtcMovie:
    """Any of a sequence's folders of masks stands for the best masks of all its frames.

    Frames without a mask hold :data:`~crgan.cases.label_formats.ctc_slices.UNKNOWN`. Ids go on from frame to frame: an object
    is a cell in one frame, as the challenge scores it.
    """

    def read(self, path: Path, image: Geometry) -> Volume:
        """Put the masks into a map of ids on the movie's grid; one that does not fit there is an error."""
        sequence = _sequence(path)
        places = {int(time): place for place, time in enumerate(frames_of(sequence))}
        ids = np.full((1, *image.shape), UNKNOWN, np.int32)
        highest = 0
        for time, mask in sorted(best_masks(sequence).items()):
            if time not in places:
                continue
            frame = read_labels(mask.path).array[0]
            if mask.slices or places[time] >= image.shape[2] or frame.shape != (*image.shape[:2], 1):
                raise fail(
                    "The mask does not fit its frame.",
                    where=mask.path,
                    expected=f"a picture of {image.shape[0]} x {image.shape[1]} pixels",
                    got=f"slice{mask.path.stem[-4:]} of a stack" if mask.slices else " x ".join(map(str, frame.shape)),
                    fix="check that it belongs to this sequence",
                )
            ids[0, ..., places[time]] = np.where(frame[..., 0] > 0, frame[..., 0].astype(np.int32) + highest, 0)
            highest = max(highest, int(ids[0, ..., places[time]].max()))
        return Volume(ids, image)

    def parts(self, path: Path) -> tuple[Path, ...]:
        """The masks in the order of their frames."""
        return tuple(mask.path for _, mask in sorted(best_masks(_sequence(path)).items()))


def _sequence(path: Path) -> Path:
    """The folder of frames that ``01_GT/SEG`` belongs to."""
    match = _TRUTH.match(path.parent.name)
    return path.parent.with_name(match["sequence"] if match else path.parent.name)
