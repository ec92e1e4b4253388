"""Patient-wise mini-batches (paper, section 2.3): every group is several sequences of one patient and plane.

All randomness of step ``n`` comes from (seed, stage, n), so a resumed run needs no sampler state: of the ``k`` batches of a
step, the first is drawn by the number ``n k``, and the others by those that follow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crgan.arrays import mapped
from crgan.cases.labels import IGNORED
from crgan.config import AugmentationSettings, Plane
from crgan.preprocessing.stored import StoredCase
from crgan.sequences.augmentation import Change, draw_change, reach, recolour, sample, sampling_points
from crgan.sequences.batch import Batch, Share
from crgan.sequences.coarsening import average_blocks
from crgan.sequences.planes import as_slice_index, as_slices

# Draws before a voxel is taken whose label is not known: where one in a hundred is, these find it in 92 of 100 cases.
_TRIES = 256
# Far below the share of one voxel in a coarse pixel; keeps a pixel without any known voxel from being divided by 0.
_LEAST_LABELLED = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCase:
    """A prepared case, and what else a stage needs of it.

    Parameters
    ----------
    stored
        Image, label and the places of each class.
    probabilities
        ``(K, Z, Y, X)``, the generator's, where the refiner is trained.
    candidates
        ``(N, 3)`` voxel indices to draw crops around in place of anywhere; None for anywhere.
    errors
        ``(N, 3)`` voxel indices where the generator is wrong; crops are drawn around them as around a class.

    In place of an array may stand the ``.npy`` file that holds it. It is mapped when it is read: for very many cases, arrays
    would outgrow memory, and mapped files the process' file descriptors.
    """

    stored: StoredCase
    probabilities: NDArray[np.float16] | Path | None = None
    candidates: NDArray[np.int32] | Path | None = None
    errors: NDArray[np.int32] | Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """Draws mini-batches.

    Parameters
    ----------
    cases
        The training cases.
    table
        Which target holds which label code: bool ``(K, codes)``.
    planes, crops
        The planes, and the rows and columns of a crop in each, in the network's pixels.
    coarseness
        In-plane voxels that make one pixel, along each side.
    groups, sequences, length
        Groups in a batch, sequences in a group, slices in a sequence.
    augmentation
        What is changed at random.
    seed
        A different stream for every run and stage.
    accumulate
        Batches of a step.
    process
        The number of this process and how many share each batch, by groups; what they get together does not depend on it.
    """

    cases: Sequence[TrainingCase]
    table: NDArray[np.bool_]
    planes: Sequence[Plane]
    crops: Mapping[Plane, tuple[int, int]]
    coarseness: int
    groups: int
    sequences: int
    length: int
    augmentation: AugmentationSettings
    seed: tuple[int, ...]
    accumulate: int = 1
    process: tuple[int, int] = (0, 1)
    _patients: list[list[TrainingCase]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        patients: dict[str, list[TrainingCase]] = defaultdict(list)
        for case in self.cases:
            patients[case.stored.patient_id].append(case)
        # Once, because every batch draws from them; frozen, hence this way.
        object.__setattr__(self, "_patients", [patients[name] for name in sorted(patients)])

    def step(self, number: int, device: torch.device) -> list[Batch]:
        """Draw the batches of a step, onto ``device``."""
        return [self.batch(number * self.accumulate + more, device) for more in range(self.accumulate)]

    def batch(self, number: int, device: torch.device) -> Batch:
        """Draw a batch by its number, onto ``device``."""
        random = np.random.default_rng([*self.seed, number])
        plane = self.planes[int(random.integers(len(self.planes)))]
        chosen = random.choice(len(self._patients), size=self.groups, replace=self.groups > len(self._patients))
        process, processes = self.process
        here = range(self.groups * process // processes, self.groups * (process + 1) // processes)
        drawn: list[tuple[Tensor, ...]] = []
        changes: list[Change] = []
        for group, index in enumerate(chosen):
            cases = self._patients[index]
            case = cases[random.integers(len(cases))]
            for sequence in range(self.sequences):
                change = draw_change(self.augmentation, random, plane)
                centre = self._centre(case, plane, random, uniform=sequence == 0)
                if group in here:
                    drawn.append(self._read(case, plane, change, centre))
                    changes.append(change)
        images, codes, valid, *rest = (torch.stack(parts).to(device) for parts in zip(*drawn, strict=True))
        generator = torch.Generator(device).manual_seed(int(random.integers(2**62)))
        # Behind the codes comes a row of nothing, for ignored voxels.
        table = torch.from_numpy(np.pad(self.table.T, ((0, 1), (0, 0))).astype(np.float32)).to(device)
        targets = table[codes.squeeze(2).long().clamp_max(len(table) - 1)].movedim(-1, 2)
        labelled = (codes != IGNORED).float()
        coarse = self._coarsen
        share = Share(self.groups * self.sequences, slice(here.start * self.sequences, here.stop * self.sequences))
        return Batch(
            images=recolour(coarse(images), changes, generator, share=share),
            targets=coarse(targets) / coarse(labelled).clamp_min(_LEAST_LABELLED),
            valid=(coarse(valid) > 0.5).float(),
            known=(coarse(valid * labelled) > 0.5).float(),
            probabilities=coarse(rest[0]) if rest else None,
            groups=len(here),
            share=share,
            number=number,
        )

    def _coarsen(self, x: Tensor) -> Tensor:
        """Average blocks of voxels into the network's pixels."""
        return average_blocks(x, self.coarseness)

    def _centre(self, case: TrainingCase, plane: Plane, random: np.random.Generator, *, uniform: bool) -> NDArray[np.float64]:
        """Where a crop is centred: (slice, row, column), before the image's borders are minded."""
        places = None if case.candidates is None else _opened(case.candidates)
        if not uniform:
            stored = case.stored
            choices = [stored.coordinates(code) for code in range(1, self.table.shape[1])]
            if case.errors is not None:
                choices.append(_opened(case.errors))
            choices = [choice for choice in choices if len(choice)]
            if choices:
                places = choices[random.integers(len(choices))]
        centre = as_slice_index(_pick(places, case.stored, random), plane).astype(np.float64)
        jitter = np.array([self.length, *(side * self.coarseness for side in self.crops[plane])]) / 4
        return np.asarray(centre + random.uniform(-jitter, jitter))

    def _read(self, case: TrainingCase, plane: Plane, change: Change, centre: NDArray[np.float64]) -> tuple[Tensor, ...]:
        """Cut one sequence out of a case: image, codes, validity and, if there are any, probabilities."""
        image = as_slices(case.stored.image, plane)
        label = case.stored.label
        if label is None:  # the caller trains on labelled cases only
            message = f"case {case.stored.case_id} has no label"
            raise ValueError(message)
        count, *size = image.shape[1:]
        start = int(np.clip(round(centre[0] - self.length / 2), 0, max(0, count - self.length)))
        slices = slice(start, min(start + self.length, count))
        crop = (self.crops[plane][0] * self.coarseness, self.crops[plane][1] * self.coarseness)
        around: list[float] = []
        parts: list[slice] = []
        for middle, far, side, whole in zip(centre[1:], reach(change, crop), crop, size, strict=True):
            around.append(_settled(float(middle), far, side, whole))
            parts.append(slice(max(0, int(around[-1] - far) - 1), min(whole, int(around[-1] + far) + 3)))
        block = (slices, *parts)
        points = sampling_points(change, crop, (around[0], around[1]))
        limits = torch.tensor(size, dtype=torch.float32) - 0.5
        inside = ((points >= -0.5) & (points <= limits)).all(-1).float()
        local = points - torch.tensor([float(parts[0].start), float(parts[1].start)])
        read = [
            sample(_floats(image[(slice(None), *block)]).movedim(0, 1), local),
            sample(_floats(as_slices(label, plane)[block])[:, None], local, nearest=True).to(torch.uint8),
            inside.expand(slices.stop - slices.start, 1, *crop),
        ]
        if case.probabilities is not None:
            said = _opened(case.probabilities)
            read.append(sample(_floats(as_slices(said, plane)[(slice(None), *block)]).movedim(0, 1), local))
        if change.backwards:
            read = [part.flip(0) for part in read]
        missing = self.length - (slices.stop - slices.start)
        if missing:  # fewer slices than a sequence is long: the last is repeated, and not valid
            read = [torch.cat([part, part[-1:].expand(missing, *part.shape[1:])]) for part in read]
            read[2] = read[2].clone()
            read[2][-missing:] = 0
        return tuple(read)


def _opened(array: NDArray[Any] | Path) -> NDArray[Any]:
    return mapped(array) if isinstance(array, Path) else array


def _pick(places: NDArray[np.int32] | None, stored: StoredCase, random: np.random.Generator) -> NDArray[np.int64]:
    """Draw one of the places ``(z, y, x)``; without any, a voxel whose label is known, unless these are too rare to be hit."""
    if places is not None and len(places):
        return np.asarray(places[random.integers(len(places))], np.int64)
    for _ in range(_TRIES):
        index: NDArray[np.int64] = random.integers(np.asarray(stored.shape))
        if not stored.ignored or stored.label is None or stored.label[tuple(index)] != IGNORED:
            break
    return index


def _settled(middle: float, far: float, side: int, whole: int) -> float:
    """Where a crop of ``side`` voxels that is to be around ``middle``, and reaches ``far`` to either side, is centred.

    It stays inside the ``whole`` voxels if it fits, and is centred on them if it does not. Unless it is turned or resized
    its pixels are voxels as they are, as at prediction, and not means of neighbours.
    """
    half = (side - 1) / 2
    if 2 * far > whole:
        return half - (side - whole) // 2
    return float(np.clip(round(middle - half) + half, far - 0.5, whole - far - 0.5))


def _floats(array: NDArray[np.generic]) -> Tensor:
    """Copy part of a mapped file, which must not be written to, into a tensor."""
    return torch.from_numpy(np.array(array, np.float32))
