"""Cases that are unlike the others of their data set: their grids and their intensities.

What most cases share is how the data set is; what few have and the others have not is worth a look. So each of these checks needs
several cases, and falls silent where the oddity is common.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from crgan.cases.case import Dataset
from crgan.cases.summary import CaseSummary, Evidence
from crgan.errors import Problem

_ENOUGH = 5  # cases that are needed to say what is usual
_FEW = 0.2  # the share of the cases that may be unusual
_TIMES = 10.0  # the median: a spacing this far from it is an outlier …
_UNITS = 100.0  # … and this far, another unit
_METRES_MM = 1.0  # no patient is smaller than this
_FEWER_SLICES = 4.0
_SCALES = 100.0
_LONE = 0.02  # scales differ from scanner to scanner: what this share of the cases has in common is one more scanner
_CT_INTERCEPT = 1024.0
_INVERTED = 0.6
_HOLE_VOXELS = 8
_HOLE_SHARE = 0.005  # of the target's voxels; smaller ones are what thresholds and brushes leave

Judged = tuple[CaseSummary, Evidence]


def odd_units(dataset: Dataset, cases: Sequence[Judged]) -> list[Problem]:
    """Grids given in metres, or in another unit that is far from millimetres."""
    tiny = {
        summary.case_id: summary
        for summary, evidence in cases
        if evidence.units_guessable and summary.dimensions == 3 and max(_extent_mm(summary)) < _METRES_MM
    }
    return [
        Problem(
            kind="units",
            what=f"Case {summary.case_id} is less than a millimetre large.",
            where=_image(dataset, summary),
            expected="an affine in millimetres",
            got=f"{_by(_extent_mm(summary))} mm; in metres that would be {_by([1000 * mm for mm in _extent_mm(summary)])} mm",
            fix="multiply the affine by 1000; if these are cells, all is well",
            severity="error" if len(tiny) < len(cases) else "warning",
        )
        for summary in tiny.values()
    ]


def odd_spacing(dataset: Dataset, cases: Sequence[Judged]) -> list[Problem]:
    """Voxels ten times larger or smaller than usual."""
    known = [summary for summary, _ in cases if summary.dimensions == 3 and max(_extent_mm(summary)) >= _METRES_MM]
    if len(known) < _ENOUGH:
        return []
    usual = np.median([sorted(summary.spacing_mm) for summary in known], axis=0)
    return [
        Problem(
            kind="spacing",
            what=f"The voxels of case {summary.case_id} are of an unusual size.",
            where=_image(dataset, summary),
            expected=f"about {_by(usual)} mm, as in most cases",
            got=f"{_by(sorted(summary.spacing_mm))} mm",
            fix="compare the header with the scan's protocol, and correct it",
            severity="error" if ratio >= _UNITS else "warning",
        )
        for summary in known
        if (ratio := float(np.exp(np.abs(np.log(np.array(sorted(summary.spacing_mm)) / usual)).max()))) >= _TIMES
    ]


def nominal_spacing(dataset: Dataset, cases: Sequence[Judged]) -> list[Problem]:
    """Headers that say 1 mm, as programs write them that do not know, among others that know."""
    known = [summary for summary, _ in cases if summary.dimensions == 3]
    nominal = [summary for summary in known if summary.spacing_mm == (1.0, 1.0, 1.0)]
    if len(known) < _ENOUGH or not 0 < len(nominal) <= _FEW * len(known):
        return []
    others = np.array([summary.spacing_mm for summary in known if summary.spacing_mm != (1.0, 1.0, 1.0)])
    usual = np.median(others, axis=0)
    alike = (np.abs(others / usual - 1) < 0.5).all(axis=1).mean() > 1 - _FEW
    if not alike or np.abs(np.log(usual)).max() < np.log(1.25):
        return []
    return [
        Problem(
            kind="nominal-spacing",
            what=f"The header of case {summary.case_id} says 1 mm along every axis, unlike the others.",
            where=_image(dataset, summary),
            expected=f"about {_by(usual)} mm, as in most cases",
            got="1 x 1 x 1 mm, which programs write that do not know better",
            fix="restore the spacing from the original scan",
            severity="warning",
        )
        for summary in nominal
    ]


def mirrored(dataset: Dataset, cases: Sequence[Judged]) -> list[Problem]:
    """Grids whose left and right run the other way than in the other cases, axes being the same otherwise."""
    known = [(summary, evidence) for summary, evidence in cases if summary.dimensions == 3]
    counts = Counter(summary.orientation for summary, _ in known)
    if len(known) < _ENOUGH:
        return []
    usual, count = counts.most_common(1)[0]
    if count < (1 - _FEW) * len(known):
        return []
    swapped = usual.translate(str.maketrans("LR", "RL"))
    return [
        Problem(
            kind="mirrored",
            what=f"Left and right of case {summary.case_id} run the other way than in the other cases.",
            where=_image(dataset, summary),
            expected=f"{usual}, as in {count} cases",
            got=swapped,
            fix="look at the heart, the liver or a marker; if left is right, correct the sign in the header. If not, all is well",
            severity="warning",
        )
        for summary, _ in known
        if summary.orientation == swapped
    ]


def few_slices(dataset: Dataset, cases: Sequence[Judged]) -> list[Problem]:
    """Volumes with far fewer slices than the others."""
    known = [summary for summary, _ in cases if summary.dimensions == 3]
    if len(known) < _ENOUGH:
        return []
    axis = int(np.argmin(np.median([summary.shape for summary in known], axis=0)))
    usual = float(np.median([summary.shape[axis] for summary in known]))
    return [
        Problem(
            kind="few-slices",
            what=f"Case {summary.case_id} has few slices.",
            where=_image(dataset, summary),
            expected=f"about {usual:g}, as in most cases",
            got=f"{summary.shape[axis]}",
            fix="check that the series is complete; leave out localisers and single slices",
            severity="warning",
        )
        for summary in known
        if summary.shape[axis] * _FEWER_SLICES <= usual
    ]


def odd_scale(dataset: Dataset, cases: Sequence[Judged]) -> list[Problem]:
    """Images on a scale of their own, such as 0 to 1 among 0 to 4095."""
    problems: dict[str, Problem] = {}
    for number, modality, known, low, width in _ranges(dataset, cases):
        usual = float(np.median(width))
        odd = (width > 0) & (usual > 0) & (np.abs(np.log(np.maximum(width, 1e-12) / max(usual, 1e-12))) >= np.log(_SCALES))
        if odd.sum() > max(1, _LONE * len(known)):
            continue
        for place in np.flatnonzero(odd):
            name = known[place].case_id
            problems.setdefault(
                name,
                Problem(
                    kind="intensity-scale",
                    what=f"The intensities of case {name} are on another scale than the others'.",
                    where=_image(dataset, known[place], number),
                    expected=f"{modality} over a range of about {usual:.4g}, as in most cases",
                    got=f"from {low[place]:.4g} to {low[place] + width[place]:.4g}",
                    fix="convert it like the others",
                    severity="warning",
                ),
            )
    return list(problems.values())


def lost_intercept(dataset: Dataset, cases: Sequence[Judged]) -> list[Problem]:
    """CT without its intercept among Hounsfield units, or the other way round: values are 1024 off."""
    problems = []
    for number, modality, known, low, width in _ranges(dataset, cases):
        usual, zero = float(np.median(width)), float(np.median(low))
        odd = (np.abs(np.abs(low - zero) - _CT_INTERCEPT) <= 0.1 * _CT_INTERCEPT) & (np.minimum(low, zero) <= -_CT_INTERCEPT / 2)
        if usual < _CT_INTERCEPT / 2 or odd.mean() > _FEW:
            continue
        problems += [
            Problem(
                kind="intensity-offset",
                what=f"The intensities of case {known[place].case_id} are about 1024 off.",
                where=_image(dataset, known[place], number),
                expected=f"{modality} from about {zero:.0f} on, as in most cases",
                got=f"from {low[place]:.0f} on",
                fix="convert it like the others: the rescale intercept was left out, or applied twice",
                severity="warning",
            )
            for place in np.flatnonzero(odd)
        ]
    return problems


def inverted_labels(dataset: Dataset, cases: Sequence[Judged]) -> list[Problem]:
    """Masks in which the background is marked and the object is not."""
    if dataset.labels is None or dataset.labels.instances:
        return []
    shares = {summary.case_id: _marked_share(dataset, summary) for summary, evidence in cases if evidence.label_sound}
    usual = float(np.median(list(shares.values()))) if len(shares) >= _ENOUGH else 1.0
    labels = {case.case_id: case.label for case in dataset.cases}
    return [
        Problem(
            kind="inverted-label",
            what=f"The label of case {name} marks most of the image.",
            where=labels.get(name),
            expected=f"about {usual:.1%} of the voxels, as in most cases",
            got=f"{share:.1%}",
            fix="check whether background and foreground are exchanged",
            severity="warning",
        )
        for name, share in shares.items()
        if share >= _INVERTED and usual < (1 - _INVERTED) / 2
    ]


def holes(dataset: Dataset, cases: Sequence[Judged]) -> list[Problem]:
    """Labels with holes, where most labels have none."""
    found = [
        (summary, [target for target in summary.targets if target.holes >= max(_HOLE_VOXELS, _HOLE_SHARE * target.voxels)])
        for summary, evidence in cases
        if evidence.label_sound and _marked_share(dataset, summary) < _INVERTED
    ]
    marked = [(summary, targets) for summary, targets in found if targets]
    if len(marked) > max(1, _FEW * len(found)):
        return []
    labels = {case.case_id: case.label for case in dataset.cases}
    return [
        Problem(
            kind="label-holes",
            what=f"The label of case {summary.case_id} has holes.",
            where=labels.get(summary.case_id),
            expected="a filled region, as in most cases",
            got=", ".join(f"{target.holes} voxels of background enclosed by {target.name} ({target.voxels} voxels)" for target in targets),
            fix="fill the holes, unless they are meant",
            severity="warning",
        )
        for summary, targets in marked
    ]


COHORT_CHECKS: tuple[Callable[[Dataset, Sequence[Judged]], list[Problem]], ...] = (
    odd_units,
    odd_spacing,
    nominal_spacing,
    mirrored,
    few_slices,
    odd_scale,
    lost_intercept,
    inverted_labels,
    holes,
)
"""What is looked for in the cases side by side; a new check is a function and a line here."""


def _marked_share(dataset: Dataset, summary: CaseSummary) -> float:
    ignored = None if dataset.labels is None else dataset.labels.ignore
    voxels = {value: count for value, count in (summary.label_voxels or {}).items() if value != ignored}
    return 1 - voxels.get(0, 0) / max(sum(voxels.values()), 1)


def _ranges(
    dataset: Dataset, cases: Sequence[Judged]
) -> Iterator[tuple[int, str, list[CaseSummary], NDArray[np.float64], NDArray[np.float64]]]:
    """Of each modality its number and name, the volumes that have all modalities, and where their intensities begin and how far they go."""
    known = [s for s, _ in cases if len(s.channels) == len(dataset.modalities) and s.dimensions == 3]
    for number, modality in enumerate(dataset.modalities if len(known) >= _ENOUGH else ()):
        ends = np.array([[s.channels[number].percentiles[0], s.channels[number].percentiles[2]] for s in known])
        yield number, modality, known, ends[:, 0], ends[:, 1] - ends[:, 0]


def _image(dataset: Dataset, summary: CaseSummary, modality: int = 0) -> str | None:
    images = next((case.images for case in dataset.cases if case.case_id == summary.case_id), ())
    return str(images[min(modality, len(images) - 1)]) if images else None


def _extent_mm(summary: CaseSummary) -> list[float]:
    return [n * mm for n, mm in zip(summary.shape, summary.spacing_mm, strict=True)]


def _by(values: Sequence[float] | NDArray[np.float64]) -> str:
    return " x ".join(f"{value:.3g}" for value in values)
