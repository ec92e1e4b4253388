"""What looking again would bring: how many of the missed lesions and voxels lie in the first places of a list, and what looking costs.

The places are those of ``crgan predict --where-to-look``; a reader who looks at the first k of every case finds what lies in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray

from crgan.evaluation.overlap import Mask, check_masks

AT = (0, 1, 2, 3, 5, 10, 20, 50)
"""Numbers of places that a table shows."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Review:
    """One case and target.

    Parameters
    ----------
    looked
        Voxels of each place, ``(R,)``, by rank.
    missed_voxels
        Voxels of the truth that were not marked.
    recovered
        Those of them that lie in each place, ``(R,)``.
    found_at
        For each lesion that was missed altogether the rank of the first place that holds a voxel of it, 0 if none does.
    """

    looked: NDArray[np.int64]
    missed_voxels: int
    recovered: NDArray[np.int64]
    found_at: NDArray[np.int64]


def review(ranks: NDArray[np.integer], mask: Mask, truth: Mask) -> Review:
    """Hold the places of a case against what was missed.

    Parameters
    ----------
    ranks
        The rank of the place each voxel belongs to, from 1 up; 0 for none.
    mask, truth
        Bool, same shape, with 2 or 3 dimensions.

    Returns
    -------
    Review
        Without places or misses its arrays are empty.

    Raises
    ------
    ValueError
        If a mask is not bool or the shapes differ.
    """
    check_masks(mask, truth)
    if ranks.shape != truth.shape:
        message = f"ranks must be of the masks' shape {truth.shape}; got {ranks.shape}"
        raise ValueError(message)
    places = int(ranks.max(initial=0))
    missed = truth & ~mask
    # Not as bool: cc3d 4.1.1 then invents pixels in pictures with 8 neighbours.
    lesions = np.asarray(cc3d.connected_components(truth.view(np.uint8), connectivity=8 if truth.ndim == 2 else 26))
    found = np.zeros(int(lesions.max(initial=0)) + 1, bool)
    found[np.unique(lesions[mask])] = True
    first = np.full(found.size, places + 1, np.int64)
    there = (ranks > 0) & truth
    np.minimum.at(first, lesions[there], ranks[there].astype(np.int64))
    found_at = first[1:][~found[1:]]
    return Review(
        looked=np.bincount(ranks.ravel(), minlength=places + 1)[1:],
        missed_voxels=int(np.count_nonzero(missed)),
        recovered=np.bincount(ranks[missed], minlength=places + 1)[1:],
        found_at=np.where(found_at > places, 0, found_at),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What the first k places of every case cost and bring.

    Parameters
    ----------
    most
        k.
    places, voxels
        Places and voxels looked at, mean over all cases.
    lesions_found, lesions_missed
        Of all lesions that were missed altogether how many lie in them, and how many there are.
    voxels_found
        Share of the missed voxels that lies in them, mean over the cases that have any; None without.
    """

    most: int
    places: float
    voxels: float
    lesions_found: int
    lesions_missed: int
    voxels_found: float | None


def workload(reviews: Sequence[Review], *, most: int) -> Workload:
    """Add up what the first ``most`` places of each case bring; of one target, over at least one case."""
    shares = [each.recovered[:most].sum() / each.missed_voxels for each in reviews if each.missed_voxels]
    return Workload(
        most=most,
        places=float(np.mean([min(most, each.looked.size) for each in reviews])),
        voxels=float(np.mean([each.looked[:most].sum() for each in reviews])),
        lesions_found=sum(int(((each.found_at > 0) & (each.found_at <= most)).sum()) for each in reviews),
        lesions_missed=sum(each.found_at.size for each in reviews),
        voxels_found=float(np.mean(shares)) if shares else None,
    )
