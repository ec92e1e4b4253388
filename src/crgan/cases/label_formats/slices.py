"""A folder with one picture for each file of a DICOM series, as in CHAOS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crgan.cases.files import is_image, read_labels
from crgan.cases.formats.dicom import all_series, series_of
from crgan.cases.formats.dicom_headers import Header, natural
from crgan.cases.formats.dicom_stack import stack_geometry
from crgan.cases.volume import Geometry, Volume
from crgan.errors import fail


class Slices:
    """Every picture is the mask of the DICOM file of the same name or, where names differ, of the same rank among names.

    The pairing goes by names on both sides. Only then are slices put where their DICOM files lie, in an order that may well
    run against that of the names. Numbers in names count as numbers: ``slice2`` comes before ``slice10``.
    """

    def read(self, path: Path, image: Geometry) -> Volume:  # noqa: ARG002 - the series beside the folder tells the grid
        """Read all pictures; a number that differs from that of the DICOM files, or another size, is an error."""
        pictures = self.parts(path)
        series = _series_beside(path, pictures)
        by_name = sorted((header.path for header in series), key=natural)
        if len(pictures) != len(by_name):
            raise fail(
                "There are not as many masks as DICOM files.",
                where=path,
                expected=f"{len(by_name)} pictures, one for each file in {by_name[0].parent.name}",
                got=f"{len(pictures)} pictures",
                fix="add the missing masks, empty ones too, or remove those that do not belong here",
            )
        stems = {picture.stem: picture for picture in pictures}
        same_names = set(stems) == {file.stem for file in by_name}
        mask_of = (
            {file.name: stems[file.stem] for file in by_name} if same_names else dict(zip((f.name for f in by_name), pictures, strict=True))
        )
        geometry = stack_geometry(series)
        columns, rows, _ = geometry.shape
        masks = []
        for header in series:
            picture = mask_of[header.path.name]
            mask = read_labels(picture).array[0, ..., 0]
            if mask.shape != (rows, columns):
                got = f"{mask.shape[0]} x {mask.shape[1]}"
                raise fail(
                    "A mask differs in size from its DICOM file.",
                    where=picture,
                    expected=f"{rows} x {columns}, as {header.path.name}",
                    got=got,
                    fix="check that it belongs to this series",
                )
            masks.append(mask)
        return Volume(np.stack(masks).transpose(2, 1, 0)[None], geometry)

    def parts(self, path: Path) -> tuple[Path, ...]:
        """The pictures of the folder by name."""
        return tuple(sorted((part for part in path.iterdir() if is_image(part)), key=natural)) if path.is_dir() else ()


def _series_beside(masks: Path, pictures: Sequence[Path]) -> tuple[Header, ...]:
    """The series in the folder above the masks or in another folder there; of several, the one with the pictures' names or number."""
    parent = masks.resolve().parent
    folders = [parent, *sorted(child for child in parent.iterdir() if child.is_dir() and child.name != masks.name)]
    found = [series for folder in folders for series in all_series(folder)]
    stems = {picture.stem for picture in pictures}
    same_names = [series for series in found if {header.path.stem for header in series} == stems]
    same_number = [series for series in found if len(series) == len(pictures)]
    choice = next((some for some in (same_names, same_number, found) if len(some) == 1), None)
    if choice is None:
        raise fail(
            "It cannot be told which DICOM series the masks belong to.",
            where=masks,
            expected="one series of as many files in the folder above, or beside the masks",
            got=f"{len(found)} series",
            fix="keep each series with its masks in a folder of its own",
        )
    return series_of(choice[0][0].path)
