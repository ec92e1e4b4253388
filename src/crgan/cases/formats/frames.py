"""The frames of a movie, each a picture of its own in one folder: ``t000.tif``, ``t001.tif`` …, as in the Cell Tracking Challenge."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crgan.cases.formats import unreadable
from crgan.cases.formats.pictures import Tiff, movie_geometry
from crgan.cases.volume import Geometry, Volume
from crgan.errors import fail

_FRAME = re.compile(r"^t(?P<time>\d{3,})\.tiff?$", re.IGNORECASE)
_TIFF = Tiff()


def frame_time(path: Path) -> str | None:
    """The digits of a frame's time, ``"017"`` of ``t017.tif``; None for another name."""
    match = _FRAME.match(path.name)
    return match["time"] if match else None


def frames_of(folder: Path) -> dict[str, Path]:
    """The frames right in a folder by the digits of their time, in order; empty if there are none or it is no folder."""
    if not folder.is_dir():
        return {}
    found = {time: path for path in folder.iterdir() if (time := frame_time(path)) is not None}
    return {time: found[time] for time in sorted(found, key=int)}


class Frames:
    """A folder of frames, which is a movie ``(C, rows, columns, frames)``."""

    suffixes: tuple[str, ...] = ()  # told by content
    errors: tuple[type[Exception], ...] = _TIFF.errors

    def accepts(self, path: Path) -> bool:
        """Whether it is a folder with frames."""
        return bool(frames_of(path))

    def parts(self, path: Path) -> tuple[Path, ...]:
        """The frames in order."""
        return tuple(frames_of(path).values())

    def read(self, path: Path, *, labels: bool) -> Volume:
        """Read all frames; one that differs from the first in size, or is no picture, is an error."""
        parts = self.parts(path)
        movie: NDArray[np.generic] | None = None
        for number, part in enumerate(parts):
            try:
                frame = _TIFF.read(part, labels=labels).array
            except _TIFF.errors as error:
                raise unreadable(part, error) from error
            if movie is None:
                _require_picture(part, frame.shape)
                channels, rows, columns, _ = frame.shape
                # Frame after frame in memory, as the working arrays have them.
                movie = np.empty((channels, len(parts), rows, columns), frame.dtype)
            elif frame.shape != (len(movie), *movie.shape[2:], 1):
                raise fail(
                    "The frames of a movie differ in size.",
                    where=part,
                    expected=f"{_size((len(movie), *movie.shape[2:], 1))}, as {parts[0].name}",
                    got=_size(frame.shape),
                    fix="remove the frames that do not belong here, or crop all to one size",
                )
            if not np.can_cast(frame.dtype, movie.dtype):
                movie = movie.astype(np.promote_types(frame.dtype, movie.dtype))
            movie[:, number] = frame[..., 0]
        assert movie is not None  # noqa: S101 - accepts has looked
        return Volume(movie.transpose(0, 2, 3, 1), movie_geometry(movie.shape[2], movie.shape[3], len(parts)))

    def header(self, path: Path) -> tuple[Geometry, int]:
        """Read the grid and the number of channels of the first frame, and count the frames."""
        parts = self.parts(path)
        try:
            geometry, channels = _TIFF.header(parts[0])
        except _TIFF.errors as error:
            raise unreadable(parts[0], error) from error
        _require_picture(parts[0], (channels, *geometry.shape))
        return movie_geometry(*geometry.shape[:2], len(parts)), channels

    def write(self, path: Path, array: NDArray[np.generic], geometry: Geometry, *, suffix: str) -> None:  # noqa: ARG002
        """Refuse: masks are written as one file, or as a file for each frame under names that the challenge asks for."""
        raise fail("A movie is not written as a folder.", where=path, expected=".tif", got=suffix, fix="name a .tif file")


def _require_picture(path: Path, shape: tuple[int, ...]) -> None:
    if shape[3] > 1:
        raise fail(
            "A frame of the movie is a stack, not a picture.",
            where=path,
            expected="one page a frame",
            got=f"{shape[3]} pages",
            fix="open each stack as a volume of its own",
        )


def _size(shape: tuple[int, ...]) -> str:
    channels, rows, columns, pages = shape
    several = [f"{count} {what}" for count, what in ((channels, "channels"), (pages, "pages")) if count > 1]
    return ", ".join([f"{rows} x {columns} pixels", *several])
