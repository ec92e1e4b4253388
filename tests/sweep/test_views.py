"""Test-time augmentation: changes that are undone exactly, and an average that is the same for a patient in any company."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from crgan.config import Config, Plane
from crgan.errors import CrganError
from crgan.inference.predict import predict
from crgan.model import Model
from crgan.sequences.augmentation import Change
from crgan.sweep.views import View, average, draw_views


def blob() -> np.ndarray:
    z, y, x = np.indices((26, 30, 34))
    return np.exp(-((z - 9.5) ** 2 + (y - 12.2) ** 2 + (x - 20.4) ** 2 / 2) / 8)[None].astype(np.float32)


def turned(degrees: float, *, size: float = 1.0, plane: Plane = "axial", noise: float = 0.0) -> View:
    angle = np.radians(degrees)
    matrix = ((np.cos(angle) * size, -np.sin(angle) * size), (np.sin(angle) * size, np.cos(angle) * size))
    return View(plane=plane, change=Change(matrix=matrix, contrast=1, brightness=0, noise=noise), seed=(1,))


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize(("degrees", "size"), [(10, 1), (-7, 1.15), (0, 0.9), (4, 0.9)])
def test_there_and_back(plane: Plane, degrees: float, size: float) -> None:
    view, image = turned(degrees, size=size, plane=plane), blob()
    there = view.there(image)
    assert np.abs(there - image).max() > 0.02
    back = view.back(there)
    np.testing.assert_allclose(back, image, atol=0.12)  # twice interpolated
    grid = np.indices(image.shape[1:])
    for axis in grid:  # and nothing has moved
        assert (axis * back[0]).sum() / back.sum() == pytest.approx((axis * image[0]).sum() / image.sum(), abs=0.02)


def test_a_quarter_turn_is_exact() -> None:
    image = np.random.default_rng(0).random((2, 3, 16, 16), np.float32)
    view = turned(90)
    np.testing.assert_allclose(view.there(image), np.rot90(image, -1, axes=(2, 3)), atol=1e-5)
    np.testing.assert_allclose(view.back(view.there(image)), image, atol=1e-5)


@pytest.mark.parametrize("plane", ["axial", "coronal", "sagittal"])
def test_a_mirror_image_is_exact_along_every_axis(plane: Plane) -> None:
    image = np.random.default_rng(0).random((2, 5, 6, 7), np.float32)
    view = View(plane=plane, change=Change(matrix=((-1, 0), (0, -1)), contrast=1, brightness=0, noise=0, backwards=True))
    np.testing.assert_allclose(view.there(image), image[:, ::-1, ::-1, ::-1], atol=1e-5)
    np.testing.assert_allclose(view.back(view.there(image)), image, atol=1e-5)


def test_places_that_a_view_does_not_reach_do_not_count() -> None:
    """Zoomed in, a view sees the middle alone; what it says there is averaged, and the rest stays as the plain look has it."""
    plain, zoomed = View(), turned(0, size=0.5)
    everywhere = np.ones((1, 20, 20), bool)
    mean, seen = average([plain, zoomed], lambda view: (np.full((1, 1, 20, 20), 0.0 if view is plain else 1.0, np.float16), everywhere))
    assert seen.all()
    assert (mean[0, 0, 6:14, 6:14] == 0.5).all()
    assert (mean[0, 0, :4] == 0).all()


def test_where_no_view_looked_the_first_decides() -> None:
    looked = np.zeros((1, 8, 8), bool)
    looked[0, :, :4] = True
    values = np.where(looked, 0.25, 1)[None].astype(np.float16)
    mean, seen = average([View(), View()], lambda _: (values, looked))
    np.testing.assert_array_equal(mean, values)
    np.testing.assert_array_equal(seen, looked)


def test_noise_is_added_to_images_alone() -> None:
    image = blob()
    view = turned(5, noise=0.2)
    difference = view.image(image) - view.there(image)
    assert difference.std() == pytest.approx(0.2, rel=0.05)
    np.testing.assert_array_equal(view.image(image), view.image(image))


def test_views_depend_on_the_case_and_the_settings_alone(small_config: Callable[..., Config]) -> None:
    config = small_config("planes=[axial, sagittal]")
    views = draw_views(5, config, case_id="p1")
    assert views[0].change is None
    assert views == draw_views(5, config, case_id="p1")
    assert views[:3] == draw_views(2, config, case_id="p1")
    assert views[1:] != draw_views(5, config, case_id="p2")[1:]
    assert {view.plane for view in draw_views(20, config, case_id="p1")} == {"axial", "sagittal"}
    still = small_config("augmentation.rotation_degrees=0", "augmentation.scale=0", "augmentation.stretch=0", "augmentation.noise=0")
    image = blob()
    for view in draw_views(2, still, case_id="p1"):
        np.testing.assert_allclose(view.back(view.image(image)), image, atol=1e-5)


def test_masks_keep_their_contract(trained: Path, patients: Path, tmp_path: Path) -> None:
    together = predict(trained, patients, tmp_path / "together", tta=2, threads=1)
    (alone,) = predict(trained, patients / "p2", tmp_path / "alone", tta=2, threads=1)
    assert alone.read_bytes() == together[2].read_bytes()
    plain = predict(trained, patients, tmp_path / "plain", threads=1)
    assert any(one.read_bytes() != other.read_bytes() for one, other in zip(plain, together, strict=True))
    for mask, case in zip(together, ("p0", "p1"), strict=False):
        truth = np.asarray(nib.load(patients / case / f"{case}_seg.nii.gz").dataobj) > 0
        found = np.asarray(nib.load(mask).dataobj) > 0
        assert 2 * (truth & found).sum() / (truth.sum() + found.sum()) > 0.6


def test_without_the_refiner_the_generator_is_averaged(trained: Path) -> None:
    model = Model.load(trained, device="cpu")
    image = np.random.default_rng(0).normal(size=(2, 8, 16, 16)).astype(np.float32)
    plain, averaged = (model.estimate(image, refined=False, case_id="a", tta=tta) for tta in (0, 2))
    assert averaged.corrected is None
    assert averaged.generator.dtype == np.float16
    assert 0 < np.abs(averaged.generator.astype(np.float32) - plain.generator).max() < 1


def test_a_promise_is_refused_together_with_it(trained: Path, patients: Path, tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="looks at each image once"):
        predict(trained, patients, tmp_path / "masks", tta=1, max_fnr=0.1)
