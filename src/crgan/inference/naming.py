"""Masks in the file names and label values that a challenge's evaluation accepts.

A new naming is a class of two methods here and an entry in :data:`NAMINGS`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from crgan.cases.case import Case
from crgan.cases.files import read_geometry, split_suffix
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import ctc, lits
from crgan.cases.layouts.brats_names import MODALITIES, read_name
from crgan.cases.layouts.nnunet import split_channel
from crgan.errors import CrganError, Problem, fail

# Formats that keep their voxels in a second file are read, but not written.
_DETACHED = (".mhd", ".nhdr")
# Pictures that are read, but not written; an X-ray's DICOM file has no ending that counts.
_INSTEAD = {".pgm": ".png", "": ".png"}
_VOLUME = ".nii.gz"
_MOVIE = ".tif"


class Naming(Protocol):
    """How a challenge wants masks to be named, and which values to stand in them."""

    def files(self, case: Case) -> tuple[str, ...]:
        """Name of the case's mask, or of one for each frame of a movie, relative to the output folder.

        ``CrganError`` if the challenge has no such case.
        """

    def scheme(self, case: Case, labels: LabelScheme) -> LabelScheme:
        """Label values to write for the model's targets; ``CrganError`` if the challenge asks for other targets."""


class ById:
    """``CASE_ID.nii.gz``, pictures in their own format, with the values that the model was trained on: the default."""

    def files(self, case: Case) -> tuple[str, ...]:
        """Name a mask by its case."""
        suffix = split_suffix(case.images[0])[1]
        if suffix in _DETACHED:
            return (case.case_id + _VOLUME,)
        geometry = read_geometry(case.images[0])[0]
        if geometry.is_movie:
            return (case.case_id + _MOVIE,)
        return (case.case_id + (_INSTEAD.get(suffix, suffix) if geometry.dimensions == 2 else _VOLUME),)

    def scheme(self, case: Case, labels: LabelScheme) -> LabelScheme:
        """Keep the model's values."""
        del case
        return labels


class Msd(ById):
    """The Decathlon's: ``CASE_ID.nii.gz``, as the images are called."""

    def files(self, case: Case) -> tuple[str, ...]:
        """Name a mask by its case."""
        return (case.case_id + _VOLUME,)


class NnUNet(ById):
    """nnU-Net's: the case without its channel, in the format of the images."""

    def files(self, case: Case) -> tuple[str, ...]:
        """Name a mask by its case: ``liver_01_0000.nrrd`` gives ``liver_01.nrrd``."""
        suffix = split_suffix(case.images[0])[1]
        named = split_channel(case.images[0])
        return ((case.case_id if named is None else named[0]) + (_VOLUME if suffix in _DETACHED else suffix),)


class Brats:
    """BraTS: ``CASE_ID.nii.gz``, up to 2015 ``VSD.Seg_CASE_ID.NUMBER.mha`` with the FLAIR image's number; the year's label values."""

    def files(self, case: Case) -> tuple[str, ...]:
        """Name a mask by its case and year."""
        scans = [read_name(path) for path in case.images]
        if None in scans:
            raise _no_such_case(case, "BraTS", "official file names, such as BraTS2021_00000_t1ce.nii.gz")
        first = min((scan for scan in scans if scan is not None), key=lambda scan: MODALITIES.index(scan.modality or MODALITIES[-1]))
        return (f"VSD.Seg_{case.case_id}.{first.number}.mha" if first.number else case.case_id + _VOLUME,)

    def scheme(self, case: Case, labels: LabelScheme) -> LabelScheme:
        """Take the values of the case's year for WT, TC and ET, whatever year the model was trained on."""
        scan = read_name(case.images[0])
        return labels if scan is None else _official(labels, scan.release.labels, "BraTS")


class Lits:
    """LiTS: ``test-segmentation-N.nii`` for ``test-volume-N.nii``, 1 for the liver and 2 for lesions."""

    def files(self, case: Case) -> tuple[str, ...]:
        """Name a mask by its volume's number."""
        name = lits.split_name(case.images[0])
        if name is None or name[1] != "volume":
            raise _no_such_case(case, "LiTS", "test-volume-N.nii or volume-N.nii")
        return (f"{'test-' if name[0] else ''}segmentation-{name[2]}.nii",)

    def scheme(self, case: Case, labels: LabelScheme) -> LabelScheme:
        """Take the challenge's values."""
        del case
        return _official(labels, lits.LABELS, "LiTS")


class CellTracking:
    """The Cell Tracking Challenge: ``01_RES/mask000.tif`` for ``01/t000.tif``, ids of 16 bits."""

    def files(self, case: Case) -> tuple[str, ...]:
        """Name a mask for every frame by its sequence and time, with as many digits as the frame has."""
        frame = ctc.split_name(case.images[0])
        frames = ctc.split_movie(case.images[0]) if frame is None else (frame,)
        if not frames:
            raise _no_such_case(case, "The Cell Tracking Challenge", "frames such as 01/t000.tif")
        return tuple(f"{frame.sequence}_RES/mask{frame.time}.tif" for frame in frames)

    def scheme(self, case: Case, labels: LabelScheme) -> LabelScheme:
        """Keep the ids of the objects; a model that does not part them has none."""
        if not labels.instances:
            raise fail(
                "The Cell Tracking Challenge asks for objects.",
                where=f"--naming, case {case.case_id}",
                expected="a model trained on instances",
                got=", ".join(labels.targets),
                fix="leave --naming out, or train on labels that are ids of objects",
            )
        return labels


DEFAULT = ById()
NAMINGS: dict[str, Naming] = {"brats": Brats(), "ctc": CellTracking(), "lits": Lits(), "msd": Msd(), "nnunet": NnUNet()}
"""By what ``--naming`` calls them."""


def choose_naming(name: str | None) -> Naming:
    """The naming of that name; the default for None.

    Raises
    ------
    CrganError
        If there is none.
    """
    if name is None:
        return DEFAULT
    if name not in NAMINGS:
        raise fail("There is no such naming.", where="--naming", expected=", ".join(NAMINGS), got=name, fix="use one of these")
    return NAMINGS[name]


def mask_paths(naming: Naming, cases: tuple[Case, ...], out: Path) -> dict[str, tuple[Path, ...]]:
    """Where the mask of each case goes, or those of a movie's frames, by case id.

    Raises
    ------
    CrganError
        With every case that the challenge does not have; or if two cases would have the same file.
    """
    problems: list[Problem] = []
    paths: dict[str, tuple[Path, ...]] = {}
    for case in cases:
        try:
            paths[case.case_id] = tuple(out / name for name in naming.files(case))
        except CrganError as error:
            problems += error.problems
    if problems:
        raise CrganError(problems)
    owners: dict[Path, str] = {}
    for case_id, path in ((case_id, path) for case_id, files in paths.items() for path in files):
        if path in owners:
            got = f"{owners[path]}, {case_id}"
            raise fail("Two cases would have the same mask.", where=path, got=got, fix="predict them one at a time, with --cases")
        owners[path] = case_id
    return paths


def _official(labels: LabelScheme, official: LabelScheme, challenge: str) -> LabelScheme:
    """The challenge's values for the model's targets; the model's own where they are the challenge's classes."""
    if labels.targets == official.targets:
        return official
    if labels.exclusive and set(labels.values) == set(official.values):
        return labels
    raise fail(
        f"The model does not segment what {challenge} asks for.",
        where="--naming",
        expected=", ".join(official.targets),
        got=", ".join(labels.targets),
        fix="leave --naming out",
    )


def _no_such_case(case: Case, challenge: str, expected: str) -> CrganError:
    return fail(
        f"{challenge} has no case such as {case.case_id}.",
        where=case.images[0],
        expected=expected,
        got=case.images[0].name,
        fix="leave --naming out, or give the files their official names",
    )
