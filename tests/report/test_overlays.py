from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from crgan.report.overlays import COLUMNS, UNREFINED, Overlay, Refinement, _window, choose_slice, draw_overlays
from crgan.report.palette import FALSE_ALARM, MISSED, target_colour

SHAPE = (6, 20, 24)


def overlay(**changes: object) -> Overlay:
    """A disc of a brain with a square lesion in slices 2 and 3, which the generator and all maps leave empty."""
    rows, columns = np.mgrid[: SHAPE[1], : SHAPE[2]]
    image = np.broadcast_to(((rows - 10) ** 2 + (columns - 12) ** 2 < 81) * 100.0, SHAPE).copy()
    truth = np.zeros((1, *SHAPE), bool)
    truth[0, 2, 8:12, 9:13] = True
    truth[0, 3, 8:14, 9:15] = True
    nothing = np.zeros((1, *SHAPE))
    refinement = Refinement(false_negatives=nothing, false_positives=nothing, final=nothing > 0)
    standard = Overlay(name="p1", image=image, truth=truth, generator=nothing > 0, spacing_mm=(3.0, 1.0, 1.0), refinement=refinement)
    of_the_refiner = {name: changes.pop(name) for name in [*changes] if hasattr(refinement, name)}
    return replace(standard, **{"refinement": replace(refinement, **of_the_refiner), **changes})


def panels(png: bytes, rows: int = 1) -> list[np.ndarray]:
    """The picture cut into its columns; float (rows, columns, 3) each. The legend below is left out."""
    picture = np.asarray(Image.open(BytesIO(png)).convert("RGB")) / 255
    left = round(0.36 / (0.36 + 2.0 * len(COLUMNS)) * picture.shape[1])
    picture = picture[: -round(0.45 * 110), left:]
    assert rows == 1
    return np.array_split(picture, len(COLUMNS), axis=1)


def has_hue(panel: np.ndarray, colour: str) -> bool:
    """Whether a colour was laid over the grey, however thinly: some pixel leans towards its hue and no grey does."""
    wanted = np.array(to_rgb(colour)) - np.mean(to_rgb(colour))
    lean = panel - panel.mean(axis=2, keepdims=True)
    size = np.linalg.norm(lean, axis=2)
    aligned = (lean @ wanted) / (np.linalg.norm(wanted) * np.maximum(size, 1e-9))
    return bool(((aligned > 0.98) & (size > 0.1)).sum() > 15)


def test_slice_with_most_truth_is_chosen() -> None:
    assert choose_slice(overlay()) == 3


def test_slice_with_most_error_beats_one_with_truth_alone() -> None:
    generator = overlay().truth.copy()  # right everywhere but in slice 5, where half as much as the lesion is false
    generator[0, 5, 8:12, 9:14] = True
    assert choose_slice(overlay(generator=generator)) == 5


def test_slice_without_truth_shows_what_was_marked_or_the_middle() -> None:
    nothing = np.zeros((1, *SHAPE), bool)
    final = nothing.copy()
    final[0, 4, 3, 3] = True
    assert choose_slice(overlay(truth=nothing, final=final)) == 4
    assert choose_slice(overlay(truth=nothing)) == 3


def test_each_column_shows_its_own() -> None:
    half = overlay().truth.copy()
    half[:, :, :, 12:] = False  # the generator misses the right half …
    half[0, 3, 4:6, 9:13] = True  # … and marks something that is none
    base = overlay()
    shown = overlay(generator=half, final=base.truth, false_negatives=base.truth & ~half, false_positives=half & ~base.truth)
    image, truth, generator, missed, false, final = panels(draw_overlays([shown], ["lesion"]))
    outline = target_colour(0)
    assert [has_hue(panel, outline) for panel in (image, truth, missed, false, final)] == [False, True, False, False, True]
    assert [has_hue(panel, MISSED) for panel in (image, truth, generator, missed, false, final)] == [False, False, True, True, False, False]
    assert [has_hue(panel, FALSE_ALARM) for panel in (image, truth, generator, missed, false, final)] == [
        False,
        False,
        True,
        False,
        True,
        False,
    ]


def test_maps_of_chance_are_as_opaque_as_they_are_sure() -> None:
    chances = overlay().truth.astype(float)
    faint, sure = (panels(draw_overlays([overlay(false_negatives=share * chances)], ["lesion"]))[3] for share in (0.3, 0.9))

    def colourfulness(panel: np.ndarray) -> float:
        return float((panel.max(axis=2) - panel.min(axis=2)).max())

    assert 0.1 < colourfulness(faint) < 0.6 * colourfulness(sure)


def test_slices_can_be_given_and_rows_follow_the_overlays() -> None:
    one = Image.open(BytesIO(draw_overlays([overlay()], ["lesion"], slices=[2])))
    two = Image.open(BytesIO(draw_overlays([overlay(), overlay(name="p2")], ["lesion"], slices=[2, 3])))
    assert one.format == "PNG"
    assert two.width == one.width
    assert two.height > 1.5 * one.height
    assert not np.array_equal(one, Image.open(BytesIO(draw_overlays([overlay()], ["lesion"], slices=[0]))))


def test_thick_pixels_are_drawn_thick() -> None:
    flat, high = (Image.open(BytesIO(draw_overlays([overlay(spacing_mm=(1, edge, 1))], ["lesion"]))) for edge in (1.0, 2.0))
    assert high.height > 1.5 * flat.height


@pytest.mark.parametrize("image", [np.zeros(SHAPE), np.random.default_rng(0).random(SHAPE)])
def test_constant_and_borderless_images_are_drawn(image: np.ndarray) -> None:
    assert draw_overlays([overlay(image=image)], ["lesion"])


def test_long_names_stay_beside_their_row() -> None:
    def inked_rows(name: str) -> np.ndarray:
        picture = np.asarray(Image.open(BytesIO(draw_overlays([overlay(name=name)], ["lesion"]))).convert("L"))
        return np.flatnonzero((picture[:, :35] < 128).any(axis=1))

    short, long = inked_rows("p1"), inked_rows("subject_with_a_rather_long_name_017_session_2")
    assert len(short) < len(long)
    assert long.min() > 25  # the heading above is 33 pixels high
    assert long.max() < 33 + 1.95 * 110 + 5


def test_legend_grows_with_the_targets() -> None:
    def height(count: int) -> int:
        shown = overlay()
        many = {name: np.repeat(getattr(shown, name), count, axis=0) for name in ("truth", "generator", "final")}
        many |= {name: np.repeat(getattr(shown.refinement, name), count, axis=0) for name in ("false_negatives", "false_positives")}
        return Image.open(BytesIO(draw_overlays([overlay(**many)], [f"class {i}" for i in range(count)]))).height

    assert height(1) == height(4) < height(5) == height(8)


def test_without_a_refiner_its_columns_are_left_out() -> None:
    alone, refined = (Image.open(BytesIO(draw_overlays([shown], ["lesion"]))) for shown in (overlay(refinement=None), overlay()))
    assert (alone.width - 0.36 * 110) / UNREFINED == pytest.approx((refined.width - 0.36 * 110) / len(COLUMNS), abs=1)
    assert overlay(refinement=None, generator=overlay().truth).final.any()  # what comes out is what the generator marks


def test_same_input_gives_the_same_bytes() -> None:
    assert draw_overlays([overlay()], ["lesion"]) == draw_overlays([overlay()], ["lesion"])


def test_of_a_large_slice_the_part_is_shown_where_masks_differ_most() -> None:
    image = np.random.default_rng(0).normal(100, 10, (1, 2500, 1100)).astype(np.float32)  # no background to leave out
    masks = {name: np.zeros((1, *image.shape), bool) for name in ("truth", "generator")}
    masks["truth"][0, 0, 300:420, 100:220] = masks["generator"][0, 0, 300:420, 100:220] = True  # found
    masks["truth"][0, 0, 2300:2400, 900:1000] = True  # missed
    large = Overlay(name="p1", image=image, spacing_mm=(1.0, 1.0, 1.0), **masks)
    rows, columns = _window(large, 0)
    assert (rows.start <= 2300, rows.stop >= 2400, rows.stop - rows.start <= 768) == (True, True, True)
    assert (columns.start <= 900, columns.stop >= 1000, columns.stop - columns.start <= 768) == (True, True, True)
    _, truth, generator = np.array_split(
        np.asarray(Image.open(BytesIO(draw_overlays([large], ["lesion"]))).convert("RGB")) / 255, 3, axis=1
    )
    assert has_hue(truth, target_colour(0))
    assert has_hue(generator, MISSED)
