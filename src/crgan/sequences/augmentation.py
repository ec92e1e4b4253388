"""Random changes of a sequence, the same for all its slices (paper, section 3.1).

All random numbers are drawn in :func:`draw_change`; what they do is applied by pure functions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, radians, sin

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from torch import Tensor

from crgan.config import AugmentationSettings, Plane
from crgan.sequences.batch import Share
from crgan.sequences.planes import axes_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """How one sequence is changed.

    Parameters
    ----------
    matrix
        ``((a, b), (c, d))``: from rows and columns of the crop, relative to its centre, to those of the image. Its determinant is
        negative where the crop is a mirror image.
    backwards
        The slices come from the last to the first.
    contrast, brightness
        The image is multiplied by one and the other is added.
    noise
        Standard deviation of the Gaussian noise that is added.
    """

    matrix: tuple[tuple[float, float], tuple[float, float]]
    contrast: float
    brightness: float
    noise: float
    backwards: bool = False


def draw_change(settings: AugmentationSettings, random: np.random.Generator, plane: Plane) -> Change:
    """Draw the change of one sequence of a plane."""
    angle = radians(random.uniform(-settings.rotation_degrees, settings.rotation_degrees))
    widest = np.log(1 / (1 - settings.scale))
    size = np.exp(random.uniform(-widest, widest))
    most = np.log(1 / (1 - settings.stretch)) / 2
    stretch = np.exp(random.uniform(-most, most))
    reversed_axes = {axis for axis in settings.mirror or () if random.random() < 0.5}
    along_slices, along_rows, along_columns = axes_of(plane)
    row = float(size * stretch) * (-1 if along_rows in reversed_axes else 1)
    column = float(size / stretch) * (-1 if along_columns in reversed_axes else 1)
    return Change(
        matrix=((cos(angle) * row, -sin(angle) * column), (sin(angle) * row, cos(angle) * column)),
        contrast=float(random.uniform(1 - settings.contrast, 1 + settings.contrast)),
        brightness=float(random.uniform(-settings.brightness, settings.brightness)),
        noise=float(random.uniform(0, settings.noise)),
        backwards=along_slices in reversed_axes,
    )


def reach(change: Change, size: tuple[int, int]) -> tuple[float, float]:
    """How far from its centre a changed crop of ``size`` pixels reaches in the image, in rows and columns."""
    half = (size[0] / 2, size[1] / 2)
    (a, b), (c, d) = change.matrix
    return abs(a) * half[0] + abs(b) * half[1], abs(c) * half[0] + abs(d) * half[1]


def sampling_points(change: Change, size: tuple[int, int], centre: tuple[float, float]) -> Tensor:
    """Where the pixels of the crop lie in the image: ``(H, W, 2)`` rows and columns, float32."""
    (a, b), (c, d) = change.matrix
    rows = torch.arange(size[0], dtype=torch.float32) - (size[0] - 1) / 2
    columns = torch.arange(size[1], dtype=torch.float32) - (size[1] - 1) / 2
    r, s = torch.meshgrid(rows, columns, indexing="ij")
    return torch.stack([a * r + b * s + centre[0], c * r + d * s + centre[1]], dim=-1)


def sample(block: Tensor, points: Tensor, *, nearest: bool = False) -> Tensor:
    """Read ``(T, C, h, w)`` at ``(H, W, 2)`` rows and columns, the edge repeated outside: ``(T, C, H, W)``."""
    height, width = block.shape[-2:]
    size = torch.tensor([height, width], dtype=torch.float32, device=points.device)
    grid = ((2 * points + 1) / size - 1).flip(-1)  # grid_sample wants (x, y), -1 and 1 being the outer edges
    grid = grid.expand(block.shape[0], *grid.shape)
    return F.grid_sample(block, grid, mode="nearest" if nearest else "bilinear", padding_mode="border", align_corners=False)


def recolour(images: Tensor, changes: list[Change], generator: torch.Generator, *, share: Share) -> Tensor:
    """Change contrast and brightness and add noise to ``(S, T, M, H, W)``, one change a sequence."""
    shape = (-1, 1, 1, 1, 1)
    device = images.device
    contrast, brightness, noise = (
        torch.tensor([getattr(change, name) for change in changes], device=device).view(shape)
        for name in ("contrast", "brightness", "noise")
    )
    grains = torch.randn((share.whole, *images.shape[1:]), generator=generator, device=device)[share.part]
    return images * contrast + brightness + noise * grains
