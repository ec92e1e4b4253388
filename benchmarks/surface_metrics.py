"""Time HD95, ASSD and NSD of a brain tumour's three regions on 240 × 240 × 155 voxels: `python benchmarks/surface_metrics.py`.

The same masks, one thread, processor time, the best of several runs, against MONAI and surface-distance. The truth is three nested, rough
blobs; the predictions differ from it by their outlines and, as the harder case, also by a shift and by islands that lie far
away. MONAI is called once for each metric, as its interface has it.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from crgan.evaluation.overlap import compare
from crgan.evaluation.surface import surface_distances

SHAPE = (240, 240, 155)
SPACING_MM = (1.0, 1.0, 1.0)
RADII = (38, 27, 18)
TOLERANCE_MM = 1.0


def blob(centre: tuple[int, int, int], radius: float, roughness: float, seed: int) -> np.ndarray:
    """A ball with a rough outline."""
    mask = np.zeros(SHAPE, bool)
    box = tuple(slice(middle - 60, middle + 60) for middle in centre)
    distance = np.sqrt(((np.indices((120, 120, 120), dtype=np.float32) - 60) ** 2).sum(axis=0))
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((120, 120, 120)).astype(np.float32), 4)
    mask[box] = distance + roughness * noise / noise.std() < radius
    return mask


def regions(*, hard: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    """Prediction and truth of each region."""
    pairs = []
    for number, radius in enumerate(RADII):
        truth = blob((110, 100, 75), radius, 1.0, number)
        prediction = blob((112, 101, 74), radius + 1, 2.5, 10 + number) if hard else blob((110, 100, 75), radius + 0.5, 1.2, 10 + number)
        if hard:
            prediction |= blob((160, 160, 85), 6, 1, 20 + number)
        pairs.append((prediction, truth))
    return pairs


def ours(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[float, float, float]]:
    """The three metrics of each region."""
    found = [surface_distances(prediction, truth, spacing_mm=SPACING_MM) for prediction, truth in pairs]
    return [(distances.hd95_mm, distances.assd_mm, distances.nsd(TOLERANCE_MM)) for distances in found if distances is not None]


def monai(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[float, float, float]]:
    """The same from MONAI."""
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

    prediction, truth = (torch.from_numpy(np.stack(masks))[None] for masks in zip(*pairs, strict=True))
    options = {"include_background": True, "spacing": list(SPACING_MM)}
    tables = (
        compute_hausdorff_distance(prediction, truth, percentile=95, **options),
        compute_average_surface_distance(prediction, truth, symmetric=True, **options),
        compute_surface_dice(prediction, truth, class_thresholds=[TOLERANCE_MM] * len(pairs), **options),
    )
    return [tuple(float(table[0, region]) for table in tables) for region in range(len(pairs))]


def deepmind(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[float, float, float]]:
    """The same from surface-distance, whose surfaces run between the voxels."""
    import surface_distance

    found = []
    for prediction, truth in pairs:
        distances = surface_distance.compute_surface_distances(truth, prediction, SPACING_MM)
        there, back = surface_distance.compute_average_surface_distance(distances)
        nsd = surface_distance.compute_surface_dice_at_tolerance(distances, TOLERANCE_MM)
        found.append((surface_distance.compute_robust_hausdorff(distances, 95), (there + back) / 2, nsd))
    return found


def seconds(work: Callable[[], object], *, repeats: int) -> float:
    """The best of several runs, after one to warm up."""
    work()
    times = []
    for _ in range(repeats):
        begun = time.process_time()  # how busy the machine is otherwise hardly counts
        work()
        times.append(time.process_time() - begun)
    return min(times)


def main(arguments: list[str]) -> None:
    """Print a table."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args(arguments).repeats
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("| masks | Dice | implementation | seconds | of ours | HD95 mm, ASSD mm, NSD of the largest region |")
    print("|---|---|---|---:|---:|---|")
    for name, hard in (("close", False), ("far apart", True)):
        pairs = regions(hard=hard)
        dice = " / ".join(f"{compare(*pair).dice or 0:.2f}" for pair in pairs)
        mine = seconds(lambda pairs=pairs: ours(pairs), repeats=repeats)
        for label, function in (("crgan", ours), ("MONAI", monai), ("surface-distance", deepmind)):
            taken = mine if function is ours else seconds(lambda pairs=pairs, function=function: function(pairs), repeats=repeats)
            figures = ", ".join(f"{value:.3f}" for value in function(pairs)[0])
            print(f"| {name} | {dice} | {label} | {taken:.3f} | {taken / mine:.1f} | {figures} |")


if __name__ == "__main__":
    main(sys.argv[1:])
