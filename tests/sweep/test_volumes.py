"""Whole volumes through networks of which it is known what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor, nn

import crgan.sweep.sweep as sweeping
from crgan.config import Config, NetworkSettings, Plane
from crgan.networks.build import make_generator, make_refiner
from crgan.networks.composition import hard_decision
from crgan.sweep import volumes
from crgan.sweep.volumes import candidate_voxels, decide, generate, judge, refine

PLANES: tuple[Plane, ...] = ("axial", "coronal", "sagittal")


def settings(
    *,
    planes: Sequence[Plane] = PLANES,
    length: int = 3,
    coarseness: int = 1,
    crop: tuple[int, int] = (8, 8),
    noise_channel: bool = False,
    attend: bool = True,
) -> Config:
    network = NetworkSettings(
        widths=(4, 6, 8), recurrent_width=5, coarseness=coarseness, crops=dict.fromkeys(planes, crop), groups=1
    )  # three widths: sides are multiples of 4
    config = Config(planes=tuple(planes), generator=network, refiner=network, noise_channel=noise_channel)
    return config.model_copy(
        update={
            "batch": config.batch.model_copy(update={"length": length}),
            "refinement": config.refinement.model_copy(update={"attend": attend, "candidate": 0.2, "on_doubts": False}),
        }
    )


class Says(nn.Module):
    """A network that says what a function makes of what it is shown, and remembers that."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))
        self.function = function
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        self.shown.append(x)
        return self.function(x)


def images(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def sigmoid(values: np.ndarray | float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(values, np.float64)))


# --- the generator -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("planes", [PLANES, ("sagittal",)])
@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("shape", [(5, 9, 7), (1, 12, 10), (14, 3, 2), (1, 1, 1)])
def test_every_voxel_of_every_plane_lands_where_it_was(
    planes: tuple[Plane, ...], length: int, shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(volumes, "_LARGEST_TILE", 8)
    image = images(2, *shape)
    found = generate(Says(lambda x: x), image, settings(planes=planes, length=length), targets=2, exclusive=False, case_id="a")
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, sigmoid(image), rtol=0, atol=1e-3)


def test_exclusive_targets_leave_the_background_out() -> None:
    image = images(3, 4, 8, 8)
    found = generate(Says(lambda x: x), image, settings(), targets=2, exclusive=True, case_id="a")
    expected = np.exp(image) / np.exp(image).sum(axis=0)
    np.testing.assert_allclose(found, expected[1:], rtol=0, atol=1e-3)


def test_planes_are_averaged() -> None:
    shares = {(8, 12): 0.2, (4, 12): 0.4, (4, 8): 0.9}  # of an image of 4 × 8 × 12 voxels

    def by_plane(x: Tensor) -> Tensor:
        return torch.full_like(x[:, :, :1], float(np.log(shares[tuple(x.shape[-2:])] / (1 - shares[tuple(x.shape[-2:])]))))

    config = settings(crop=(4, 4))
    found = generate(Says(by_plane), images(1, 4, 8, 12), config, targets=1, exclusive=False, case_id="a")
    np.testing.assert_allclose(found, 0.5, rtol=0, atol=1e-3)


@pytest.mark.parametrize("coarseness", [1, 2])
def test_noise_is_normal_seeded_by_the_case_and_as_strong_as_in_training(coarseness: int) -> None:
    config = settings(planes=("axial",), coarseness=coarseness, noise_channel=True, length=4)

    def noise(case_id: str) -> Tensor:
        network = Says(lambda x: x[:, :, :1])
        generate(network, images(1, 4, 64, 64), config, targets=1, exclusive=False, case_id=case_id)
        assert network.shown[-1].shape[2] == 2
        return network.shown[-1][:, :, 1]

    one = noise("patient 1")
    assert float(one.std()) == pytest.approx(1, abs=0.05)
    assert float(one.mean()) == pytest.approx(0, abs=0.05)
    assert torch.equal(noise("patient 1"), one)
    assert not torch.allclose(noise("patient 2"), one)


@pytest.mark.parametrize("coarseness", [1, 2])
def test_the_discriminator_judges_image_and_segmentation_on_the_grid_of_the_image(coarseness: int) -> None:
    class Sums(nn.Module):
        """Says the sum of the image and twice the segmentation, which it is shown apart."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, shown: Tensor, segmentation: Tensor, valid: Tensor) -> Tensor:
            assert shown.shape[2] == 2
            assert segmentation.shape[2] == 1
            return shown.sum(dim=2, keepdim=True) + 2 * segmentation

    image, probabilities = np.full((2, 5, 12, 16), 0.25, np.float32), np.full((1, 5, 12, 16), 0.5, np.float16)
    found = judge(Sums(), image, probabilities, settings(coarseness=coarseness))
    assert (found.shape, found.dtype) == ((1, 5, 12, 16), np.float16)
    np.testing.assert_allclose(found, sigmoid(1.5), rtol=0, atol=1e-3)


def real_generator(config: Config) -> nn.Module:
    torch.manual_seed(0)
    return make_generator(config, modalities=2, targets=2, exclusive=True).eval()


def real_refiner(config: Config) -> nn.Module:
    torch.manual_seed(1)
    return make_refiner(config, modalities=2, targets=2).eval()


def whole_way(image: np.ndarray, config: Config) -> tuple[np.ndarray, np.ndarray]:
    probabilities = generate(real_generator(config), image, config, targets=2, exclusive=True, case_id="a")
    corrected, _ = refine(real_refiner(config), image, probabilities, config, targets=len(probabilities), exclusive=True)
    return probabilities, corrected


@pytest.mark.parametrize("coarseness", [1, 2])
@pytest.mark.parametrize("attend", [False, True])
def test_a_patient_does_not_depend_on_batch_size_or_on_who_came_before(
    coarseness: int, attend: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(coarseness=coarseness, attend=attend, noise_channel=True)
    image = images(2, 9, 14, 11)
    monkeypatch.setattr(sweeping, "_PIXELS_AT_ONCE", 1)
    one_by_one = whole_way(image, config)
    monkeypatch.setattr(sweeping, "_PIXELS_AT_ONCE", 10**9)
    together = whole_way(image, config)
    for found, expected in zip(together, one_by_one, strict=True):
        np.testing.assert_allclose(found.astype(float), expected, rtol=0, atol=1e-3)
    generator, refiner = real_generator(config), real_refiner(config)
    for other in (7 + 3 * images(2, 5, 9, 20, seed=1), image):
        probabilities = generate(generator, other, config, targets=2, exclusive=True, case_id="a")
        corrected, _ = refine(refiner, other, probabilities, config, targets=len(probabilities), exclusive=True)
    np.testing.assert_array_equal(probabilities, together[0])
    np.testing.assert_array_equal(corrected, together[1])


# --- the decision and the candidates -------------------------------------------------------------------------------


@given(hnp.arrays(np.float16, (2, 3, 2, 2), elements=st.sampled_from([0.0, 0.25, 0.375, 0.5, 0.625])), st.booleans())
def test_slice_by_slice_is_the_decision_at_once(probabilities: np.ndarray, exclusive: bool) -> None:
    expected = hard_decision(torch.from_numpy(probabilities.astype(np.float32)).movedim(0, 1), exclusive=exclusive).movedim(1, 0)
    np.testing.assert_array_equal(decide(probabilities, exclusive=exclusive), expected.numpy())


@pytest.mark.parametrize(("exclusive", "expected"), [(False, [[True, False], [True, False]]), (True, [[True, False], [True, True]])])
def test_candidates_are_what_may_be_any_target(exclusive: bool, expected: list[list[bool]]) -> None:
    probabilities = np.zeros((2, 1, 2, 2), np.float16)
    probabilities[:, 0, 0, 0] = 0.25, 0
    probabilities[:, 0, 1, 0] = 0.125, 0.5
    probabilities[:, 0, 1, 1] = 0.125, 0.125  # together more than the threshold of .2
    assert candidate_voxels(probabilities, settings(), exclusive=exclusive)[0].tolist() == expected
    assert candidate_voxels(probabilities, settings(attend=False), exclusive=exclusive).all()


def test_the_threshold_itself_makes_a_candidate() -> None:
    config = settings()
    config = config.model_copy(update={"refinement": config.refinement.model_copy(update={"candidate": 0.25})})
    assert candidate_voxels(np.full((1, 1, 1, 1), 0.25, np.float16), config, exclusive=True).all()


# --- the refiner ---------------------------------------------------------------------------------------------------


def says_errors(missed: float, added: float) -> Says:
    """A refiner that finds every voxel missed, and added wrongly, with these probabilities."""

    def errors(x: Tensor) -> Tensor:
        shape = (*x.shape[:2], 1, *x.shape[3:])
        return torch.cat([torch.full(shape, float(np.log(share / (1 - share)))) for share in (missed, added)], dim=2)

    return Says(errors)


def blob() -> np.ndarray:
    """Probabilities of one region: certain in a block, uncertain around one more voxel, nothing elsewhere."""
    probabilities = np.zeros((1, 12, 40, 40), np.float16)
    probabilities[0, 1:3, 2:5, 2:5] = 1
    probabilities[0, 10, 30, 30] = 0.25
    return probabilities


def test_corrected_where_looked_at_and_decided_elsewhere() -> None:
    probabilities = blob()
    found, _ = refine(
        says_errors(0.75, 0.375),
        images(1, 12, 40, 40),
        probabilities,
        settings(planes=("axial",)),
        targets=len(probabilities),
        exclusive=False,
    )
    decided = probabilities >= 0.5
    seen = np.zeros((12, 40, 40), bool)
    seen[0:5, 0:8, 0:8] = True  # windows of 3 slices that share one or two: 0 to 3 and 2 to 5 hold the block …
    seen[9:12, 27:35, 27:35] = True  # … and 9 to 12 the uncertain voxel
    expected = np.where(decided[0], 0.625, 0.75)
    np.testing.assert_allclose(found[0][seen], expected[seen], atol=1e-3)
    np.testing.assert_array_equal(found[0][~seen], decided[0][~seen])
    assert found.dtype == np.float16


def test_what_no_window_sees_keeps_the_decision_though_it_be_foreground() -> None:
    probabilities = np.zeros((1, 3, 40, 40), np.float16)
    probabilities[0, :, 2:5, 2:5], probabilities[0, 1, 30, 30] = 0.75, 1
    config = settings(planes=("axial",))
    config = config.model_copy(update={"refinement": config.refinement.model_copy(update={"candidate": 0.9})})
    found, _ = refine(says_errors(0.25, 0.75), images(1, 3, 40, 40), probabilities, config, targets=len(probabilities), exclusive=False)
    expected = (probabilities >= 0.5).astype(float)
    expected[0, :, 27:35, 27:35] = 0.25  # what was missed there, or what is left of what was found there
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_only_planes_that_looked_at_a_voxel_are_averaged() -> None:
    probabilities = np.zeros((1, 20, 20, 20), np.float16)
    probabilities[0, 10, 10, 10] = 0.25
    found, _ = refine(says_errors(0.5, 0.5), images(1, 20, 20, 20), probabilities, settings(), targets=len(probabilities), exclusive=False)
    seen = np.zeros((20, 20, 20), bool)
    for axis in range(3):  # windows of slices 8 to 11 and 9 to 12, and a tile of 8 voxels
        looked_at = [slice(7, 15)] * 3
        looked_at[axis] = slice(8, 12)
        seen[tuple(looked_at)] = True
    np.testing.assert_array_equal(found[0], np.where(seen, 0.5, 0))


def test_the_refiner_is_shown_image_and_probabilities() -> None:
    image, probabilities = images(2, 4, 8, 8), np.random.default_rng(0).random((3, 4, 8, 8)).astype(np.float16)
    network = Says(lambda x: torch.zeros(*x.shape[:2], 6, *x.shape[3:]))
    refine(network, image, probabilities, settings(planes=("axial",), length=4, attend=False), targets=len(probabilities), exclusive=True)
    expected = np.concatenate([image, probabilities.astype(np.float32)])
    np.testing.assert_array_equal(network.shown[-1][0].movedim(0, 1).numpy(), expected)


def test_exclusive_targets_are_corrected_from_the_decision_among_them() -> None:
    probabilities = np.zeros((2, 1, 8, 8), np.float16)
    probabilities[0], probabilities[1] = 0.375, 0.5  # the second wins, though neither has more than a half
    network = Says(lambda x: torch.zeros(*x.shape[:2], 4, *x.shape[3:]) + torch.tensor([2.0, 2.0, -3.0, -3.0]).view(4, 1, 1))
    found, _ = refine(network, images(1, 1, 8, 8), probabilities, settings(planes=("axial",)), targets=len(probabilities), exclusive=True)
    np.testing.assert_allclose(found[0], sigmoid(2), atol=1e-3)
    np.testing.assert_allclose(found[1], 1 - sigmoid(-3), atol=1e-3)


def test_without_candidates_the_refiner_is_not_asked() -> None:
    network = says_errors(0.9, 0.9)
    found, _ = refine(network, images(1, 6, 8, 8), np.zeros((1, 6, 8, 8), np.float16), settings(), targets=1, exclusive=False)
    assert not found.any()
    assert not network.shown


def test_the_discriminators_map_is_seen_and_not_decided_by() -> None:
    probabilities = np.full((1, 3, 8, 8), 0.9, np.float16)
    network = says_errors(0.25, 0.75)
    said = np.concatenate([probabilities, np.full((1, 3, 8, 8), 0.125, np.float16)])
    found, _ = refine(network, images(1, 3, 8, 8), said, settings(planes=("axial",)), targets=1, exclusive=False)
    np.testing.assert_allclose(found, 0.25, atol=1e-3)  # 1 - FP, since the generator's decision is 1
    assert network.shown[-1].shape[2] == 3
    assert float(network.shown[-1][:, :, 2].mean()) == pytest.approx(0.125)


def test_without_attention_whole_slices_are_looked_at() -> None:
    found, _ = refine(
        says_errors(0.75, 0.375),
        images(1, 6, 20, 9),
        np.zeros((1, 6, 20, 9), np.float16),
        settings(attend=False),
        targets=1,
        exclusive=False,
    )
    np.testing.assert_allclose(found, 0.75, atol=1e-3)


# --- tiles, and settings that are not there ------------------------------------------------------------------------


@given(
    st.tuples(st.integers(1, 700), st.integers(1, 700)),
    st.integers(1, 3),
    st.integers(1, 4),
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
)
def test_a_whole_tile_suits_the_network(size: tuple[int, int], coarseness: int, depth: int, multiples: tuple[int, int]) -> None:
    step = 2**depth
    crop = (multiples[0] * step, multiples[1] * step)
    network = NetworkSettings(widths=(4,) * (depth + 1), coarseness=coarseness, crops={"axial": crop})
    for side, least, tile in zip(size, crop, volumes._whole_tile(size, network, "axial"), strict=True):
        assert tile % (step * coarseness) == 0
        wanted = min(max(side, least * coarseness), 256 * coarseness)
        assert tile == step * coarseness * ceil(wanted / (step * coarseness))


def test_settings_that_were_not_derived_are_a_fault() -> None:
    with pytest.raises(ValueError, match="derived"):
        generate(Says(lambda x: x), images(1, 2, 8, 8), Config(), targets=1, exclusive=False, case_id="a")
    with pytest.raises(ValueError, match="fitted"):
        candidate_voxels(np.zeros((1, 2, 8, 8)), Config(), exclusive=False)
