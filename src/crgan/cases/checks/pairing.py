"""Does the label lie where its image says? Masks that are upside down, turned, or belong to another case.

A label is a partition of the voxels near it: each class, and what lies just outside. If it belongs to the image, the intensities
differ from part to part; if it does not, the parts look alike. How much they differ is the share of the variance of the (ranked)
intensities that lies between the parts, known as eta squared or the correlation ratio: 0 for no difference, 1 for parts that
share no intensity.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from crgan.cases.case import Case
from crgan.cases.files import read_volume
from crgan.cases.labels import IGNORED
from crgan.cases.regions import Box
from crgan.cases.summary import Inspection, Probe
from crgan.errors import Problem

Integer = TypeVar("Integer", bound=np.integer)

_PLACES = 2000  # of the label, and as many outside: more would not change a verdict
_STARTS = 20_000  # labelled voxels from which the outside is looked for
_FEWEST = 100  # voxels below which chance could speak
_REACH = 2  # voxels to the outside
_LOOKED_AT = 12  # cases whose images are read again to find out whose label theirs is

# In a data set whose labels can be seen in the images, a label is doubted that agrees much less than usual, and an explanation is
# believed that agrees about as well as usual. In one whose labels cannot be seen (grey matter in grey matter) nothing is said.
_USUAL = 5  # cases that are needed to say what is usual
_VISIBLE = 0.15
_POOR_SHARE, _GOOD_SHARE = 0.25, 0.6
# Of few cases each must speak for itself, and more clearly.
_POOR, _GOOD, _TIMES = 0.15, 0.3, 4.0
_UNRELATED = 0.02
_ALL_SHARE = 0.8  # of the labels must be turned alike, if all may be


def take_probe(codes: NDArray[np.uint8], box: Box, shape: tuple[int, int, int]) -> Probe | None:
    """Choose places of a label map and just outside; the same map gives the same places.

    Parameters
    ----------
    codes
        uint8 ``(I, J, K)`` in the box that holds all that is labelled, 0 for background, 255 for ignored voxels.
    box
        Where that box lies in the image.
    shape
        Size of the image.

    Returns
    -------
    Probe or None
        None where fewer than 100 voxels are labelled or lie outside.
    """
    corner = np.array([part.start for part in box], np.int32)
    numbers = _sample(np.flatnonzero((codes > 0) & (codes != IGNORED)), _STARTS)
    inside = np.stack(np.unravel_index(numbers, codes.shape), axis=1).astype(np.int32)
    if len(inside) < _FEWEST:
        return None
    # Just outside: the background two voxels beyond a labelled voxel, found by stepping out from many of them.
    margin = np.pad(codes, _REACH)
    steps = [step * np.eye(3, dtype=np.int32)[axis] for axis in range(3) if shape[axis] > 1 for step in (-_REACH, _REACH)]
    beyond = np.concatenate([inside + step for step in steps])
    beyond = beyond[margin[tuple((beyond + _REACH).T)] == 0]
    beyond = beyond[((beyond + corner >= 0) & (beyond + corner < shape)).all(axis=1)]
    if len(beyond) < _FEWEST:
        return None
    inside, beyond = _sample(inside, _PLACES), _sample(beyond, _PLACES)
    groups = np.concatenate([codes[tuple(inside.T)], np.zeros(len(beyond), np.uint8)])
    return Probe(shape=shape, places=np.concatenate([inside, beyond]) + corner, groups=groups)


def agreement(image: Sequence[NDArray[Any]], probe: Probe, places: NDArray[np.int32] | None = None) -> tuple[float, NDArray[np.float64]]:
    """Measure how much the intensities differ between the parts of a label.

    Parameters
    ----------
    image
        Channels, each ``(I, J, K)``.
    probe
        The places.
    places
        Other places of the same parts, for a label that is turned.

    Returns
    -------
    float
        Eta squared of the ranks in the channel that shows the label best: 0 for a constant image.
    NDArray
        float64 ``(C, codes)``, the mean rank of each part, from 0 for the darkest to 1 for the brightest place; NaN for a part
        without places.
    """
    where = probe.places if places is None else places
    best, means = 0.0, np.full((len(image), 256), np.nan)
    counts = np.bincount(probe.groups, minlength=256)
    present = counts > 0
    for number, channel in enumerate(image):
        if channel.shape != probe.shape:  # a modality on a grid of its own, which is resampled later
            continue
        values = np.nan_to_num(channel[tuple(where.T)].astype(np.float64))
        _, inverse, repeats = np.unique(values, return_inverse=True, return_counts=True)
        ranks = (np.cumsum(repeats) - repeats / 2)[inverse] / values.size  # ties share their mean rank
        total = ranks.var()
        if total == 0:
            continue
        sums = np.bincount(probe.groups, weights=ranks, minlength=256)
        means[number, present] = sums[present] / counts[present]
        between = float((counts[present] * (means[number, present] - ranks.mean()) ** 2).sum() / values.size)
        best = max(best, between / total)
    return best, means[:, : int(np.flatnonzero(present)[-1]) + 1]


def turned_places(probe: Probe) -> dict[str, NDArray[np.int32]]:
    """The places of the label if it had been stored the wrong way, by what was done to it."""
    found = {}
    for axis, name in enumerate(("first", "second", "third")):
        if probe.shape[axis] > 1:
            places = probe.places.copy()
            places[:, axis] = probe.shape[axis] - 1 - places[:, axis]
            found[f"reversed along its {name} axis"] = places
    if probe.shape[0] == probe.shape[1]:
        found["stored with rows and columns exchanged"] = probe.places[:, [1, 0, 2]]
    return found


def mispaired_labels(cases: Sequence[Case], inspections: Sequence[Inspection], *, explained: set[int]) -> list[Problem]:
    """Find labels that lie elsewhere than their images say.

    Parameters
    ----------
    cases, inspections
        Which cases were read, and what was found in each.
    explained
        Numbers of cases with which something else is wrong, which are left out.
    """
    known = [own for inspection in inspections if (own := inspection.evidence.agreement) is not None]
    usual = float(np.median(known)) if len(known) >= _USUAL else None
    if usual is not None and usual < _VISIBLE:
        return _all_turned(cases, inspections)
    poor, good = (_POOR, _GOOD) if usual is None else (_POOR_SHARE * usual, _GOOD_SHARE * usual)
    doubtful = [
        number
        for number, inspection in enumerate(inspections)
        if number not in explained and (own := inspection.evidence.agreement) is not None and own < poor
    ]
    turned = turned_labels(cases, inspections, doubtful, good, times=1.0 if usual is not None else _TIMES)
    exchanged = exchanged_labels(cases, inspections, [number for number in doubtful if number not in turned], good)
    solved = {*turned, *(number for pair in exchanged for number in pair)}
    rest = [number for number in doubtful if number not in solved]
    return [*turned.values(), *exchanged.values(), *([] if usual is None else unrelated_labels(cases, inspections, rest, usual))]


def turned_labels(
    cases: Sequence[Case], inspections: Sequence[Inspection], doubtful: Sequence[int], good: float, *, times: float
) -> dict[int, Problem]:
    """Find the labels that would agree with their images if they were turned, by the number of the case."""
    problems = {}
    for number in doubtful:
        how, best = max(inspections[number].evidence.turned.items(), key=lambda item: item[1], default=("", 0.0))
        if best >= max(good, times * _own(inspections[number])):
            problems[number] = _turned(cases[number], how, _own(inspections[number]), best)
    return problems


def _all_turned(cases: Sequence[Case], inspections: Sequence[Inspection]) -> list[Problem]:
    """Labels all of which were turned alike: then none agrees with its image, and nearly all would in the same other way."""
    known = {number: inspection.evidence for number, inspection in enumerate(inspections) if inspection.evidence.agreement is not None}
    ways = Counter(how for evidence in known.values() for how, fit in evidence.turned.items() if fit >= _GOOD)
    how, count = ways.most_common(1)[0] if ways else ("", 0)
    if count < _ALL_SHARE * len(known):
        return []
    return [
        _turned(cases[number], how, _own(inspections[number]), evidence.turned[how])
        for number, evidence in known.items()
        if evidence.turned.get(how, 0.0) >= _GOOD
    ]


def _turned(case: Case, how: str, own: float, best: float) -> Problem:
    return Problem(
        kind="turned-label",
        what=f"The label of case {case.case_id} is {how}.",
        where=case.label,
        expected="a label that follows what the image shows",
        got=f"of the variance of intensities {own:.0%} lies between its parts as it is, {best:.0%} if it is turned back",
        fix="turn the label (or pair slices and masks in the other order), then look at one case to be sure",
    )


def exchanged_labels(
    cases: Sequence[Case], inspections: Sequence[Inspection], doubtful: Sequence[int], good: float
) -> dict[tuple[int, int], Problem]:
    """Find pairs of cases each of whose labels agrees with the other's image, by their numbers."""
    looked_at = sorted(doubtful, key=lambda number: _own(inspections[number]))[:_LOOKED_AT]
    fits: dict[tuple[int, int], float] = {}
    for a in looked_at:
        partners = [b for b in looked_at if b != a and _grid(inspections[b]) == _grid(inspections[a])]
        channels = _read(cases[a]) if partners else []
        for b in partners:
            probe = inspections[b].evidence.probe
            assert probe is not None  # noqa: S101 - a case without places is never in doubt
            fits[a, b] = agreement(channels, probe)[0]
    problems: dict[tuple[int, int], Problem] = {}
    solved: set[int] = set()
    for a, b in sorted(fits, key=lambda pair: -min(fits[pair], fits[pair[::-1]])):
        fit = min(fits[a, b], fits[b, a])
        if a < b and not solved & {a, b} and fit >= max(good, _own(inspections[a]), _own(inspections[b])):
            solved |= {a, b}
            problems[a, b] = Problem(
                kind="exchanged-labels",
                what=f"The labels of cases {cases[a].case_id} and {cases[b].case_id} are exchanged.",
                where=f"{cases[a].label}, {cases[b].label}",
                expected="labels that follow what their images show",
                got=f"each fits the other's image better: {fit:.0%} of the variance of intensities lies between its parts",
                fix="exchange the two files, and check the others against their source",
            )
    return problems


def unrelated_labels(cases: Sequence[Case], inspections: Sequence[Inspection], doubtful: Sequence[int], usual: float) -> list[Problem]:
    """Find the labels that have nothing to do with their images, although the others' have."""
    return [
        Problem(
            kind="unrelated-label",
            what=f"The label of case {cases[number].case_id} does not follow its image.",
            where=cases[number].label,
            expected=f"about {usual:.0%} of the variance of intensities between its parts, as in the other cases",
            got=f"{_own(inspections[number]):.1%}",
            fix="look at it: it may be shifted, turned, or of another case",
            severity="warning",
        )
        for number in doubtful
        if _own(inspections[number]) < _UNRELATED
    ]


def _own(inspection: Inspection) -> float:
    return inspection.evidence.agreement or 0.0


def _grid(inspection: Inspection) -> tuple[int, int, int] | None:
    return None if inspection.evidence.probe is None else inspection.evidence.probe.shape


def _read(case: Case) -> list[NDArray[Any]]:
    return [channel for path in case.images for channel in read_volume(path).array]


def _sample(places: NDArray[Integer], most: int) -> NDArray[Integer]:
    """At most ``most`` places, drawn the same way every time."""
    if len(places) <= most:
        return places
    return places[np.sort(np.random.default_rng(0).choice(len(places), most, replace=False, shuffle=False))]
