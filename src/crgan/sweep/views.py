"""Test-time augmentation: a patient seen several times, slightly turned and resized, and the answers brought back and averaged.

The changes are those of training (paper, section 3.1: "applied on training and testing time"): in-plane rotation, scale and
Gaussian noise, as large as the run's own settings; and mirror images, where training saw them.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from crgan.config import Config, Plane
from crgan.sequences.augmentation import Change, draw_change, sample, sampling_points
from crgan.sequences.planes import as_slices

Answer = tuple[NDArray[np.float16], NDArray[np.bool_]]

# Slices that are turned at once: bounds the working memory, changes nothing in the result.
_SLAB = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One way of seeing a prepared volume.

    Parameters
    ----------
    plane
        Slices of this plane are turned about their middle.
    change
        How; None for the volume as it is.
    seed
        Of the noise.
    """

    plane: Plane = "axial"
    change: Change | None = None
    seed: tuple[int, ...] = ()

    def image(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        """The image ``(M, Z, Y, X)`` as it is seen, edges going on beyond the border; float32 unless it is as it was."""
        if self.change is None:
            return image
        seen = _turn(image, self.plane, self.change, beyond=True)
        seen += np.float32(self.change.noise) * np.random.default_rng(self.seed).standard_normal(seen.shape, np.float32)
        return seen

    def there(self, maps: NDArray[np.generic]) -> NDArray[np.generic]:
        """Maps ``(K, Z, Y, X)`` turned as the image is, edges going on beyond the border; float32 unless as they were."""
        return maps if self.change is None else _turn(maps, self.plane, self.change, beyond=True)

    def back(self, maps: NDArray[np.generic]) -> NDArray[np.float32]:
        """Maps ``(K, Z, Y, X)`` of what was seen, back on the grid of the volume; 0 where the view does not reach."""
        if self.change is None:
            return maps.astype(np.float32)
        (a, b), (c, d) = self.change.matrix
        scale = 1 / (a * d - b * c)
        inverse = replace(self.change, matrix=((d * scale, -b * scale), (-c * scale, a * scale)))
        return _turn(maps, self.plane, inverse, beyond=False)


def draw_views(count: int, config: Config, *, case_id: str) -> list[View]:
    """Draw views of a patient: the volume as it is and ``count`` others, the same ones for the same case id.

    Parameters
    ----------
    count
        How many others; none by 0.
    config
        The run's settings, none left to be derived.
    case_id
        Seeds the changes, so that they do not depend on who else is segmented.
    """
    views = [View()]
    planes = config.planes or ("axial",)
    for number in range(count):
        seed = (zlib.crc32(case_id.encode()), number)
        random = np.random.default_rng(seed)
        plane = planes[int(random.integers(len(planes)))]
        views.append(View(plane=plane, change=draw_change(config.augmentation, random, plane), seed=(*seed, 1)))
    return views


def average(views: Sequence[View], answer: Callable[[View], Answer]) -> Answer:
    """Average what a network says of each view.

    Parameters
    ----------
    views
        From :func:`draw_views`, the volume as it is first.
    answer
        Gives, for a view, maps ``(K, Z, Y, X)`` on its grid and where they count, bool ``(Z, Y, X)``.

    Returns
    -------
    tuple
        On the volume's grid: the mean over the views that count at a voxel, float16, and where any does; elsewhere what the
        first view gave. A single view gives its answer as it is.
    """
    first, *others = views
    maps, counts = answer(first)
    if not others:
        return maps, counts
    total, weight = first.back(np.where(counts, maps, 0)), first.back(counts[None])
    for view in others:
        seen, looked = answer(view)
        # Both are interpolated, so that the border of where a map counts does not darken it.
        total += view.back(np.where(looked, seen, 0))
        weight += view.back(looked[None])
    mean = np.divide(total, weight, out=maps.astype(np.float32), where=weight > 0)
    return mean.astype(np.float16), weight[0] > 0


def _turn(maps: NDArray[np.generic], plane: Plane, change: Change, *, beyond: bool) -> NDArray[np.float32]:
    """Read each slice of a plane at changed places; beyond the border the edge goes on, or else there is 0."""
    result = np.empty(maps.shape, np.float32)
    slices, turned = as_slices(maps, plane), as_slices(result, plane)
    slices = slices[:, ::-1] if change.backwards else slices
    rows, columns = slices.shape[-2:]
    points = sampling_points(change, (rows, columns), ((rows - 1) / 2, (columns - 1) / 2))
    inside = ((points >= -0.5) & (points <= torch.tensor([rows - 0.5, columns - 0.5]))).all(dim=-1)
    for start in range(0, slices.shape[1], _SLAB):
        block = torch.from_numpy(np.ascontiguousarray(slices[:, start : start + _SLAB], np.float32)).movedim(0, 1)
        values = sample(block, points)
        turned[:, start : start + _SLAB] = (values if beyond else values * inside).movedim(1, 0).numpy()
    return result
