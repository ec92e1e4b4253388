"""Component-wise Dice: every lesion counts for one, whatever its size.

The Dice of a whole batch is that of its largest lesions: a small one that is missed altogether hardly changes it.
"""

from __future__ import annotations

import cc3d
import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from crgan.training.ranks import summed


def component_dice_loss(probabilities: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """One minus the soft Dice of each component in its own surroundings, averaged over components, then over targets.

    In each sequence the truth of a target falls into components (26-connected), and every pixel is of the surroundings of the
    component that is nearest to it, as in CC-Metrics (Jaus et al., "Every Component Counts", AAAI 2025). So what is marked
    falsely counts against the component beside it. A sequence that has nothing of a target says nothing of it: that is for the
    other losses. Components are found on the processor; a GPU waits for it.

    Parameters
    ----------
    probabilities, targets
        ``(S, T, K, H, W)`` in [0, 1]; of a target are the pixels that are so by half or more.
    valid
        ``(S, T, 1, H, W)``.

    Returns
    -------
    Tensor
        A number from 0 to 1; 0 if no target has a component.
    """
    count = targets.shape[2]
    numbers = _surroundings((targets >= 0.5) & (valid > 0))
    most = int(numbers.max()) + 1
    row = most * np.arange(count).reshape(1, 1, -1, 1, 1)
    index = torch.from_numpy((numbers + row).ravel()).to(targets.device)

    def total(values: Tensor) -> Tensor:
        """Sums of ``(S, T, K, H, W)`` over the surroundings of each component: ``(K, components)``."""
        sums = torch.zeros(count * most, device=targets.device).index_add(0, index, (values * valid).float().flatten())
        return sums.view(count, most)[:, 1:]  # number 0 is no component's

    size = total(targets)
    dice = (2 * total(probabilities * targets) + 1) / (total(probabilities) + size + 1)
    there = (size > 0).float()
    missing, components = summed(((1 - dice) * there).sum(1), there.sum(1))
    return (missing / components.clamp_min(1)).sum() / (components > 0).sum().clamp_min(1)


def _surroundings(truth: Tensor) -> NDArray[np.int64]:
    """Number of the component that is nearest, of each target counted from 1 through all sequences; 0 where a sequence has none."""
    masks = truth.cpu().numpy().astype(np.uint8)
    numbers = np.zeros(masks.shape, np.int64)
    for target in range(masks.shape[2]):
        found = 0
        for mask, number in zip(masks[:, :, target], numbers[:, :, target], strict=True):
            pieces, count = cc3d.connected_components(mask, connectivity=26, return_N=True)
            if count:
                nearest = ndimage.distance_transform_edt(pieces == 0, return_distances=False, return_indices=True)
                number[:] = pieces[tuple(nearest)].astype(np.int64) + found
            found += count
    return numbers
