"""Conformal risk control: the sensitivity that keeps the mean share of what is missed below a limit (Angelopoulos et al. 2022).

The sets that are promised are nested: at λ they hold every voxel whose corrected probability P* is at least 1 − λ, which is
Eq. 7 with p = 1 − λ and q = λ. At λ = 1 they hold everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

import cc3d
import numpy as np
from numpy.typing import NDArray

from crgan.errors import fail

Unit = Literal["voxel", "lesion"]
Mask = NDArray[np.bool_]

LARGEST_SET = 0.25
"""Promised sets that hold a larger share of the image's voxels than this, on average, say nothing and are refused."""

LEVELS = int(np.array(1, np.float16).view(np.uint16)) + 1
"""Half-precision numbers from 0 to 1, which are in the order of their bits."""


def levels_of(probabilities: NDArray[np.floating]) -> NDArray[np.uint16]:
    """The place of each probability among the half-precision numbers from 0 to 1, same shape; larger ones have larger places."""
    half = np.clip(probabilities, 0, 1).astype(np.float16) + np.float16(0)  # since -0 has other bits
    return np.asarray(half.view(np.uint16))


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarantee:
    """What is promised of a target.

    Parameters
    ----------
    sensitivity
        λ, from 0 to 1.
    patients
        How many calibration patients have the target.
    marked
        Mean share of the calibration images' voxels that the set holds.
    missed
        Mean share that the set misses of the calibration patients' truth.
    """

    sensitivity: float
    patients: int
    marked: float
    missed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A limit on what is missed, and what keeps to it.

    Parameters
    ----------
    max_fnr
        The limit α on the mean share missed.
    per
        Of what: voxels, or lesions of which no voxel is marked.
    targets
        What is promised of each target.
    """

    max_fnr: float
    per: Unit
    targets: Mapping[str, Guarantee]

    def statement(self, target: str) -> str:
        """Say in words what is promised of a target, and what breaks it."""
        what = "voxels" if self.per == "voxel" else "lesions"
        return (
            f"Among new patients who have {target}, the set misses at most {100 * self.max_fnr:g} % of its {what} on average, "
            f"if they come from the same population and scanners as the {self.targets[target].patients} patients it was calibrated on."
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file, with the statement in words."""
        return {
            "max_fnr": self.max_fnr,
            "per": self.per,
            "targets": {
                name: {
                    "lambda": found.sensitivity,
                    "patients": found.patients,
                    "marked": found.marked,
                    "missed": found.missed,
                    "statement": self.statement(name),
                }
                for name, found in self.targets.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Promise:
        """Read what :meth:`to_json` gave."""
        return cls(
            max_fnr=float(data["max_fnr"]),
            per=data["per"],
            targets={
                name: Guarantee(
                    sensitivity=float(found["lambda"]),
                    patients=int(found["patients"]),
                    marked=float(found["marked"]),
                    missed=float(found["missed"]),
                )
                for name, found in data["targets"].items()
            },
        )


def promised_set(probabilities: NDArray[np.floating], sensitivity: float) -> Mask:
    """Mark the voxels whose probability is at least 1 − ``sensitivity``, as they were counted in calibration."""
    return np.asarray(probabilities.astype(np.float16) >= 1 - sensitivity)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Counted:
    """One image and target at every sensitivity there is, from marking everything to marking what is certain.

    Parameters
    ----------
    missed
        Share of the truth that is missed, one value per level of the probability that is asked for; None without truth.
    marked
        Share of the voxels that is marked, per level.
    """

    missed: NDArray[np.float64] | None
    marked: NDArray[np.float64]


def count(probabilities: NDArray[np.floating], truth: Mask, *, per: Unit, within: Mask | None = None) -> Counted:
    """Count what is missed and marked at every sensitivity.

    Parameters
    ----------
    probabilities
        Of one target, ``(Z, Y, X)``, from 0 to 1.
    truth
        Its mask. Without a true voxel nothing can be missed: ``missed`` is None.
    per
        Whether voxels are counted or lesions (26-connected components), which are missed if no voxel of theirs is marked.
    within
        Where the truth is known; None for everywhere.
    """
    levels = levels_of(probabilities)
    every = _below(levels.ravel() if within is None else levels[within])
    found = levels[truth]
    if per == "lesion" and found.size:
        lesions = cc3d.connected_components(truth, connectivity=26)[truth]
        highest = np.zeros(int(lesions.max()) + 1, np.uint16)
        np.maximum.at(highest, lesions, found)
        found = highest[1:]
    return Counted(missed=_below(found) if found.size else None, marked=1 - every)


def _below(levels: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Share of the values below each level."""
    counts = np.bincount(levels, minlength=LEVELS)
    return np.asarray((np.cumsum(counts) - counts) / len(levels))


def control(patients: Sequence[Sequence[Counted]], *, max_fnr: float, target: str) -> Guarantee:
    """Find the smallest λ with (n·R(λ) + 1) / (n + 1) ≤ α, where R is the mean share missed over n patients.

    Parameters
    ----------
    patients
        For each calibration patient the images counted. Only patients and images that have the target count for R.
    max_fnr
        The limit α, above 0 and below 1.
    target
        Its name, for messages.

    Raises
    ------
    CrganError
        If there are too few patients to promise anything, or the set would hold so much that it says nothing.
    """
    curves = [
        np.mean([image.missed for image in images if image.missed is not None], axis=0)
        for images in patients
        if any(image.missed is not None for image in images)
    ]
    n, needed = len(curves), ceil(round(1 / max_fnr, 9)) - 1
    if n < max(needed, 1):
        raise fail(
            "There are too few patients to promise so little missed.",
            where=target,
            expected=f"at least {max(needed, 1)} patients who have it",
            got=str(n),
            fix=f"add calibration patients, or allow more to be missed: --max-fnr {1 / (n + 1) if n else 0.5:.2g}",
        )
    risk = np.mean(curves, axis=0)
    level = int(np.flatnonzero((n * risk + 1) / (n + 1) <= max_fnr).max())  # level 0 marks everything and misses nothing
    marked = float(np.mean([image.marked[level] for images in patients for image in images]))
    if marked > LARGEST_SET:
        raise fail(
            "To miss so little, the set would have to mark so much that it says nothing.",
            where=target,
            expected=f"at most {LARGEST_SET:.0%} of the voxels marked",
            got=f"{marked:.0%}, calibrated on {n} patients",
            fix="train longer or on more patients, add calibration patients, or allow more to be missed with --max-fnr",
        )
    asked = float(np.array(level, np.uint16).view(np.float16))
    return Guarantee(sensitivity=1 - asked, patients=n, marked=marked, missed=float(risk[level]))
