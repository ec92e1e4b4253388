"""Layouts that phantoms are written in: what the readers in ``crgan.cases.layouts`` read, in the official file names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from crgan.cases.phantom.layouts.bids import write_bids
from crgan.cases.phantom.layouts.brats import write_brats_of
from crgan.cases.phantom.layouts.celldetect import write_celldetect
from crgan.cases.phantom.layouts.ctc import write_ctc
from crgan.cases.phantom.layouts.dicom import write_dicom, write_dicom_seg
from crgan.cases.phantom.layouts.dsb2018 import write_dsb2018
from crgan.cases.phantom.layouts.lits import write_lits
from crgan.cases.phantom.layouts.manifest import write_cases
from crgan.cases.phantom.layouts.msd import write_msd
from crgan.cases.phantom.layouts.nnunet import write_nnunet, write_nnunet_1
from crgan.cases.phantom.layouts.paired import write_paired
from crgan.cases.phantom.layouts.patient_folders import write_patient_folders
from crgan.cases.phantom.layouts.plain import write_plain
from crgan.cases.phantom.sample import Kind, Phantom

Writer = Callable[[Path, Iterator[Phantom], Kind], None]
"""Write phantoms of a kind to a folder."""

_BRAIN, _LIVER, _CELLS = ("brain",), ("liver",), ("cells",)
_VOLUMES = _BRAIN + _LIVER
_ALL = _VOLUMES + _CELLS

WRITERS: dict[str, tuple[Writer, tuple[str, ...]]] = {
    "bids": (write_bids, _VOLUMES),
    "brats2015": (write_brats_of("2015"), _BRAIN),
    "brats2017": (write_brats_of("2017"), _BRAIN),
    "brats2020": (write_brats_of("2020"), _BRAIN),
    "brats2021": (write_brats_of("2021"), _BRAIN),
    "brats2023": (write_brats_of("2023"), _BRAIN),
    "celldetect": (write_celldetect, _CELLS),
    "ctc": (write_ctc, _CELLS),
    "dicom": (write_dicom, _LIVER),
    "dicom_seg": (write_dicom_seg, _LIVER),
    "dsb2018": (write_dsb2018, _CELLS),
    "lits": (write_lits, _LIVER),
    "manifest": (write_cases, _ALL),
    "msd": (write_msd, _VOLUMES),
    "nnunet": (write_nnunet, _VOLUMES),
    "nnunet1": (write_nnunet_1, _VOLUMES),
    "paired": (write_paired, _ALL),
    "patient_folders": (write_patient_folders, _ALL),
    "plain": (write_plain, _ALL),
}
"""By name: the writer, and the kinds of phantoms that the layout is for."""

FLAT = ("celldetect", "dsb2018")
"""Layouts that hold pictures, but no stacks."""
