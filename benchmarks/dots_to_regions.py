"""How far regions derived from dots are from masks: true cells of a paired folder, reduced to a dot each and derived again.

python benchmarks/dots_to_regions.py FOLDER, with FOLDER/images and FOLDER/labels of instance ids.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from crgan.cases.files import read_labels, read_volume
from crgan.cases.label_formats.dots import regions_of_dots
from crgan.cases.layouts import open_dataset


def dots_of(ids: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The ids, and a dot within each: the pixel farthest from the outline, as a person would set it."""
    numbers = np.unique(ids[ids > 0]).astype(np.int64)
    dots = []
    boxes = ndimage.find_objects(ids.astype(np.int32))
    for number, box in ((int(number), boxes[int(number) - 1]) for number in numbers):
        inside = np.pad(ids[box] == number, 1)
        place = np.unravel_index(int(ndimage.distance_transform_edt(inside).argmax()), inside.shape)
        dots.append([place[axis] - 1 + box[axis].start for axis in range(2)])
    return numbers, np.array(dots, np.float64).reshape(-1, 2)


def main() -> None:
    """Print the mean IoU of derived to true regions over all cells, and its share from 0.5 on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    scores: list[float] = []
    foreground = []
    dataset = open_dataset(parser.parse_args().folder)
    for case in dataset.labelled:
        assert case.label is not None  # noqa: S101 - labelled
        ids = read_labels(case.label).array[0, ..., 0]
        picture = read_volume(case.images[0], dtype=np.float32).array[..., 0].mean(axis=0)
        numbers, dots = dots_of(ids)
        derived = regions_of_dots(picture, dots)
        for number, cell in enumerate(numbers, start=1):
            found, true = derived == number, ids == cell
            scores.append(float((found & true).sum() / (found | true).sum()))
        marked, true = derived > 0, ids > 0
        foreground.append(2 * (marked & true).sum() / (marked.sum() + true.sum()))
    values = np.array(scores)
    print(f"{len(dataset.labelled)} images, {len(values)} cells")
    print(f"IoU of derived to true regions: mean {values.mean():.3f}, median {np.median(values):.3f}")
    print(f"at least 0.5: {(values >= 0.5).mean():.1%} of the cells")
    print(f"Dice of the foreground, mean over images: {np.mean(foreground):.3f}")


if __name__ == "__main__":
    main()
