"""A patient is segmented the same however the file lies in space, and the mask lies exactly where its image does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations, product
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from crgan.errors import CrganError
from crgan.inference.predict import predict

MODALITIES = ("flair", "t1")
ORIENTATIONS = [
    [[axis, sign] for axis, sign in zip(axes, signs, strict=True)]
    for axes, signs in zip([*permutations(range(3))] * 2, product((1, -1), repeat=3), strict=False)
]


def affine(image: nib.Nifti1Image) -> np.ndarray:
    """Of the image as it reads back from a file, which holds 32 bits of each number."""
    return np.asarray(nib.Nifti1Image.from_bytes(image.to_bytes()).affine)


@pytest.fixture(scope="module")
def images(patients: Path) -> list[nib.Nifti1Image]:
    return [nib.load(patients / "p0" / f"p0_{name}.nii.gz") for name in MODALITIES]


@pytest.fixture(scope="module")
def segment(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[nib.Nifti1Image]], nib.Nifti1Image]:
    """Write the modalities of one patient, segment them, and give the mask."""

    def call(modalities: Sequence[nib.Nifti1Image], *, suffix: str = ".nii.gz") -> nib.Nifti1Image:
        folder = tmp_path_factory.mktemp("grid")
        (folder / "images" / "x").mkdir(parents=True)
        for name, image in zip(MODALITIES, modalities, strict=True):
            nib.save(image, folder / "images" / "x" / f"x_{name}{suffix}")
        (mask,) = predict(trained, folder / "images", folder / "masks", threads=1)
        return nib.load(mask)

    return call


@pytest.fixture(scope="module")
def mask(images, segment) -> np.ndarray:
    found = np.asarray(segment(images).dataobj)
    assert len(np.unique(found)) == 3  # else what follows would show little
    assert not any(np.array_equal(found, np.flip(found, axis)) for axis in range(3))
    return found


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_flipped_and_permuted_files(images, segment, mask: np.ndarray, orientation: list[list[int]]) -> None:
    turned = [image.as_reoriented(np.array(orientation)) for image in images]
    found = segment(turned)
    assert np.array_equal(affine(found), affine(turned[0]))
    expected = nib.Nifti1Image(mask, images[0].affine).as_reoriented(np.array(orientation))
    assert np.array_equal(np.asarray(found.dataobj), np.asarray(expected.dataobj))


def rotation(*degrees: float) -> np.ndarray:
    matrix = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        turn = np.eye(3)
        others = [other for other in range(3) if other != axis]
        turn[np.ix_(others, others)] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        matrix = turn @ matrix
    return matrix


@pytest.mark.parametrize("degrees", [(20, 0, 0), (-10, 25, 5), (30, -30, 30), (0, 0, 44)])
@pytest.mark.parametrize("code", ["sform", "qform", "both"])
def test_oblique_files(images, segment, mask: np.ndarray, degrees: tuple[float, float, float], code: str) -> None:
    oblique = np.eye(4)
    oblique[:3, :3] = rotation(*degrees) @ images[0].affine[:3, :3]
    oblique[:3, 3] = (-71.3, 12.9, 1044.6)
    turned = []
    for image in images:
        copy = nib.Nifti1Image(np.asarray(image.dataobj), None)
        copy.set_sform(oblique, code=0 if code == "qform" else 1)
        copy.set_qform(oblique, code=0 if code == "sform" else 1)
        turned.append(copy)
    found = segment(turned)
    # To the last bit, or where only a quaternion is stored, which another may stand for as well, to a millionth of a millimetre or so.
    assert np.allclose(affine(found), affine(turned[0]), rtol=0, atol=0 if code != "qform" else 1e-5)
    assert np.array_equal(np.asarray(found.dataobj), mask)


def test_a_sheared_file(images, segment, mask: np.ndarray) -> None:
    sheared = images[0].affine @ np.array([[1, 0.02, 0, 0], [0, 1, 0.01, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    found = segment([nib.Nifti1Image(np.asarray(image.dataobj), sheared) for image in images])
    assert np.allclose(affine(found), sheared, atol=1e-6)
    assert np.array_equal(np.asarray(found.dataobj), mask)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_the_container_does_not_matter(images, segment, mask: np.ndarray, suffix: str) -> None:
    assert np.array_equal(np.asarray(segment(images, suffix=suffix).dataobj), mask)


def test_scaled_voxels_are_those_they_stand_for(images, segment, mask: np.ndarray) -> None:
    scaled = []
    for image in images:
        copy = nib.Nifti1Image(np.asarray(image.dataobj).astype(np.float32) * 0.5 + 10, image.affine)
        copy.set_data_dtype(np.int16)
        scaled.append(copy)
    assert np.array_equal(np.asarray(segment(scaled).dataobj), mask)


@pytest.mark.parametrize("orientation", ORIENTATIONS[3:5], ids=str)
def test_another_spacing_in_another_orientation(images, segment, orientation: list[list[int]]) -> None:
    """Voxels are resampled and back: that, too, must not depend on how the file is stored."""
    spacing = np.diag([1.4, 0.8, 1.7, 1.0])
    straight = [nib.Nifti1Image(np.asarray(image.dataobj), spacing) for image in images]
    turned = [image.as_reoriented(np.array(orientation)) for image in straight]
    expected = nib.Nifti1Image(np.asarray(segment(straight).dataobj), spacing).as_reoriented(np.array(orientation))
    found = segment(turned)
    assert len(np.unique(np.asarray(found.dataobj))) > 1
    assert np.array_equal(np.asarray(found.dataobj), np.asarray(expected.dataobj))


def test_a_modality_stored_in_another_orientation_is_the_same(images, segment, mask: np.ndarray) -> None:
    turned = images[1].as_reoriented(np.array([[0, -1], [1, 1], [2, 1]]))
    assert np.array_equal(np.asarray(segment([images[0], turned]).dataobj), mask)


def test_modalities_of_two_places_are_refused(images, segment) -> None:
    elsewhere = images[1].affine.copy()
    elsewhere[:3, 3] += 500
    with pytest.raises(CrganError, match="differ in place"):
        segment([images[0], nib.Nifti1Image(np.asarray(images[1].dataobj), elsewhere)])
