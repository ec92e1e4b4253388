"""Sizes derived from the data: by hand for data like those of the field, and in general for any."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crgan.config import SYSTEMS, Config, NetworkSettings, Plane, load_config
from crgan.planning import derive_settings
from crgan.preprocessing.fingerprint import Fingerprint, Range

Triple = tuple[float, float, float]


def fingerprint(shape: Triple, spacing_mm: Triple, extent: Triple | None, *, patients: int = 40) -> Fingerprint:
    """Of cases that are all alike; only what sizes depend on."""
    return Fingerprint(
        modalities=("m",),
        cases=patients,
        patients=patients,
        labelled=patients,
        shape=Range(low=shape, median=shape, high=shape),
        spacing_mm=Range(low=spacing_mm, median=spacing_mm, high=spacing_mm),
        codes=(),
        foreground_share=0.01,
        foreground_extent=extent,
    )


HIPPOCAMPUS = fingerprint((36, 50, 35), (1, 1, 1), (21, 38, 17))
HEART = fingerprint((10, 240, 216), (10, 1.4, 1.4), (8, 78, 80))
BRAIN_TUMOUR = fingerprint((140, 172, 136), (1, 1, 1), (60, 70, 60))
CELLS = fingerprint((1, 512, 640), (1, 1, 1), (1, 500, 620))
SPINE = fingerprint((220, 200, 16), (0.8, 0.8, 3.2), (180, 30, 8))  # sagittal slices


def sizes(network: NetworkSettings) -> tuple[Any, ...]:
    return len(network.widths or ()) - 1, network.coarseness, network.crops


@pytest.mark.parametrize(
    ("data", "planes"),
    [
        (HIPPOCAMPUS, ("axial", "coronal", "sagittal")),
        (BRAIN_TUMOUR, ("axial", "coronal", "sagittal")),
        (HEART, ("axial",)),
        (SPINE, ("sagittal",)),
        (CELLS, ("axial",)),
    ],
)
def test_planes_by_hand(data: Fingerprint, planes: tuple[Plane, ...]) -> None:
    assert derive_settings(load_config(), data).planes == planes


def test_only_single_images_are_no_sequences() -> None:
    lengths = [derive_settings(load_config(), data).batch.length or 0 for data in (CELLS, HEART, SPINE, HIPPOCAMPUS, BRAIN_TUMOUR)]
    assert lengths[0] == 1
    assert 1 < lengths[1] == lengths[2] <= lengths[3] == lengths[4]  # thick slices say less of each other


@pytest.mark.parametrize(
    ("spacing_mm", "planes"),
    [
        ((3, 1, 1), ("axial", "coronal", "sagittal")),  # a ratio of 3 is still isotropic enough
        ((3.01, 1, 1), ("axial",)),
        ((1, 3.01, 1), ("coronal",)),
        ((1, 1, 3.01), ("sagittal",)),
        ((2, 0.5, 1), ("axial",)),
    ],
)
def test_a_stack_is_cut_as_it_was_taken(spacing_mm: Triple, planes: tuple[Plane, ...]) -> None:
    assert derive_settings(load_config(), fingerprint((40, 40, 40), spacing_mm, None)).planes == planes


@pytest.mark.parametrize(
    ("data", "generator", "refiner"),
    # Depth, voxels to a pixel, crops in pixels.
    [
        (
            HIPPOCAMPUS,  # small: seen whole and sharp; 50 voxels are 48 and 36 are 40, in steps of 8
            (3, 1, {"axial": (48, 40), "coronal": (40, 40), "sagittal": (40, 48)}),
            (3, 1, {"axial": (48, 32), "coronal": (32, 32), "sagittal": (32, 48)}),
        ),
        (
            HEART,  # 240 × 216 voxels are 120 × 108 coarse pixels; a heart of 78 × 80 and a third around it fits into 112
            (4, 2, {"axial": (128, 112)}),
            (4, 1, {"axial": (112, 112)}),
        ),
        (
            BRAIN_TUMOUR,  # 172 × 136, 140 × 136 and 140 × 172 voxels, halved
            (4, 2, {"axial": (96, 64), "coronal": (80, 64), "sagittal": (80, 96)}),
            (4, 1, {"axial": (96, 80), "coronal": (80, 80), "sagittal": (80, 96)}),
        ),
        (
            CELLS,  # pictures, of which 192 × 192 pixels are cut; cells are everywhere, and a tile has its limit
            (4, 1, {"axial": (192, 192)}),
            (4, 1, {"axial": (128, 128)}),
        ),
    ],
)
def test_networks_by_hand(data: Fingerprint, generator: tuple[Any, ...], refiner: tuple[Any, ...]) -> None:
    config = derive_settings(load_config(), data)
    assert sizes(config.generator) == generator
    assert sizes(config.refiner) == refiner


def test_cells_are_mirrored_in_plane_and_organs_are_not_unless_the_user_says_so() -> None:
    cells = replace(CELLS, instances=True)
    assert derive_settings(load_config(), cells).augmentation.mirror == ("y", "x")
    assert derive_settings(load_config(), CELLS).augmentation.mirror == ()
    assert derive_settings(load_config(), HEART).augmentation.mirror == ()
    assert derive_settings(load_config(overrides=["augmentation.mirror=[]"]), cells).augmentation.mirror == ()
    assert derive_settings(load_config(overrides=["augmentation.mirror=[x]"]), HEART).augmentation.mirror == ("x",)
    assert derive_settings(load_config(recipe="phc-hela"), cells).augmentation.mirror == ()


def test_without_a_refiner_the_generator_is_sharp() -> None:
    config = derive_settings(load_config(system="rnn-cgan"), BRAIN_TUMOUR)
    assert config.generator.coarseness == 1
    assert config.generator.crops == {"axial": (176, 144), "coronal": (144, 144), "sagittal": (144, 176)}
    assert config.refiner == NetworkSettings()


def test_recipe_paper_refines_whole_slices_at_the_generators_resolution() -> None:
    config = derive_settings(load_config(recipe="paper"), HEART)
    assert config.generator.coarseness == config.refiner.coarseness == 1
    assert config.refiner.crops == config.generator.crops == {"axial": (192, 192)}
    assert config.generator.groups == config.refiner.groups == 1


def test_without_any_foreground_a_tile_is_as_large_as_it_may_be() -> None:
    config = derive_settings(load_config(), fingerprint((100, 200, 300), (1, 1, 1), None))
    assert config.refiner.crops == {"axial": (128, 128), "coronal": (96, 128), "sagittal": (96, 128)}


def test_mini_batches_are_of_one_size_whatever_the_crop() -> None:
    small, large = (derive_settings(load_config(system="unet"), data) for data in (HIPPOCAMPUS, BRAIN_TUMOUR))
    assert small.generator.groups is not None
    assert large.generator.groups == 1
    assert small.generator.groups > large.generator.groups


@pytest.mark.parametrize(
    ("patients", "coarseness", "errors", "share"),
    [(40, 2, "out-of-fold", 0.4), (20, 2, "out-of-fold", 0.4), (19, 2, "in-sample", 0.4), (40, 1, "in-sample", 0.7)],
)
def test_a_refiner_that_sees_more_than_its_generator_gets_more(patients: int, coarseness: int, errors: str, share: float) -> None:
    shape = (140, 170, 136) if coarseness == 2 else (36, 50, 35)
    config = derive_settings(load_config(), fingerprint(shape, (1, 1, 1), (20, 20, 20), patients=patients))
    assert (config.generator.coarseness, config.refiner.coarseness) == (coarseness, 1)
    assert (config.refinement.errors, config.generator_share) == (errors, share)
    asked = load_config(generator_share=0.25, overrides=["refinement.errors=snapshots"])
    kept = derive_settings(asked, fingerprint(shape, (1, 1, 1), (20, 20, 20), patients=patients))
    assert (kept.refinement.errors, kept.generator_share) == ("snapshots", 0.25)


def test_every_device_has_a_part_in_every_batch() -> None:
    config = derive_settings(load_config(devices=2, nodes=3), BRAIN_TUMOUR)
    assert config.generator.groups == config.refiner.groups == 6


@pytest.mark.parametrize(
    "override",
    [
        "planes=[coronal]",
        "batch.length=5",
        "generator.widths=[8, 16, 24]",
        "generator.recurrent_width=7",
        "generator.coarseness=3",
        "generator.groups=5",
        "refiner.coarseness=2",
        "refiner.widths=[8, 16, 24]",
        "generator.crops={axial: [32, 64], coronal: [32, 32], sagittal: [16, 16]}",
    ],
)
def test_what_the_user_chose_stays(override: str) -> None:
    name, _, _ = override.partition("=")
    chosen = load_config(overrides=[override])
    found = derive_settings(chosen, BRAIN_TUMOUR)
    for part in name.split("."):
        chosen, found = getattr(chosen, part), getattr(found, part)
    assert found == chosen


@pytest.mark.parametrize(
    ("data", "overrides", "channels"),
    [
        (BRAIN_TUMOUR, [], 64),  # half of 128, at a sixteenth of the resolution
        (HIPPOCAMPUS, [], 32),  # a quarter, at an eighth: there are four times the pixels
        (HIPPOCAMPUS, ["generator.widths=[2, 2]"], 1),
    ],
)
def test_memory_between_slices_never_becomes_the_dearest_part(data: Fingerprint, overrides: list[str], channels: int) -> None:
    assert derive_settings(load_config(overrides=overrides), data).generator.recurrent_width == channels


def test_crops_chosen_for_one_plane_leave_the_others_to_the_data() -> None:
    derived = derive_settings(load_config(), BRAIN_TUMOUR).generator.crops
    found = derive_settings(load_config(overrides=["generator.crops={coronal: [32, 64]}"]), BRAIN_TUMOUR).generator.crops
    assert found == {**derived, "coronal": (32, 64)}


def test_all_else_stays() -> None:
    config = load_config(recipe="paper")
    found = derive_settings(config, HIPPOCAMPUS)
    changed = {name for name in Config.model_fields if getattr(found, name) != getattr(config, name)}
    assert changed == {"planes", "generator", "refiner"}  # the recipe gives the sequences


SIDES = st.floats(1, 700)
SPACINGS = st.floats(0.2, 12)


@given(
    st.tuples(st.one_of(st.just(1.0), SIDES), SIDES, SIDES),
    st.tuples(SPACINGS, SPACINGS, SPACINGS),
    st.tuples(st.floats(0.001, 1), st.floats(0.001, 1), st.floats(0.001, 1)) | st.none(),
    st.sampled_from(SYSTEMS),
)
def test_any_data_give_sizes_that_work(shape: Triple, spacing_mm: Triple, share: Triple | None, system: str) -> None:
    extent = None if share is None else tuple(max(1.0, side * part) for side, part in zip(shape, share, strict=True))
    config = derive_settings(load_config(system=system), fingerprint(shape, spacing_mm, extent))
    assert config.planes
    assert config.batch.length
    for network in (config.generator, config.refiner) if config.has_refiner else (config.generator,):
        assert network.widths
        assert network.recurrent_width
        assert network.coarseness
        assert network.crops
        assert network.crops.keys() == set(config.planes)
        assert 1 <= (network.groups or 0) <= 8
        step = 2 ** (len(network.widths) - 1)
        for plane, crop in network.crops.items():
            z, y, x = shape
            slices = {"axial": (y, x), "coronal": (z, x), "sagittal": (z, y)}[plane]
            for side, whole in zip(crop, slices, strict=True):
                assert side % step == 0
                assert step <= side <= 192 + step
                assert side < whole / network.coarseness + step  # padding is less than a step
    assert derive_settings(config, fingerprint(shape, spacing_mm, extent)) == config  # nothing is left to derive
