"""Mini-batches of cases whose voxels say where they are, so that a batch tells what was cut out of what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil

import numpy as np
import pytest
import torch
from torch import Tensor

from crgan.cases.labels import IGNORED
from crgan.config import AugmentationSettings, Plane
from crgan.preprocessing.stored import StoredCase
from crgan.sequences.batch import Batch
from crgan.sequences.sampler import Sampler, TrainingCase

MakeStored = Callable[..., StoredCase]

CPU = torch.device("cpu")
NOTHING = AugmentationSettings(rotation_degrees=0, scale=0, stretch=0, contrast=0, brightness=0, noise=0)
STRONG = NOTHING.model_copy(update={"rotation_degrees": 30, "scale": 0.3, "stretch": 0.2, "mirror": ("x", "y", "z")})
MIRRORED = NOTHING.model_copy(update={"mirror": ("x", "y", "z")})
CLASSES = np.array([[False, True, False], [False, False, True]])
AXES: dict[Plane, tuple[int, int, int]] = {"axial": (0, 1, 2), "coronal": (1, 0, 2), "sagittal": (2, 0, 1)}


def places(*shape: int) -> np.ndarray:
    """An image whose three modalities are the Z, the Y and the X of each voxel."""
    return np.indices(shape).astype(np.float32)


def spots(*shape: int, first: tuple[int, int, int] | None = None, second: tuple[int, int, int] | None = None) -> np.ndarray:
    """Label codes with one voxel of each class, or none."""
    codes = np.zeros(shape, np.uint8)
    for code, place in enumerate((first, second), start=1):
        if place is not None:
            codes[place] = code
    return codes


def sampler(
    cases: Sequence[StoredCase | TrainingCase],
    *,
    planes: Sequence[Plane] = ("axial",),
    crop: tuple[int, int] = (8, 8),
    coarseness: int = 1,
    groups: int = 1,
    sequences: int = 2,
    length: int = 4,
    augmentation: AugmentationSettings = NOTHING,
    seed: tuple[int, ...] = (0, 0, 0),
) -> Sampler:
    return Sampler(
        cases=[case if isinstance(case, TrainingCase) else TrainingCase(stored=case) for case in cases],
        table=CLASSES,
        planes=planes,
        crops=dict.fromkeys(planes, crop),
        coarseness=coarseness,
        groups=groups,
        sequences=sequences,
        length=length,
        augmentation=augmentation,
        seed=seed,
    )


def tensors(batch: Batch) -> list[Tensor]:
    return [batch.images, batch.targets, batch.valid, batch.known, *([] if batch.probabilities is None else [batch.probabilities])]


@pytest.fixture
def located(make_stored: MakeStored) -> StoredCase:
    """One large case that says where its voxels are, with one voxel of each class near two of its corners."""
    shape = (40, 32, 36)
    return make_stored(places(*shape), spots(*shape, first=(3, 4, 5), second=(35, 27, 30)))


# --- determinism ---------------------------------------------------------------------------------------------------


def test_a_step_is_the_same_whenever_it_is_drawn(located: StoredCase) -> None:
    case = TrainingCase(stored=located, probabilities=np.zeros((2, *located.shape), np.float16))
    settings = STRONG.model_copy(update={"noise": 0.1, "contrast": 0.1, "brightness": 0.1})
    drawing = sampler([case], planes=("axial", "sagittal"), augmentation=settings)
    later = drawing.batch(7, CPU)
    for step in (0, 3):
        drawing.batch(step, CPU)
    again = sampler([case], planes=("axial", "sagittal"), augmentation=settings).batch(7, CPU)
    for one, other in zip(tensors(later), tensors(again), strict=True):
        assert torch.equal(one, other)


def test_every_seed_stage_rank_and_step_is_another(located: StoredCase) -> None:
    noisy = STRONG.model_copy(update={"noise": 0.1})
    streams = [((0, 0, 0), 0), ((1, 0, 0), 0), ((0, 1, 0), 0), ((0, 0, 1), 0), ((0, 0, 0), 1)]
    drawn = [sampler([located], seed=seed, augmentation=noisy).batch(step, CPU).images for seed, step in streams]
    for number, one in enumerate(drawn):
        assert not any(torch.equal(one, other) for other in drawn[:number])


# --- what a group is -----------------------------------------------------------------------------------------------


@pytest.fixture
def four_patients(make_stored: MakeStored) -> list[StoredCase]:
    """Images whose every voxel is the patient's number; patient 0 has three cases: 0, 0.25 and 0.5."""
    values = {"a": 0.0, "b": 0.25, "c": 0.5, "d": 1.0, "e": 2.0, "f": 3.0}
    shape = (6, 10, 12)
    return [
        make_stored(np.full((1, *shape), value, np.float32), spots(*shape, first=(2, 2, 2)), case=name, patient=str(int(value)))
        for name, value in values.items()
    ]


def test_a_step_has_batches_of_its_own(located: StoredCase) -> None:
    drawing = replace(sampler([located]), accumulate=3)
    numbers = [[batch.number for batch in drawing.step(step, CPU)] for step in range(3)]
    assert numbers == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    for batch in drawing.step(2, CPU):
        assert torch.equal(batch.images, drawing.batch(batch.number, CPU).images)
    (alone,) = sampler([located]).step(7, CPU)
    assert alone.number == 7


def test_a_group_is_one_case_and_no_patient_comes_twice(four_patients: list[StoredCase]) -> None:
    seen = set()
    for step in range(20):
        batch = sampler(four_patients, groups=3, sequences=4).batch(step, CPU)
        assert batch.groups == 3
        assert batch.images.shape == (12, 4, 1, 8, 8)
        values = batch.images.view(3, -1)
        torch.testing.assert_close(values, values[:, :1].expand_as(values))
        found = [round(value, 3) for value in values[:, 0].tolist()]
        assert len({int(value) for value in found}) == 3
        seen.update(found)
    assert seen == {0.0, 0.25, 0.5, 1.0, 2.0, 3.0}


def test_patients_come_equally_often_however_many_cases_they_have(four_patients: list[StoredCase]) -> None:
    found = [float(sampler(four_patients).batch(step, CPU).images.flatten()[0]) for step in range(200)]
    assert 30 < sum(value < 1 for value in found) < 70
    assert 30 < sum(value == 3 for value in found) < 70


def test_fewer_patients_than_groups(four_patients: list[StoredCase]) -> None:
    batch = sampler(four_patients[3:5], groups=5).batch(0, CPU)
    assert batch.images.shape[0] == 10
    assert set(batch.images.round(decimals=3).flatten().tolist()) == {1.0, 2.0}


@pytest.mark.parametrize("plane", list(AXES))
def test_a_sequence_is_neighbouring_slices_of_one_plane(located: StoredCase, plane: Plane) -> None:
    through, down, across = AXES[plane]
    for step in range(5):
        images = sampler([located], planes=(plane,), crop=(8, 12), sequences=3).batch(step, CPU).images
        assert images.shape == (3, 4, 3, 8, 12)
        for sequence in images:
            slices = sequence[:, through].flatten(1)
            torch.testing.assert_close(slices, slices[0, 0] + torch.arange(4.0)[:, None].expand_as(slices))
            torch.testing.assert_close(sequence[:, down].diff(dim=1), torch.ones(4, 7, 12))
            torch.testing.assert_close(sequence[:, across].diff(dim=2), torch.ones(4, 8, 11))


def test_all_groups_of_a_batch_share_a_plane_and_all_planes_come(four_patients: list[StoredCase], make_stored: MakeStored) -> None:
    shape = (16, 16, 16)
    cases = [make_stored(places(*shape), spots(*shape, first=(2, 2, 2)), case=f"located{number}") for number in range(3)]
    seen = set()
    for step in range(20):
        images = sampler(cases, planes=tuple(AXES), groups=3).batch(step, CPU).images
        constant = [axis for axis in range(3) if not images[:, :, axis].flatten(2).diff(dim=2).abs().gt(1e-4).any()]
        assert len(constant) == 1
        seen.update(constant)
    assert seen == {0, 1, 2}


def test_every_plane_has_its_own_crop(located: StoredCase) -> None:
    drawing = replace(sampler([located], planes=("axial", "coronal")), crops={"axial": (8, 16), "coronal": (16, 8)})
    assert {drawing.batch(step, CPU).images.shape[-2:] for step in range(10)} == {(8, 16), (16, 8)}


# --- where crops are taken -----------------------------------------------------------------------------------------


def first_slices(images: Tensor, groups: int) -> tuple[np.ndarray, np.ndarray]:
    """The first slice of each group's first sequence, and of its others."""
    starts = images[:, 0, 0, 0, 0].view(groups, -1).numpy()
    return starts[:, 0], starts[:, 1:].ravel()


def test_the_first_sequence_of_a_group_is_drawn_uniformly_and_the_others_around_the_classes(make_stored: MakeStored) -> None:
    shape = (40, 16, 16)
    case = make_stored(places(*shape), spots(*shape, first=(6, 4, 4), second=(30, 12, 12)))
    uniform, around = [], []
    for step in range(400):
        first, others = first_slices(sampler([case], sequences=3).batch(step, CPU).images, 1)
        uniform.extend(first)
        around.extend(others)
    # 37 places to begin; the ones at either end take in what would reach beyond.
    counts = np.bincount(np.round(uniform).astype(int), minlength=37)
    assert len(counts) == 37
    assert counts.min() >= 1
    assert counts[2:35].max() < 30
    # Within a quarter of a sequence of where a window centred on the class begins.
    near_first, near_second = np.abs(np.array(around) - 4) <= 2, np.abs(np.array(around) - 28) <= 2
    assert (near_first | near_second).all()
    assert 0.4 < near_first.mean() < 0.6


def test_a_rare_class_is_looked_at_as_often_as_a_frequent_one(make_stored: MakeStored) -> None:
    codes = np.full((12, 32, 32), 2, np.uint8)
    codes[3, 5, 7] = 1
    case = make_stored(places(*codes.shape), codes)
    hits = [sampler([case]).batch(step, CPU).targets[1, :, 0].any() for step in range(200)]
    assert 0.45 < np.mean(hits) < 0.65


def test_without_any_foreground_crops_come_from_anywhere(make_stored: MakeStored) -> None:
    case = make_stored(places(30, 16, 16), np.zeros((30, 16, 16), np.uint8))
    starts = [round(float(sampler([case]).batch(step, CPU).images[1, 0, 0, 0, 0])) for step in range(200)]
    assert len(set(starts)) > 20


def test_candidates_take_the_place_of_anywhere_and_errors_count_as_a_class(make_stored: MakeStored) -> None:
    shape = (40, 16, 16)
    stored = make_stored(places(*shape), spots(*shape, first=(6, 8, 8)))
    case = TrainingCase(stored=stored, candidates=np.array([[20, 8, 8]], np.int32), errors=np.array([[34, 8, 8]], np.int32))
    uniform, around = [], []
    for step in range(100):
        first, others = first_slices(sampler([case]).batch(step, CPU).images, 1)
        uniform.extend(first)
        around.extend(others)
    assert np.abs(np.array(uniform) - 18).max() <= 2
    near_class, near_error = np.abs(np.array(around) - 4) <= 2, np.abs(np.array(around) - 32) <= 2
    assert (near_class | near_error).all()
    assert 0.35 < near_error.mean() < 0.65


def test_without_candidates_or_errors_in_a_case_crops_come_from_where_they_would_otherwise(make_stored: MakeStored) -> None:
    shape, none = (40, 16, 16), np.zeros((0, 3), np.int32)
    stored = make_stored(places(*shape), spots(*shape, first=(6, 8, 8)))
    with_none = sampler([TrainingCase(stored=stored, candidates=none, errors=none)])
    for step in range(5):
        assert torch.equal(with_none.batch(step, CPU).images, sampler([stored]).batch(step, CPU).images)


def test_crops_stay_inside_where_they_fit(located: StoredCase) -> None:
    for step in range(20):
        batch = sampler([located], planes=tuple(AXES), augmentation=STRONG, sequences=4).batch(step, CPU)
        assert batch.valid.all()


# --- what is read there --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crop", [(8, 8), (7, 8)])
def test_without_augmentation_a_crop_is_the_voxels_themselves(make_stored: MakeStored, crop: tuple[int, int]) -> None:
    generator = np.random.default_rng(0)
    image = generator.normal(size=(1, 6, 20, 21)).astype(np.float32)
    case = make_stored(image, spots(6, 20, 21, first=(2, 8, 9)))
    for step in range(5):
        batch = sampler([case], crop=crop).batch(step, CPU)
        for sequence in batch.images[:, :, 0].numpy():
            differences = [
                np.abs(image[0, z : z + 4, y : y + crop[0], x : x + crop[1]] - sequence).max()
                for z in range(3)
                for y in range(21 - crop[0])
                for x in range(22 - crop[1])
            ]
            assert min(differences) < 1e-4


def test_slices_of_a_sequence_share_their_change_and_sequences_do_not(make_stored: MakeStored) -> None:
    pattern = np.random.default_rng(0).normal(size=(1, 1, 24, 24)).astype(np.float32)
    case = make_stored(np.repeat(pattern, 10, axis=1), np.zeros((10, 24, 24), np.uint8))
    settings = NOTHING.model_copy(update={"rotation_degrees": 30, "contrast": 0.3, "brightness": 0.3})
    # A turned crop as large as the image is centred on it, so that nothing but the change tells two of them apart.
    images = sampler([case], crop=(24, 24), sequences=3, augmentation=settings).batch(0, CPU).images
    assert torch.equal(images, images[:, :1].expand_as(images))
    assert not torch.allclose(images[0], images[1])
    assert not torch.allclose(images[1], images[2])


def test_the_part_that_is_read_is_large_enough(make_stored: MakeStored) -> None:
    case = make_stored(places(4, 60, 60), spots(4, 60, 60, first=(1, 30, 30), second=(2, 33, 28)))
    for step in range(20):  # in the middle, so that places grow evenly; at the edge of what was read they would stop
        around_classes = sampler([case], sequences=4, augmentation=STRONG).batch(step, CPU).images[1:, :, 1:]
        for along in (3, 4):
            bend = around_classes.diff(n=2, dim=along)
            torch.testing.assert_close(bend, torch.zeros_like(bend), rtol=0, atol=1e-3)


@pytest.mark.parametrize("plane", list(AXES))
def test_mirrored_crops_are_those_of_a_mirrored_patient(make_stored: MakeStored, plane: Plane) -> None:
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 8)).astype(np.float32)
    case = make_stored(image, np.zeros((8, 8, 8), np.uint8))
    looks = [np.moveaxis(np.flip(image[0], axes), AXES[plane][0], 0) for axes in ((), 0, 1, 2, (0, 1), (0, 2), (1, 2), (0, 1, 2))]
    seen = set()
    for step in range(20):
        for sequence in sampler([case], planes=(plane,), length=8, augmentation=MIRRORED).batch(step, CPU).images[:, :, 0].numpy():
            (look,) = (number for number, look in enumerate(looks) if np.allclose(sequence, look, atol=1e-4))
            seen.add(look)
    assert len(seen) == 8


@pytest.mark.parametrize("augmentation", [NOTHING, STRONG])
@pytest.mark.parametrize("plane", list(AXES))
def test_the_label_is_that_of_the_nearest_voxel(make_stored: MakeStored, augmentation: AugmentationSettings, plane: Plane) -> None:
    shape = (20, 22, 24)
    codes = np.random.default_rng(0).integers(0, 3, shape).astype(np.uint8)
    drawing = sampler([make_stored(places(*shape), codes)], planes=(plane,), augmentation=augmentation)
    for step in range(5):
        batch = drawing.batch(step, CPU)
        where = batch.images.movedim(2, -1).numpy()
        nearest = np.round(where).astype(int)
        plain = np.abs(where - nearest).max(axis=-1) < 0.49  # in the very middle between two voxels either will do
        assert plain.mean() > 0.9
        expected = CLASSES[:, codes[tuple(np.moveaxis(nearest, -1, 0))]].transpose(1, 2, 0, 3, 4)
        both = np.broadcast_to(plain[:, :, None], expected.shape)
        np.testing.assert_array_equal(batch.targets.numpy()[both], expected[both])


@pytest.mark.parametrize("coarseness", [1, 2])
def test_probabilities_lie_on_the_image_after_augmentation(make_stored: MakeStored, coarseness: int) -> None:
    shape = (10, 30, 32)
    probabilities = np.random.default_rng(0).random((2, *shape)).astype(np.float16)
    stored = make_stored(probabilities.astype(np.float32), spots(*shape, first=(4, 8, 8)))
    case = TrainingCase(stored=stored, probabilities=probabilities)
    for plane in AXES:
        batch = sampler([case], planes=(plane,), coarseness=coarseness, augmentation=STRONG).batch(0, CPU)
        assert batch.probabilities is not None
        torch.testing.assert_close(batch.probabilities, batch.images)


def test_the_generator_is_trained_without_probabilities(located: StoredCase) -> None:
    assert sampler([located]).batch(0, CPU).probabilities is None


def test_nested_regions_come_from_the_table(make_stored: MakeStored) -> None:
    codes = np.zeros((4, 8, 8), np.uint8)
    codes[:, :4] = 1
    codes[:, 4:6] = 2
    drawing = replace(sampler([make_stored(places(4, 8, 8), codes)]), table=np.array([[False, True, True], [False, False, True]]))
    targets = drawing.batch(0, CPU).targets
    assert targets.dtype == torch.float32
    expected = torch.zeros(2, 8, 8)
    expected[0, :6] = 1
    expected[1, 4:6] = 1
    assert torch.equal(targets, expected.expand(2, 4, 2, 8, 8))


# --- padding -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("augmentation", [NOTHING, MIRRORED])
@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_patient_with_fewer_slices_than_a_sequence(make_stored: MakeStored, count: int, augmentation: AugmentationSettings) -> None:
    shape = (count, 12, 12)
    case = TrainingCase(
        stored=make_stored(places(*shape), spots(*shape, first=(count - 1, 6, 6))), probabilities=np.ones((2, *shape), np.float16)
    )
    for step in range(3):
        batch = sampler([case], augmentation=augmentation).batch(step, CPU)
        assert torch.equal(batch.valid[:, :count], torch.ones(2, count, 1, 8, 8))
        assert not batch.valid[:, count:].any()
        for part in tensors(batch):
            assert part.shape[:2] == (2, 4)
        for t in range(count, 4):  # the last slice goes on
            assert torch.equal(batch.images[:, t], batch.images[:, count - 1])
            assert torch.equal(batch.targets[:, t], batch.targets[:, count - 1])


@pytest.mark.parametrize("crop", [(8, 8), (8, 4), (6, 12)])
def test_an_image_smaller_than_the_crop(make_stored: MakeStored, crop: tuple[int, int]) -> None:
    size = (5, 6)
    batch = sampler([make_stored(places(4, *size), spots(4, *size, first=(1, 2, 2)))], crop=crop).batch(0, CPU)
    for along, (side, whole) in enumerate(zip(crop, size, strict=True)):
        inside = batch.valid.amax(dim=(0, 1, 2, 4 - along))
        assert inside.sum() == min(side, whole)
        where = batch.images[0, 0, 1 + along].movedim(along, 0)[:, 0]
        if side >= whole:  # all of it, in the middle, and its edge goes on
            before = (side - whole) // 2
            assert where.tolist() == pytest.approx(np.clip(np.arange(side) - before, 0, whole - 1).tolist(), abs=1e-4)
            assert torch.equal(inside, ((torch.arange(side) >= before) & (torch.arange(side) < before + whole)).float())


def test_what_lies_outside_of_a_turned_image_is_not_valid(make_stored: MakeStored) -> None:
    turned = NOTHING.model_copy(update={"rotation_degrees": 45})
    case = make_stored(places(4, 16, 16), spots(4, 16, 16, first=(1, 2, 2)))
    for step in range(5):
        batch = sampler([case], crop=(16, 16), augmentation=turned).batch(step, CPU)
        # Where the image goes on, its places do; outside they stay what they are at the edge.
        rows, columns = (batch.images[:, :, axis : axis + 1] for axis in (1, 2))
        at_the_edge = (rows < 0.01) | (rows > 14.99) | (columns < 0.01) | (columns > 14.99)
        assert batch.valid[~at_the_edge].all()
        assert (batch.valid == 0).any()


def test_coarse_targets_are_shares_and_coarse_images_are_means(make_stored: MakeStored) -> None:
    codes = np.zeros((4, 8, 8), np.uint8)
    codes[:, 0, 0] = 1
    codes[:, 2:4, 2] = 1
    codes[:, 4:6, 4:6] = 2
    case = TrainingCase(stored=make_stored(places(4, 8, 8), codes), probabilities=np.repeat((codes > 0)[None], 2, 0).astype(np.float16))
    batch = sampler([case], crop=(4, 4), coarseness=2).batch(0, CPU)
    first, second = torch.zeros(4, 4), torch.zeros(4, 4)
    first[0, 0], first[1, 1], second[2, 2] = 0.25, 0.5, 1
    expected = torch.stack([first, second]).expand(2, 4, 2, 4, 4)
    torch.testing.assert_close(batch.targets, expected)
    assert batch.probabilities is not None
    torch.testing.assert_close(batch.probabilities[:, :, 0], (first + second).expand(2, 4, 4, 4))
    torch.testing.assert_close(batch.images[0, 0, 1, :, 0], torch.tensor([0.5, 2.5, 4.5, 6.5]), rtol=0, atol=1e-4)
    assert batch.valid.all()


def test_a_coarse_pixel_is_valid_where_most_of_it_is(make_stored: MakeStored) -> None:
    case = make_stored(places(4, 7, 9), spots(4, 7, 9, first=(1, 2, 2)))
    valid = sampler([case], crop=(6, 6), coarseness=2).batch(0, CPU).valid
    # 12 voxels a side: 2 before the 7 rows and 3 after, 1 before the 9 columns and 2 after.
    assert valid[0, 0, 0].sum(dim=1).unique().tolist() == [0, 4]
    assert valid[0, 0, 0].amax(dim=1).tolist() == [0, 1, 1, 1, 0, 0]
    assert valid[0, 0, 0].amax(dim=0).tolist() == [0, 1, 1, 1, 1, 0]
    assert set(valid.unique().tolist()) == {0.0, 1.0}
    assert valid[0, 0].sum() == (ceil(7 / 2) - 1) * (ceil(9 / 2) - 1)


def test_unlabelled_cases_are_a_fault(make_stored: MakeStored) -> None:
    with pytest.raises(ValueError, match="c0 has no label"):
        sampler([make_stored(places(6, 12, 12))]).batch(0, CPU)


def test_ignored_voxels_are_seen_but_not_learned_from(make_stored: MakeStored) -> None:
    codes = spots(4, 8, 8, first=(1, 2, 2))
    codes[:, 4:] = IGNORED
    batch = sampler([make_stored(places(4, 8, 8), codes)]).batch(0, CPU)
    assert batch.valid.all()
    assert batch.known[:, :, :, :4].all()
    assert not batch.known[:, :, :, 4:].any()
    assert not batch.targets[:, :, :, 4:].any()
    assert batch.targets.sum() == 2  # the spot, once in each of the two sequences


def test_a_coarse_pixel_is_what_is_known_of_it_if_that_is_most(make_stored: MakeStored) -> None:
    codes = np.zeros((4, 8, 8), np.uint8)
    codes[:, 0, :2], codes[:, 1, 0], codes[:, 1, 1] = 1, 2, IGNORED  # the first pixel: three of four known
    codes[:, 2, :2], codes[:, 3, :2] = 1, IGNORED  # the second: half of it
    batch = sampler([make_stored(places(4, 8, 8), codes)], crop=(4, 4), coarseness=2).batch(0, CPU)
    torch.testing.assert_close(batch.targets[0, 0, :, 0, 0], torch.tensor([2 / 3, 1 / 3]))
    assert batch.known[0, 0, 0].tolist() == [[1, 1, 1, 1], [0, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert batch.valid.all()


def test_sequences_are_drawn_where_slices_were_annotated(make_stored: MakeStored) -> None:
    codes = np.full((60, 8, 8), IGNORED, np.uint8)
    codes[40] = 0
    drawn = sampler([make_stored(places(60, 8, 8), codes)], sequences=1, length=1)
    seen = [drawn.batch(step, CPU).images[0, 0, 0, 0, 0].item() for step in range(20)]
    assert set(seen) <= {39, 40, 41}  # as near as the jitter of a quarter of a sequence lets it


def test_a_case_without_any_known_voxel_teaches_nothing(make_stored: MakeStored) -> None:
    batch = sampler([make_stored(places(4, 8, 8), np.full((4, 8, 8), IGNORED, np.uint8))]).batch(0, CPU)
    assert not batch.known.any()
    assert not batch.targets.any()


# --- several processes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_processes_share_the_batch_that_one_would_have_alone(make_stored: MakeStored, processes: int) -> None:
    shape = (6, 12, 10)
    cases = [make_stored(places(*shape) + number, spots(*shape, first=(2, 3, 4)), case=f"c{number}") for number in range(4)]
    noisy = STRONG.model_copy(update={"noise": 0.5, "contrast": 0.2})
    alone = sampler(cases, groups=5, augmentation=noisy).batch(3, CPU)
    parts = [
        replace(sampler(cases, groups=5, augmentation=noisy), process=(number, processes)).batch(3, CPU) for number in range(processes)
    ]
    assert sum(part.groups for part in parts) == alone.groups
    assert all(part.groups for part in parts)
    assert {part.share.whole for part in parts} == {10}
    for whole, *pieces in zip(tensors(alone), *map(tensors, parts), strict=True):
        assert torch.equal(whole, torch.cat(pieces))
    assert all(torch.equal(alone.images[part.share.part], part.images) for part in parts)
