from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from crgan.cases.phantom import Phantom, draw_movie, write_cells
from crgan.errors import CrganError


def picture(index: int = 0, *, shape: tuple[int, ...] = (160, 160), seed: int = 0) -> Phantom:
    return next(draw_movie(index, shape=shape, seed=seed))


@pytest.fixture(scope="module")
def movie() -> list[Phantom]:
    return list(draw_movie(1, shape=(128, 128), frames=7, seed=1))


@pytest.mark.parametrize("shape", [(32, 32), (160, 160), (48, 90), (8, 64, 64)])
def test_every_id_is_one_piece_and_cells_cover_a_part(shape: tuple[int, ...]) -> None:
    for index in range(3):
        phantom = picture(index, shape=shape)
        assert phantom.images.shape == (1, *shape)
        assert (phantom.images.dtype, phantom.labels.dtype) == (np.uint8, np.uint16)
        ids = np.unique(phantom.labels)[1:]
        assert len(ids) >= 2
        assert all(ndimage.label(phantom.labels == number)[1] == 1 for number in ids)
        assert 0.01 < (phantom.labels > 0).mean() < 0.6


def test_some_cells_touch() -> None:
    touching = 0
    for index in range(4):
        labels = picture(index).labels.astype(int)
        pairs = np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()])
        touching += ((pairs[0] != pairs[1]) & (pairs > 0).all(axis=0)).any()
    assert touching >= 3


def test_phase_contrast_is_dark_inside_and_bright_around() -> None:
    for index in range(3):
        phantom = picture(index, shape=(256, 256))
        image, cells = phantom.images[0].astype(float), phantom.labels > 0
        depth, away = ndimage.distance_transform_edt(cells), ndimage.distance_transform_edt(~cells)
        ground = np.median(image[away > 25])
        assert np.median(image[depth > 4]) < ground - 3
        assert image[(away > 0) & (away < 3)].mean() > ground + 5
        # No threshold tells cells from ground.
        best = max(2 * (m & cells).sum() / (m.sum() + cells.sum()) for t in range(80, 200, 4) for m in (image > t, image < t))
        assert best < 0.85


def test_fluorescence_is_bright_inside() -> None:
    phantom = picture(shape=(10, 96, 96))
    image, cells = phantom.images[0].astype(float), phantom.labels > 0
    assert image[cells].mean() > 3 * np.median(image[~cells])


def test_cells_keep_their_ids_move_a_little_and_divide_in_two(movie: list[Phantom]) -> None:
    seen: set[int] = set()
    births = 0
    for before, after in pairwise(movie):
        old, new = ({*np.unique(phantom.labels).tolist()} - {0} for phantom in (before, after))
        seen |= old
        assert not (new - old) & (seen - old)  # none comes back
        assert new - old <= {*after.parents}
        parents = list(after.parents.values())
        assert all(parents.count(parent) == 2 and parent not in new for parent in parents)
        births += len(parents) // 2
        for number in old & new:
            way = np.subtract(*(ndimage.center_of_mass(phantom.labels == number) for phantom in (before, after)))
            assert np.linalg.norm(way) < 15
    assert births >= 1
    assert not movie[0].parents


def test_frames_belong_together_and_look_alike(movie: list[Phantom]) -> None:
    assert {phantom.patient for phantom in movie} == {"cells_001"}
    assert [phantom.name for phantom in movie[:2]] == ["cells_001_t000", "cells_001_t001"]
    overlap = [((a.labels == b.labels) & (a.labels > 0)).sum() / (a.labels > 0).sum() for a, b in pairwise(movie)]
    assert np.mean(overlap) > 0.5


def test_a_picture_depends_on_seed_number_and_sizes_alone() -> None:
    phantom, again, other_number, other_seed = (picture(k, shape=(64, 64), seed=s) for k, s in ((2, 5), (2, 5), (3, 5), (2, 6)))
    assert np.array_equal(phantom.images, again.images)
    assert np.array_equal(phantom.labels, again.labels)
    assert not np.array_equal(phantom.labels, other_number.labels)
    assert not np.array_equal(phantom.labels, other_seed.labels)


def test_files_hold_what_was_drawn(tmp_path: Path) -> None:
    write_cells(tmp_path / "a", count=1, shape=(40, 48), seed=3)
    phantom = picture(shape=(40, 48), seed=3)
    for folder, array in (("images", phantom.images[0]), ("labels", phantom.labels)):
        with Image.open(tmp_path / "a" / folder / "cells_000.png") as file:
            assert np.array_equal(np.asarray(file), array)
    write_cells(tmp_path / "b", count=1, shape=(40, 48), slices=5, frames=2, seed=3)
    assert tifffile.imread(tmp_path / "b" / "labels" / "cells_000_t001.tif").shape == (5, 40, 48)


@pytest.mark.parametrize(("settings", "told"), [({"slices": 2}, "at least 4"), ({"frames": 0}, "frames"), ({"shape": (32, 31)}, "32 × 31")])
def test_settings_out_of_range_are_told(tmp_path: Path, settings: dict[str, object], told: str) -> None:
    with pytest.raises(CrganError, match=told):
        write_cells(tmp_path / "out", count=1, **settings)
