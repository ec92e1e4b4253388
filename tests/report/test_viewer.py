from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from crgan.report.palette import target_colour
from crgan.report.viewer import LONGEST_EDGE, MARGIN_SLICES, MOST_SLICES, Pictured, Viewer, Viewers, make_viewer

SHAPE = (12, 20, 24)


def view(**changes: object) -> Viewer:
    """A lesion in slices 4 to 6, largest in 5, which the mask holds but for slice 6."""
    truth = np.zeros((1, *SHAPE), bool)
    truth[0, 4:7, 8:12, 3:8] = True
    truth[0, 5, 7:13, 3:8] = True
    mask = truth.copy()
    mask[0, 6] = False
    image = np.random.default_rng(0).normal(100, 10, SHAPE)
    pictured = Pictured(**{"truth": truth, "mask": mask, "image": image, "spacing_mm": (3.0, 2.0, 1.0), **changes})
    return make_viewer(pictured, anchor="case-1", name="p1", verdict="well")


def picture(viewer: Viewer, position: int) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(viewer.slices[position].jpeg)))


def layers(viewer: Viewer, position: int) -> list[str]:
    return [name for name, _, _ in viewer.slices[position].layers]


def test_slices_around_what_is_marked_are_shown_beginning_where_most_is_wrong() -> None:
    viewer = view()
    assert len(viewer.slices) == 3 + 2 * MARGIN_SLICES
    assert viewer.slices[viewer.shown].words == "slice 7 of 12: 40 mm² missed, 0 mm² too much"
    assert layers(viewer, viewer.shown) == ["missed", "truth"]
    assert layers(viewer, viewer.shown - 1) == ["truth", "mask"]
    assert layers(viewer, 0) == []
    assert viewer.slices[0].words.endswith("nothing to find, nothing marked")


def test_where_nothing_is_marked_every_slice_is_shown_from_the_middle() -> None:
    nothing = np.zeros((1, *SHAPE), bool)
    viewer = view(truth=nothing, mask=nothing)
    assert (len(viewer.slices), viewer.shown) == (SHAPE[0], SHAPE[0] // 2)


def test_many_slices_are_thinned_out_and_the_telling_one_stays() -> None:
    truth = np.ones((1, 3 * MOST_SLICES - 1, 4, 4), bool)
    mask = truth.copy()
    mask[0, 100] = False
    viewer = view(truth=truth, mask=mask, image=np.zeros(truth.shape[1:]))
    assert len(viewer.slices) <= MOST_SLICES
    assert viewer.slices[viewer.shown].words.startswith("slice 101 of")


def test_volumes_are_seen_from_the_feet_and_pictures_as_they_are() -> None:
    image = np.zeros(SHAPE)
    image[:, 15:, 18:] = 100  # in front, to the right
    image[:, 0, 0] = 1
    volume = picture(view(image=image), 0).astype(int)
    assert volume[0, 0] > 200  # front is up, right is left
    assert volume[-1, -1] < 50
    flat = {name: np.zeros((1, 1, 20, 24), bool) for name in ("truth", "mask")}
    flat["truth"][0, 0, 2, 2] = True
    shown = view(image=image[:1], flat=True, **flat)
    assert picture(shown, 0)[-1, -1] > 200
    assert shown.slices[0].words == "2 pixels missed, 0 pixels too much"


def test_outlines_turn_with_the_image() -> None:
    image = np.full(SHAPE, 5.0)
    image[:, 0, 0], image[:, -1, -1] = 0, 0
    viewer = view(image=image)
    path = next(path for name, path, _ in viewer.slices[viewer.shown].layers if name == "truth")
    x, y = (int(number) for number in path[1 : path.index("l")].split())
    assert x / 2 > SHAPE[2] / 2  # the lesion is at the left, small x, and seen from the feet to the right
    assert y / 2 > SHAPE[1] / 3


def test_background_is_cut_away() -> None:
    image = np.zeros(SHAPE)
    image[:, 6:14, 2:10] = 50
    viewer = view(image=image)
    assert (viewer.rows, viewer.columns) == (8 + 4, 8 + 4)
    assert (viewer.height_mm, viewer.width_mm) == (24, 12)


def test_without_an_image_outlines_stand_alone() -> None:
    viewer = view(image=None)
    assert all(not part.jpeg for part in viewer.slices)
    assert viewer.columns < SHAPE[2]
    assert layers(viewer, viewer.shown) == ["missed", "truth"]


@pytest.mark.parametrize("image", [np.zeros(SHAPE), np.full(SHAPE, 7.5)])
def test_constant_images_are_shown(image: np.ndarray) -> None:
    assert picture(view(image=image), 0).size


def test_large_pictures_are_made_smaller() -> None:
    masks = np.zeros((1, 1, 1500, 900), bool)
    viewer = view(truth=masks, mask=masks, image=np.random.default_rng(0).random((1, 1500, 900)), flat=True)
    assert max(picture(viewer, 0).shape) == LONGEST_EDGE
    assert viewer.rows == 1500
    assert viewer.size > len(viewer.slices[0].jpeg)


def test_legend_has_the_colours_of_the_outlines() -> None:
    assert Viewers(viewers=[], targets=["a", "b"], note="").legend == [("a", target_colour(0)), ("b", target_colour(1))]
