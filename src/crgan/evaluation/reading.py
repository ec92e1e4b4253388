"""A mask and its label from their files, with what their values mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crgan.cases.files import read_labels
from crgan.cases.label_formats import read_label
from crgan.cases.labels import LabelScheme
from crgan.cases.schemes import declared_scheme, ignoring
from crgan.cases.volume import Volume
from crgan.errors import CrganError, Problem, fail
from crgan.evaluation.pairs import Pair, check_grid, some


@dataclass(frozen=True, slots=True, kw_only=True)
class Schemes:
    """What the values of the masks mean, and those of the labels; the targets are the same."""

    mask: LabelScheme
    truth: LabelScheme


def find_schemes(masks: Path, label_scheme: LabelScheme | None) -> Schemes:
    """Take the label scheme beside the masks, else the one that the labels come with.

    Where the same targets have other values in the labels (BraTS moved ET from 4 to 3), the labels say.

    Raises
    ------
    CrganError
        If there is neither.
    """
    scheme = declared_scheme(masks) or label_scheme
    if scheme is None:
        raise fail(
            "Nothing says what the label values mean.",
            where=masks,
            expected="labels.json beside the masks, as crgan predict writes it",
            fix='write it, for example {"classes": {"1": "lesion"}}',
        )
    if label_scheme is None:
        return Schemes(mask=scheme, truth=scheme)
    if label_scheme.targets != scheme.targets:
        return Schemes(mask=scheme, truth=ignoring(scheme, label_scheme.ignore))
    return Schemes(mask=scheme, truth=label_scheme if label_scheme.ignore is not None else ignoring(label_scheme, scheme.ignore))


def read_pair(pair: Pair, schemes: Schemes) -> tuple[Volume, Volume]:
    """Read a mask and its label, which lie on one grid and hold declared values only.

    Raises
    ------
    CrganError
        If a file cannot be read, the grids differ, or there are values that nobody declared.
    """
    mask = read_labels(pair.mask)
    label = read_label(pair.label, pair.label_format, image=mask.geometry)
    check_grid(pair, mask.geometry, label.geometry)
    problems = [
        problem
        for path, array, scheme in ((pair.mask, mask.array, schemes.mask), (pair.label, label.array, schemes.truth))
        if (problem := _undeclared(path, array, scheme)) is not None
    ]
    if problems:
        raise CrganError(problems)
    return mask, label


def _undeclared(path: Path, array: NDArray[np.generic], scheme: LabelScheme) -> Problem | None:
    """Tell of label values that the scheme does not know; instance ids may be anything from 0 up."""
    if scheme.instances:
        negative = [value for value in np.unique(array).tolist() if value < 0 and value != scheme.ignore]
        if not negative:
            return None
        return Problem(
            what="The file holds negative instance ids.", where=path, expected="0 for background, ids from 1 up", got=some(negative)
        )
    strange = [value for value in np.unique(array).tolist() if value not in scheme.declared]
    if not strange:
        return None
    return Problem(
        what="The file holds label values that nobody declared.",
        where=path,
        expected=some(scheme.declared),
        got=some(strange),
        fix="declare them in labels.json beside the masks, or correct the file",
    )
