from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from crgan.cases.labels import LabelScheme
from crgan.cases.phantom import LABELS, MODALITIES, Phantom, draw_brain, write_brains

SMALL = (32, 40, 32)
MIDDLE = (52, 67, 54)  # a third of full size, with isotropic voxels


@pytest.fixture(scope="module")
def brains() -> list[Phantom]:
    return [draw_brain(index, shape=MIDDLE, seed=11) for index in range(6)]


def extent(mask: np.ndarray) -> list[int]:
    return [part.stop - part.start for part in ndimage.find_objects(mask.astype(np.uint8))[0]]


def test_background_is_exactly_zero_and_never_inside_the_head(brains: list[Phantom]) -> None:
    for brain in brains:
        head = brain.images[0] > 0
        assert all(np.array_equal(image > 0, head) for image in brain.images)
        assert np.array_equal(ndimage.binary_fill_holes(head), head)
        border = np.ones(MIDDLE, bool)
        border[1:-1, 1:-1, 1:-1] = False
        assert not head[border].any()
        assert 0.25 < head.mean() < 0.5


def test_box_of_the_brain_holds_at_least_3_4_million_cubic_millimetres(brains: list[Phantom]) -> None:
    # At full size a voxel is one cubic millimetre; the same head on a coarser grid has the same box, to half a voxel on each side.
    for brain in brains:
        edges = [(voxels - 1) * spacing for voxels, spacing in zip(extent(brain.images[0] > 0), brain.spacing_mm, strict=True)]
        assert np.prod(edges) >= 3.4e6


@pytest.mark.slow
def test_full_size() -> None:
    brain = draw_brain(0, shape=(155, 240, 240), seed=0)
    assert brain.spacing_mm == (1.0, 1.0, 1.0)
    assert np.prod(extent(brain.images[0] > 0)) >= 3.4e6
    assert 0.001 <= (brain.labels > 0).mean() <= 0.02


@pytest.mark.parametrize("shape", [(32, 32, 32), SMALL, (40, 33, 47), (32, 100, 100), (64, 64, 32)])
def test_lesions_take_a_tenth_to_two_per_cent_of_the_voxels_at_any_shape(shape: tuple[int, int, int]) -> None:
    for seed in range(3):
        labels = draw_brain(seed, shape=shape, seed=seed).labels
        assert labels.shape == shape
        assert 0.001 <= (labels > 0).mean() <= 0.02


def test_lesions_are_several_and_of_very_different_sizes(brains: list[Phantom]) -> None:
    for brain in brains:
        parts, count = ndimage.label(brain.labels > 0)
        sizes = np.sort(np.bincount(parts.ravel())[1:])
        assert count >= 4
        assert sizes[0] <= 30
        assert sizes[-1] >= 10 * sizes[0]
        assert set(np.unique(brain.labels)) == set(LABELS.values)  # every class occurs in every patient


def test_lesions_lie_inside_the_head(brains: list[Phantom]) -> None:
    for brain in brains:
        assert not brain.labels[brain.images[0] == 0].any()


def test_lesions_are_visible_but_no_threshold_finds_them(brains: list[Phantom]) -> None:
    best = []
    for brain in brains:
        flair = ndimage.gaussian_filter(brain.images[MODALITIES.index("flair")].astype(float), 0.5)
        head, lesion = brain.images[0] > 0, brain.labels > 0
        assert flair[lesion].mean() > flair[head & ~lesion].mean() + 0.5 * flair[head & ~lesion].std()
        dice = [
            2 * (marked & lesion).sum() / (marked.sum() + lesion.sum())
            for t in np.linspace(0.3, 1, 50)
            if (marked := flair > t * flair.max()).any()
        ]
        best.append(max(dice))
    assert np.mean(best) < 0.65


def test_tissues_have_the_contrast_of_their_modality(brains: list[Phantom]) -> None:
    # White matter is the darkest healthy tissue in t2 and the brightest in t1; fluid is bright in t2 and dark elsewhere.
    for brain in brains:
        t1, t1ce, t2, flair = (image.astype(float) for image in brain.images)
        healthy = (brain.images[0] > 0) & (brain.labels == 0)
        bright, dark = t2[healthy] > np.percentile(t2[healthy], 97), t2[healthy] < np.percentile(t2[healthy], 30)
        for weighted in (t1, t1ce, flair):
            assert np.median(weighted[healthy][bright]) < 0.75 * np.median(weighted[healthy][dark])


def test_enhancing_tissue_lights_up_after_contrast_agent_only(brains: list[Phantom]) -> None:
    for brain in brains:
        t1, t1ce = brain.images[0].astype(float), brain.images[1].astype(float)
        healthy, enhancing = (t1 > 0) & (brain.labels == 0), brain.labels == 4
        gain = (t1ce[enhancing].mean() / np.median(t1ce[healthy])) / (t1[enhancing].mean() / np.median(t1[healthy]))
        assert gain > 1.3


def test_a_patient_depends_on_seed_number_and_shape_alone() -> None:
    brain = draw_brain(2, shape=SMALL, seed=5)
    again, other_number, other_seed = (draw_brain(k, shape=SMALL, seed=s) for k, s in ((2, 5), (3, 5), (2, 6)))
    assert np.array_equal(brain.images, again.images)
    assert np.array_equal(brain.labels, again.labels)
    assert not np.array_equal(brain.labels, other_number.labels)
    assert not np.array_equal(brain.labels, other_seed.labels)


@pytest.mark.parametrize(
    ("shape", "spacing_mm"),
    [
        ((155, 240, 240), (1, 1, 1)),
        ((62, 80, 64), (2.5, 2.5, 2.5)),  # 155/62, 200/80 and 160/64 mm
        ((62, 120, 120), (2.5, 2.5, 2.5)),  # 155/62 mm in all directions: the head has room to spare in plane
        ((40, 200, 160), (3.875, 1, 1)),  # thick slices
    ],
)
def test_voxel_size_lets_the_head_fill_the_shape(shape: tuple[int, int, int], spacing_mm: tuple[float, ...]) -> None:
    from crgan.cases.phantom.brain import _spacing_mm

    assert _spacing_mm(shape) == pytest.approx(spacing_mm)


def test_files_hold_what_was_drawn(tmp_path: Path) -> None:
    write_brains(tmp_path / "new" / "brains", count=2, shape=SMALL, seed=3)
    folders = sorted(path for path in (tmp_path / "new" / "brains").iterdir() if path.is_dir())
    assert [folder.name for folder in folders] == ["brain_000", "brain_001"]
    brain = draw_brain(1, shape=SMALL, seed=3)
    for modality, array in [*zip(MODALITIES, brain.images, strict=True), ("seg", brain.labels)]:
        image = nib.load(folders[1] / f"brain_001_{modality}.nii.gz")
        assert image.get_data_dtype() == array.dtype
        assert np.array_equal(np.asarray(image.dataobj), array.transpose(2, 1, 0))  # files run x, y, z
        assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
        assert image.header.get_zooms() == pytest.approx(brain.spacing_mm[::-1])
        centre = image.affine @ [*(np.array(image.shape) - 1) / 2, 1]
        assert centre[:3] == pytest.approx([0, 0, 0], abs=1e-4)
    scheme = LabelScheme.from_json(json.loads((tmp_path / "new" / "brains" / "labels.json").read_text()))
    assert scheme.targets == ("WT", "TC", "ET")
    assert scheme.regions == {"WT": (1, 2, 4), "TC": (1, 4), "ET": (4,)}
    assert dict(scheme.classes) == {1: "core", 2: "oedema", 4: "enhancing"}


def test_the_same_call_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_brains(tmp_path / name, count=1, shape=(32, 32, 32))
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 6
    assert all((tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes() for file in files)
