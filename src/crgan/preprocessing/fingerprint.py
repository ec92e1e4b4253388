"""What the training data are like after preprocessing: the numbers that sizes of networks and crops are derived from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.errors import fail
from crgan.preprocessing.label_facts import CodeFacts
from crgan.preprocessing.stored import StoredCase

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Smallest, median and largest value over the cases, each ``(z, y, x)``."""

    low: Triple
    median: Triple
    high: Triple

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Range:
        """Summarise values of shape ``(cases, 3)``, at least one case."""
        return cls(low=_triple(values.min(axis=0)), median=_triple(np.median(values, axis=0)), high=_triple(values.max(axis=0)))

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Range:
        """Read what :meth:`Fingerprint.to_json` wrote."""
        return cls(low=_triple(data["low"]), median=_triple(data["median"]), high=_triple(data["high"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeSummary:
    """One code of the label scheme over all labelled cases.

    Parameters
    ----------
    code
        Position in :attr:`LabelScheme.values`, from 1.
    cases
        Labelled cases that have it.
    whole
        Those of them that have it in one connected piece.
    voxels
        Its voxels in all cases.
    share
        Of all voxels of the labelled cases whose label is known.
    extent
        Voxels ``(z, y, x)`` of the box around it, the median of the cases that have it; None if none has.
    smallest_component, median_component
        Voxels of its smallest connected piece of all cases, and the median of the cases' median pieces.
    """

    code: int
    cases: int
    whole: int
    voxels: int
    share: float
    extent: Triple | None
    smallest_component: int | None
    median_component: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """A set of prepared cases in numbers.

    Parameters
    ----------
    modalities
        Names of the channels.
    cases, patients, labelled
        How many there are.
    shape
        Voxels of the prepared arrays.
    spacing_mm
        Their voxel size.
    codes
        Every code of the label scheme from 1 on; empty without labels.
    foreground_share
        Share of voxels that have any code, of those whose label is known; 0 without labels.
    foreground_extent
        Voxels ``(z, y, x)`` of the box around all codes together, the median of the cases that have any; None if none has.
    instances
        The codes are objects and their border.
    """

    modalities: tuple[str, ...]
    cases: int
    patients: int
    labelled: int
    shape: Range
    spacing_mm: Range
    codes: tuple[CodeSummary, ...]
    foreground_share: float
    foreground_extent: Triple | None
    instances: bool = False

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fingerprint:
        """Read what :meth:`to_json` wrote."""
        codes = tuple(
            CodeSummary(**{**code, "extent": None if code["extent"] is None else _triple(code["extent"])}) for code in data["codes"]
        )
        extent = data["foreground_extent"]
        return cls(
            **{
                **data,
                "modalities": tuple(data["modalities"]),
                "shape": Range.from_json(data["shape"]),
                "spacing_mm": Range.from_json(data["spacing_mm"]),
                "codes": codes,
                "foreground_extent": None if extent is None else _triple(extent),
            }
        )


def take_fingerprint(stored: Sequence[StoredCase], *, instances: bool = False) -> Fingerprint:
    """Summarise prepared cases from their descriptions; no array is opened.

    Parameters
    ----------
    stored
        The training cases, all prepared by one pipeline.
    instances
        Their labels are of objects.

    Raises
    ------
    CrganError
        If there is no case.
    """
    if not stored:
        raise fail("A fingerprint needs at least one case.", got="no cases")
    labels = [(case, case.codes) for case in stored if case.codes is not None]
    voxels = sum(int(np.prod(case.shape)) - case.ignored for case, _ in labels)
    summaries = tuple(_summarise(facts, voxels) for facts in zip(*(codes for _, codes in labels), strict=True))
    extents = [extent for _, codes in labels if (extent := _extent(codes)) is not None]
    return Fingerprint(
        modalities=stored[0].modalities,
        cases=len(stored),
        patients=len({case.patient_id for case in stored}),
        labelled=len(labels),
        shape=Range.of(np.array([case.shape for case in stored], np.float64)),
        spacing_mm=Range.of(np.array([case.spacing_mm for case in stored], np.float64)),
        codes=summaries,
        foreground_share=sum(summary.voxels for summary in summaries) / voxels if voxels else 0.0,
        foreground_extent=_triple(np.median(extents, axis=0)) if extents else None,
        instances=instances,
    )


def _summarise(facts: Sequence[CodeFacts], voxels: int) -> CodeSummary:
    """Bring one code's facts of all labelled cases together."""
    own = sum(fact.voxels for fact in facts)
    extents = [extent for fact in facts if (extent := _extent([fact])) is not None]
    smallest = [fact.smallest for fact in facts if fact.smallest is not None]
    medians = [fact.median for fact in facts if fact.median is not None]
    return CodeSummary(
        code=facts[0].code,
        cases=len(extents),
        whole=sum(fact.components == 1 for fact in facts),
        voxels=own,
        share=own / voxels if voxels else 0.0,
        extent=_triple(np.median(extents, axis=0)) if extents else None,
        smallest_component=min(smallest, default=None),
        median_component=float(np.median(medians)) if medians else None,
    )


def _extent(codes: Sequence[CodeFacts]) -> NDArray[np.int64] | None:
    """Size of the box around several codes of one case; None if they have no voxel."""
    boxes = np.array([facts.box for facts in codes if facts.box is not None], np.int64)
    return boxes[:, :, 1].max(axis=0) - boxes[:, :, 0].min(axis=0) if len(boxes) else None


def _triple(values: Sequence[float] | NDArray[np.float64]) -> Triple:
    z, y, x = (float(value) for value in values)
    return z, y, x
