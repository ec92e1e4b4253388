"""Preprocessing of real images, against facts that can be seen in a picture of them."""

from __future__ import annotations

from pathlib import Path

import cc3d
import numpy as np
import pytest

from crgan.cases.canonical import to_canonical
from crgan.cases.files import read_volume
from crgan.preprocessing.foreground import bounding_box, foreground_mask
from crgan.preprocessing.pipeline import Pipeline
from crgan.preprocessing.settings import PreprocessingSettings


def load(path: Path) -> tuple[np.ndarray, tuple[float, float, float]]:
    return to_canonical(read_volume(path, dtype=np.float32))


def fitted(channels: int) -> Pipeline:
    return Pipeline(
        settings=PreprocessingSettings(),
        modalities=tuple("ABCD"[:channels]),
        kinds=("mr",) * channels,
        spacing_mm=None,
        intensities=(None,) * channels,
        landmarks=(None,) * channels,
    )


# Skull-stripped brains on a background that is not 0: "brats2015" around -4.8, "openms" around ±0.01.
BRAINS = [
    ("brats2015/brats_2013_pat0001_1/brats_2013_pat0001_1", "t1ce", "seg"),
    ("brats2015/brats_2013_pat0004_1/brats_2013_pat0004_1", "flair", "seg"),
    ("openms/patient07/patient07", "FLAIR", "lesion"),
    ("openms/patient19/patient19", "T1POST", "lesion"),
]


@pytest.mark.parametrize(("stem", "modality", "label"), BRAINS)
def test_a_brain_is_told_from_its_background(shared_data: Path, stem: str, modality: str, label: str) -> None:
    (image,), spacing = load(shared_data / f"{stem}_{modality}.nii.gz")
    (truth,), _ = load(shared_data / f"{stem}_{label}.nii.gz")
    mask = foreground_mask(image)
    assert not mask[0].any()
    assert not mask[:, 0].any()
    litres = mask.sum() * np.prod(spacing) / 1e6
    assert 0.9 < litres < 1.9
    # One brain, hardly a hole in it.
    sizes = np.sort(np.bincount(cc3d.connected_components(mask, connectivity=26).ravel())[1:])
    assert sizes[-1] > 0.999 * mask.sum()
    box = bounding_box(mask)
    assert all(100 < (part.stop - part.start) * length < 200 for part, length in zip(box, spacing, strict=True))
    assert mask[truth > 0].mean() > 0.99

    prepared = fitted(1).apply(image[None], spacing, label=(truth > 0).astype(np.uint8))
    brain = prepared.image[0][mask[prepared.geometry.box]]
    assert brain.mean() == pytest.approx(0, abs=1e-3)
    assert brain.std() == pytest.approx(1, abs=1e-3)
    assert not prepared.image[0][~mask[prepared.geometry.box]].any()
    assert prepared.image.size < 0.55 * image.size
    assert prepared.label is not None
    assert prepared.label.sum() == (truth > 0).sum()
    back = fitted(1).restore(prepared.label[None], prepared.geometry)[0]
    np.testing.assert_array_equal(back, truth > 0)


def test_a_heart_fills_its_image(shared_data: Path) -> None:
    (image,), spacing = load(shared_data / "acdc/patient001/patient001_frame01.nii.gz")
    assert foreground_mask(image).all()
    prepared = fitted(1).apply(image[None], spacing)
    assert prepared.image.shape[1:] == image.shape
    assert prepared.image.mean() == pytest.approx(0, abs=1e-3)
    assert prepared.image.std() == pytest.approx(1, abs=1e-3)


def test_nuclei_are_foreground(shared_data: Path) -> None:
    path = min((shared_data / "cells/dsb2018/images").glob("*.png"))
    image, _ = load(path)
    (truth,), _ = load(shared_data / "cells/dsb2018/labels" / path.name)
    assert image.shape[1:] == truth.shape == (1, 256, 256)
    for channel in image:
        assert (channel == np.bincount(channel.astype(int).ravel()).argmax()).mean() > 0.3
        assert foreground_mask(channel).all()  # that grey level of the dark background is scattered
    prepared = fitted(len(image)).apply(image, (1, 1, 1))
    assert np.isfinite(prepared.image).all()
    bright, dark = prepared.image[0][truth > 0], prepared.image[0][truth == 0]
    assert bright.mean() > dark.mean() + 1
