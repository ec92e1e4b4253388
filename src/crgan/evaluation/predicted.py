"""Predicted cases with their probability maps, held against the experts' labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crgan.cases.files import read_labels, read_volume
from crgan.cases.label_formats import read_label
from crgan.cases.labels import IGNORED, LabelScheme
from crgan.cases.layouts import open_labels
from crgan.cases.schemes import declared_scheme, ignoring
from crgan.cases.volume import Geometry
from crgan.errors import fail
from crgan.evaluation.images import Imaged, find_images, read_foreground
from crgan.evaluation.overlap import Mask
from crgan.evaluation.pairs import Pair, find_masks, find_patients, pair_up


@dataclass(frozen=True, kw_only=True, eq=False)
class Predicted:
    """What was predicted of a case, and the truth; arrays are on the label's grid ``(I, J, K)``, targets first.

    Instances are one target, the mask of all objects.

    Parameters
    ----------
    pair
        The files.
    patient
        Whose case it is.
    imaged
        Its image.
    scheme
        What the values of the mask mean.
    truth_scheme
        What the values of the label mean.
    """

    pair: Pair
    patient: str
    imaged: Imaged
    scheme: LabelScheme
    truth_scheme: LabelScheme

    @property
    def targets(self) -> tuple[str, ...]:
        """The K targets that are held against the truth."""
        return self.scheme.as_one().targets

    @cached_property
    def geometry(self) -> Geometry:
        """The grid."""
        return read_labels(self.pair.mask).geometry

    @cached_property
    def decided(self) -> Mask:
        """The masks, bool ``(K, I, J, K)``."""
        mask = read_labels(self.pair.mask).array[0]
        return self.scheme.as_one().masks(self.scheme.as_one().encode(self.scheme.merge(mask)))

    @cached_property
    def truth(self) -> Mask:
        """The expert's masks, bool ``(K, I, J, K)``; empty where nothing is known."""
        return self.truth_scheme.as_one().masks(self._codes)

    @cached_property
    def judged(self) -> Mask:
        """Where masks are compared, bool ``(I, J, K)``: in the foreground and on the truth, as far as that is known."""
        somewhere = read_foreground(self.imaged, self.geometry) | self.truth.any(axis=0)
        return np.asarray(somewhere & (self._codes != IGNORED))

    def maps(self, kind: str) -> NDArray[np.float32]:
        """Read the maps that ``crgan predict`` wrote: ``"probability"``, ``"fn"`` or ``"fp"``, float32 ``(K, I, J, K)``.

        Those of the inside and of the border of instances are added up: a voxel of an object is one or the other.
        """
        maps = self.maps_by_class(kind)
        return np.minimum(maps.sum(axis=0, keepdims=True), 1) if self.scheme.instances else maps

    def maps_by_class(self, kind: str) -> NDArray[np.float32]:
        """The same, of instances the inside and the border apart."""
        folder, case = self.pair.mask.parent / "maps", self.pair.case_id
        files = [folder / f"{case}_{target.replace(' ', '-')}_{kind}.nii.gz" for target in self.scheme.targets]
        return np.stack([read_volume(file, dtype=np.float32).array[0] for file in files])

    @cached_property
    def _codes(self) -> NDArray[np.uint8]:
        label = read_label(self.pair.label, self.pair.label_format, image=self.geometry).array[0]
        return self.truth_scheme.as_one().encode(self.truth_scheme.merge(label))


def find_predicted(
    masks: Path,
    labels: Path,
    images: Path,
    *,
    cases: Sequence[str] | None = None,
    layout: str | None = None,
    pattern: str | None = None,
    group: str | None = None,
) -> Iterator[Predicted]:
    """Find what ``crgan predict`` wrote, with labels and images; nothing but headers is read before it is asked for.

    Parameters
    ----------
    masks
        The folder that was predicted to.
    labels, images
        The experts' labels and the images, in any layout.
    cases, layout, pattern, group
        As in :func:`crgan.evaluation.evaluate.evaluate`.

    Raises
    ------
    CrganError
        If masks, labels or images are missing.
    """
    scheme = declared_scheme(masks)
    if scheme is None:
        raise fail("Nothing says what the label values mean.", where=masks, expected="labels.json, as crgan predict writes it")
    truth = open_labels(labels, layout=layout, pattern=pattern)
    pairs = pair_up(find_masks(masks), truth.files, masks=masks, labels=labels, cases=cases, formats=truth.formats)
    imaged = find_images(images, pairs, labels=labels, layout=layout, pattern=pattern)
    patients = find_patients(pairs, labels, group)
    same = truth.scheme is not None and truth.scheme.targets == scheme.targets
    truth_scheme = truth.scheme if same and truth.scheme else ignoring(scheme, truth.scheme.ignore if truth.scheme else None)
    for pair in pairs:
        yield Predicted(pair=pair, patient=patients[pair.case_id], imaged=imaged[pair.case_id], scheme=scheme, truth_scheme=truth_scheme)
