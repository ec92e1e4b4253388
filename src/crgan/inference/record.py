"""What the masks of a folder were made with, so that a prediction that was stopped can go on."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from crgan.cases.files import image_parts
from crgan.errors import fail
from crgan.files import read_json, remove_unfinished, write_json
from crgan.inference.jobs import CaseJob, Request

RECORD = ".prediction.json"
"""Beside the masks, and hidden: a folder may be handed in as it is."""


class Record:
    """What a prediction depends on besides the images.

    Parameters
    ----------
    out
        Folder of the masks.
    model
        Digest of the model.
    request
        What is asked of every case.
    """

    def __init__(self, out: Path, *, model: str, request: Request) -> None:
        self._path = out / RECORD
        self._told: dict[str, Any] = {"model": model, "crgan": version("crgan"), **request.to_json()}

    def begin(self) -> None:
        """Write down that a prediction begins: masks that are older are none of its own."""
        write_json(self._path, self._told)

    def left(self, jobs: Sequence[CaseJob]) -> list[CaseJob]:
        """The jobs that a prediction which was stopped has not done, or has done with images that were changed since.

        Raises
        ------
        CrganError
            If the folder holds something else than such a prediction, or one by another model or other settings.
        """
        if not self._path.is_file():
            if self._path.parent.is_dir() and any(self._path.parent.iterdir()):
                raise fail(
                    "The folder does not tell what its masks were made with.",
                    where=self._path,
                    fix="choose another --out, or give --overwrite in place of --resume",
                )
            self.begin()
            return list(jobs)
        found = read_json(self._path)
        found = found if isinstance(found, dict) else {}
        other = sorted(key for key in {*self._told, *found} if self._told.get(key) != found.get(key))
        if other:
            raise fail(
                "The masks in the folder were made with another model or other settings.",
                where=self._path,
                expected=", ".join(f"{key}: {self._told.get(key)}" for key in other),
                got=", ".join(f"{key}: {found.get(key)}" for key in other),
                fix="give the same model and settings, choose another --out, or give --overwrite in place of --resume",
            )
        remove_unfinished(self._path.parent)
        begun = self._path.stat().st_mtime_ns
        return [job for job in jobs if not _is_done(job, begun)]


def _is_done(job: CaseJob, begun: int) -> bool:
    if not all(mask.is_file() for mask in job.masks):
        return False
    changed = max(begun, *(part.stat().st_mtime_ns for path in job.case.images for part in (path, *image_parts(path))))
    return min(mask.stat().st_mtime_ns for mask in job.masks) >= changed
