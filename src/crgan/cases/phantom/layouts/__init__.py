"""Layouts that phantoms are written in: what the readers in ``crgan.cases.layouts`` read, in the official file names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from crgan.cases.phantom.layouts.msd import write_msd
from crgan.cases.phantom.layouts.paired import write_paired
from crgan.cases.phantom.layouts.patient_folders import write_patient_folders
from crgan.cases.phantom.layouts.plain import write_plain
from crgan.cases.phantom.sample import Kind, Phantom

Writer = Callable[[Path, Iterator[Phantom], Kind], None]
"""Write phantoms of a kind to a folder."""

_VOLUMES, _ALL = ("brain", "liver"), ("brain", "liver", "cells")

WRITERS: dict[str, tuple[Writer, tuple[str, ...]]] = {
    "msd": (write_msd, _VOLUMES),
    "paired": (write_paired, _ALL),
    "patient_folders": (write_patient_folders, _ALL),
    "plain": (write_plain, _ALL),
}
"""By name: the writer, and the kinds of phantoms that the layout is for."""
