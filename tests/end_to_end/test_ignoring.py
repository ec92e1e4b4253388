"""Patients of whom only some slices were annotated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from crgan.config import Config
from crgan.inference.predict import predict
from crgan.training.run import train

UNKNOWN = 9
FIRST_UNKNOWN = 6  # of ten slices; the balls reach from the second to the last


@pytest.mark.slow
def test_what_was_not_annotated_is_found_all_the_same(write_patients, small_config: Callable[..., Config], tmp_path: Path) -> None:
    data = write_patients(tmp_path / "data", scheme={"classes": {1: "rim", 2: "core"}, "ignore": UNKNOWN})
    there = []
    for path in sorted(data.glob("*/*_seg.nii.gz")):
        image = nib.load(path)
        labels = np.asarray(image.dataobj).copy()
        there.append(labels[..., FIRST_UNKNOWN:] > 0)
        labels[..., FIRST_UNKNOWN:] = UNKNOWN
        nib.save(nib.Nifti1Image(labels, image.affine), path)
    rates = ("generator_optimisation.learning_rate=0.02", "refiner_optimisation.learning_rate=0.01")
    run = train(data, tmp_path / "run", config=small_config(*rates, steps=200))
    masks = predict(run, data, tmp_path / "masks", threads=1)
    found = [np.asarray(nib.load(path).dataobj)[..., FIRST_UNKNOWN:] > 0 for path in masks]
    both, true, marked = (sum(map(np.sum, volumes)) for volumes in ([a & b for a, b in zip(there, found, strict=True)], there, found))
    assert 2 * both / (true + marked) > 0.9  # as background, these slices would have been learned to be empty
