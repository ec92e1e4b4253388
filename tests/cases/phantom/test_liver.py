from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from crgan.cases.phantom import Phantom, draw_liver, write_livers
from crgan.cases.phantom.liver import KIND, LESION

MIDDLE = (60, 96, 96)


@pytest.fixture(scope="module")
def livers() -> list[Phantom]:
    return [draw_liver(index, shape=MIDDLE, seed=4) for index in range(3)]


def millilitres(mask: np.ndarray, phantom: Phantom) -> float:
    return float(mask.sum() * np.prod(phantom.spacing_mm) / 1e3)


def test_hounsfield_units_of_air_liver_bone_and_fat(livers: list[Phantom]) -> None:
    for phantom in livers:
        hu, labels = phantom.images[0].astype(float), phantom.labels
        assert hu[:, -4:].mean() == pytest.approx(-1000, abs=10)  # air in front of the patient
        assert 85 < np.median(hu[labels == 1]) < 140  # a liver with contrast agent
        assert hu.max() > 350  # bone
        inside = ndimage.binary_erosion(hu > -200, iterations=1)
        assert (inside & (np.abs(hu + 100) < 30)).mean() > 0.01  # fat
        assert hu.min() >= -1024
        assert phantom.images.dtype == np.int16


def test_a_liver_has_the_volume_of_a_grown_persons_and_lies_right(livers: list[Phantom]) -> None:
    for phantom in livers:
        liver = phantom.labels > 0
        assert 1000 < millilitres(liver, phantom) < 2600
        _, _, x = ndimage.center_of_mass(liver)
        assert x > MIDDLE[2] / 2 + 5
        parts, _ = ndimage.label(liver)
        sizes = np.bincount(parts.ravel())[1:]
        assert sizes.max() > 0.97 * sizes.sum()


def test_lungs_are_above_the_liver_and_the_body_ends_before_the_border(livers: list[Phantom]) -> None:
    for phantom in livers:
        hu = phantom.images[0]
        assert np.median(hu[54:57, 44:58, 60:74]) < -600  # 125 mm above the middle, on the right
        assert (hu[:, 30:, 0] < -800).all()
        assert (hu[:, 30:, -1] < -800).all()  # behind, the table reaches it


def test_lesions_lie_in_the_liver_apart_and_down_to_three_voxels(livers: list[Phantom]) -> None:
    smallest = []
    for phantom in livers:
        lesions = phantom.labels == LESION
        grown = ndimage.binary_dilation(lesions)
        assert (phantom.labels[grown] > 0).mean() > 0.7
        parts, count = ndimage.label(lesions, np.ones((3, 3, 3)))
        sizes = np.bincount(parts.ravel())[1:]
        assert count >= 4
        smallest.append(sizes.min())
    assert min(smallest) == 3
    assert max(smallest) <= 12


@pytest.mark.parametrize("shape", [(32, 32, 32), (32, 64, 48), (40, 33, 47), (96, 32, 32)])
def test_any_shape_holds_a_liver_with_lesions(shape: tuple[int, int, int]) -> None:
    for seed in range(3):
        phantom = draw_liver(0, shape=shape, seed=seed)
        assert phantom.images.shape == (1, *shape)
        assert phantom.labels.shape == shape
        assert 0.01 < (phantom.labels > 0).mean() < 0.08
        assert (phantom.labels == LESION).sum() >= 3


def test_lesions_are_visible_but_no_threshold_finds_them(livers: list[Phantom]) -> None:
    best = []
    for phantom in livers:
        hu = ndimage.gaussian_filter(phantom.images[0].astype(float), 0.5)
        lesions = phantom.labels == LESION
        parts, _ = ndimage.label(lesions, np.ones((3, 3, 3)))
        for number in np.flatnonzero(np.bincount(parts.ravel()) > 60)[1:]:
            assert abs(hu[parts == number].mean() - np.median(hu[phantom.labels == 1])) > 6
        dark = [(hu < threshold) & (phantom.labels > 0) for threshold in range(-50, 140, 5)]
        dice = [2 * (marked & lesions).sum() / (marked.sum() + lesions.sum()) for marked in dark if marked.any()]
        best.append(max(dice))
    assert np.mean(best) < 0.65


def test_slabs_leave_no_seam(monkeypatch) -> None:
    whole = draw_liver(1, shape=(32, 40, 40), seed=2)
    monkeypatch.setattr("crgan.cases.phantom.liver._SLAB_VOXELS", 5 * 40 * 40)
    slabs = draw_liver(1, shape=(32, 40, 40), seed=2)
    assert (whole.labels != slabs.labels).mean() < 1e-4
    # All but the noise, which is streaked plane by plane alike, to rounding.
    assert (whole.images != slabs.images).mean() < 1e-2


def test_a_patient_depends_on_seed_number_and_shape_alone() -> None:
    shape = (32, 32, 32)
    phantom, again = (draw_liver(2, shape=shape, seed=5) for _ in range(2))
    other_number, other_seed = draw_liver(3, shape=shape, seed=5), draw_liver(2, shape=shape, seed=6)
    assert np.array_equal(phantom.images, again.images)
    assert np.array_equal(phantom.labels, again.labels)
    assert not np.array_equal(phantom.labels, other_number.labels)
    assert not np.array_equal(phantom.labels, other_seed.labels)


@pytest.mark.parametrize(
    ("shape", "spacing_mm"),
    [((32, 32, 32), (9.375, 11.875, 11.875)), ((100, 37, 74), (3, 300 / 37, 300 / 37)), ((60, 100, 76), (5, 5, 5))],
)
def test_voxel_size_lets_the_body_fill_the_shape(shape: tuple[int, int, int], spacing_mm: tuple[float, ...]) -> None:
    assert draw_liver(0, shape=shape, seed=0).spacing_mm == pytest.approx(spacing_mm)


def test_files_hold_what_was_drawn(tmp_path) -> None:
    write_livers(tmp_path, count=1, shape=(32, 34, 36), seed=3)
    phantom = draw_liver(0, shape=(32, 34, 36), seed=3)
    for name, array in (("liver_000.nii.gz", phantom.images[0]), ("liver_000_seg.nii.gz", phantom.labels)):
        image = nib.load(tmp_path / "liver_000" / name)
        assert np.array_equal(np.asarray(image.dataobj), array.transpose(2, 1, 0))
        assert nib.aff2axcodes(image.affine) == ("R", "A", "S")
        assert image.header.get_zooms() == pytest.approx(phantom.spacing_mm[::-1])
    assert KIND.labels.targets == ("liver", "lesion")
