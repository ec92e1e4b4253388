"""What a data set holds, as rows of text for people and as plain values for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import pi, prod, sqrt
from statistics import median
from typing import Any

from crgan.cases.case import Dataset
from crgan.cases.summary import FOREGROUND_PERCENTILES, PERCENTILES, CaseSummary
from crgan.errors import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Rows of text under headings; the first ``words`` columns hold words, the others figures."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1


def overview(dataset: Dataset, summaries: Sequence[CaseSummary]) -> list[Sheet]:
    """Describe a data set: its files, its modalities, and what its labels mark.

    Parameters
    ----------
    dataset
        The data set.
    summaries
        What was found in its cases; none gives a description without grids and intensities.

    Returns
    -------
    list of Sheet
        The last two are missing where there are no labels.
    """
    patients = len({case.patient_id for case in dataset.cases})
    rows = [
        ["layout", dataset.layout],
        ["cases", f"{len(dataset.cases)} of {patients} patients, {len(dataset.labelled)} labelled"],
    ]
    if summaries:
        axes = max(summary.dimensions for summary in summaries)
        movies = any(summary.dimensions == 2 and summary.shape[2] > 1 for summary in summaries)
        sizes = [summary.shape[: 3 if movies else axes] for summary in summaries]
        unit = "pixels and frames" if movies else "pixels" if axes == 2 else "voxels"
        rows += [
            ["size", f"{_by_axis(sizes)} {unit}"],
            ["spacing", f"{_by_axis([summary.spacing_mm[:axes] for summary in summaries])} mm"],
            *([] if axes == 2 else [["orientation", _counted(summary.orientation for summary in summaries)]]),
            ["type", _counted(summary.dtype for summary in summaries)],
            ["on disk", f"{sum(summary.bytes_on_disk for summary in summaries) / 1e6:.1f} MB"],
        ]
    sheets = [Sheet(columns=["data set", str(dataset.root)], rows=rows, words=2), _modalities(dataset, summaries)]
    if dataset.labels is not None and any(summary.label_voxels is not None for summary in summaries):
        sheets += [_targets(dataset, summaries), _lesions(dataset, summaries)]
    return sheets


def to_json(dataset: Dataset, summaries: Sequence[CaseSummary], problems: Sequence[Problem]) -> dict[str, Any]:
    """Everything that was found, as plain values: of the data set, of every case, and what is wrong."""
    return {
        "root": str(dataset.root),
        "layout": dataset.layout,
        "modalities": list(dataset.modalities),
        "labels": None if dataset.labels is None else dataset.labels.to_json(),
        "counts": {
            "cases": len(dataset.cases),
            "patients": len({case.patient_id for case in dataset.cases}),
            "labelled": len(dataset.labelled),
            "read": len(summaries),
        },
        "percentiles": {"all": list(PERCENTILES), "foreground": list(FOREGROUND_PERCENTILES)},
        "cases": [_case_to_json(summary) for summary in summaries],
        "problems": [{**asdict(problem), "where": None if problem.where is None else str(problem.where)} for problem in problems],
    }


def equivalent_diameter(size: float, *, dimensions: int) -> float:
    """Diameter of the ball (or, in a picture, the disc) of this volume (or area); 0 for nothing."""
    return 2 * sqrt(size / pi) if dimensions == 2 else float((6 * size / pi) ** (1 / 3))


def _case_to_json(summary: CaseSummary) -> dict[str, Any]:
    voxels = summary.label_voxels
    total = prod(summary.shape)
    return {
        **asdict(summary),
        "label_voxels": None if voxels is None else {str(value): count for value, count in voxels.items()},
        "targets": [
            {
                "name": target.name,
                "voxels": target.voxels,
                "share": target.voxels / total,
                "hole_voxels": target.holes,
                "lesions": [
                    {
                        "voxels": voxels,
                        "mm2" if summary.dimensions == 2 else "mm3": voxels * summary.voxel_size,
                        "diameter_mm": equivalent_diameter(voxels * summary.voxel_size, dimensions=summary.dimensions),
                    }
                    for voxels in target.lesions
                ],
            }
            for target in summary.targets
        ],
    }


def _modalities(dataset: Dataset, summaries: Sequence[CaseSummary]) -> Sheet:
    """Intensities of each modality over the cases that have all of them: the extremes, and the median case's foreground."""
    complete = [summary.channels for summary in summaries if len(summary.channels) == len(dataset.modalities)]
    rows = []
    for index, modality in enumerate(dataset.modalities):
        channels = [channels[index] for channels in complete]
        if not channels:
            rows.append([modality, *["–"] * 5])
            continue
        foreground = [median(channel.foreground[n] for channel in channels) for n in (0, 2, 4)]
        values = (min(c.minimum for c in channels), *foreground, max(c.maximum for c in channels))
        rows.append([modality, *(f"{value:.4g}" for value in values)])
    return Sheet(columns=["modality", "lowest", "5 % of foreground", "median", "95 %", "highest"], rows=rows)


def _lesions(dataset: Dataset, summaries: Sequence[CaseSummary]) -> Sheet:
    """How many pieces each class or region has in a case, and how large they are over all cases."""
    assert dataset.labels is not None  # noqa: S101 - the caller has looked
    labelled = [summary for summary in summaries if summary.targets]
    dimensions = max((summary.dimensions for summary in labelled), default=3)
    unit = "mm²" if dimensions == 2 else "mm³"
    rows = []
    for index, name in enumerate(dataset.labels.as_one().targets):
        counts = [len(summary.targets[index].lesions) for summary in labelled]
        sizes = sorted(voxels * summary.voxel_size for summary in labelled for voxels in summary.targets[index].lesions)
        if not sizes:
            rows.append([name, "0", *["–"] * 5])
            continue
        middle = median(sizes)
        rows.append(
            [
                name,
                str(sum(counts)),
                f"{min(counts)}–{max(counts)}",
                *(f"{value:.4g}" for value in (sizes[0], middle, sizes[-1])),
                f"{equivalent_diameter(middle, dimensions=dimensions):.3g} mm",
            ]
        )
    return Sheet(
        columns=["target", "pieces", "a case", f"smallest {unit}", "median", "largest", "diameter of the median"],
        rows=rows,
    )


def _targets(dataset: Dataset, summaries: Sequence[CaseSummary]) -> Sheet:
    """In how many labelled cases each class or region occurs, and which share of the voxels it fills there."""
    assert dataset.labels is not None  # noqa: S101 - the caller has looked
    instances, scheme = dataset.labels.instances, dataset.labels.as_one()
    labelled = [summary.label_voxels for summary in summaries if summary.label_voxels is not None]
    rows = []
    for index, target in enumerate(scheme.targets):
        members = scheme.table()[index]
        values = {value for value, member in zip(scheme.values, members, strict=True) if member}
        shares = []
        for voxels in labelled:
            known = {value: count for value, count in voxels.items() if value != dataset.labels.ignore}
            inside = sum(count for value, count in known.items() if (value > 0 if instances else value in values))
            if inside:
                shares.append(inside / sum(known.values()))
        found = [f"{min(shares):.3%}", f"{median(shares):.3%}", f"{max(shares):.3%}"] if shares else ["–", "–", "–"]
        names = "any" if instances else ", ".join(map(str, sorted(values)))
        rows.append([target, names, f"{len(shares)} of {len(labelled)}", *found])
    return Sheet(columns=["target", "label values", "in cases", "smallest share", "median", "largest"], rows=rows, words=2)


def _by_axis(triples: Sequence[Sequence[float]]) -> str:
    """``(36, 50, 35), (34, 52, 35)`` as ``34–36 × 50–52 × 35``."""
    ends = [(_number(min(axis)), _number(max(axis))) for axis in zip(*triples, strict=True)]
    return " × ".join(low if low == high else f"{low}–{high}" for low, high in ends)


def _number(value: float) -> str:
    """Whole numbers to their last digit, others to four."""
    return str(value) if isinstance(value, int) else f"{value:.4g}"


def _counted(names: Iterable[str]) -> str:
    """``RAS`` where all agree, else ``RAS (158), LAS (2)``."""
    counts = Counter(names).most_common()
    return counts[0][0] if len(counts) == 1 else ", ".join(f"{name} ({count})" for name, count in counts)
