from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from crgan.arrays import save_array, write_array
from crgan.cases.labels import IGNORED, LabelScheme
from crgan.sweep.decision import decide_corrected
from crgan.sweep.volumes import decide, refine
from crgan.training import refinement
from crgan.training.refinement import fit_candidates, with_errors
from crgan.training.validation import compare_targets, mean_scores, truth_masks

CLASSES = LabelScheme(classes={1: "rim", 2: "core"})
REGIONS = LabelScheme(classes={1: "rim", 2: "core"}, regions={"whole": (1, 2), "core": (2,)})


def case(codes: list[int]) -> SimpleNamespace:
    return SimpleNamespace(case_id="p1", label=np.array(codes, np.uint8).reshape(1, 1, -1), known=None)


def said(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float16).reshape(len(rows), 1, 1, -1)


class TestFitCandidates:
    def test_the_quantile_of_the_truth(self) -> None:
        probabilities = [0.1 + 0.8 * step / 200 for step in range(201)]
        threshold = fit_candidates([(case([1] * 201 + [0] * 99), said([*probabilities, *[0.0] * 99]))], LabelScheme(classes={1: "x"}))
        assert threshold == pytest.approx(0.1 + 0.8 * 2 / 200, abs=1e-3)

    def test_the_target_that_is_hardest_to_find_decides(self) -> None:
        probabilities = said([0.4, 0.4, 0.1, 0.0], [0.0, 0.0, 0.05, 0.0])
        assert fit_candidates([(case([1, 1, 2, 0]), probabilities)], CLASSES) == pytest.approx(
            0.15, abs=1e-3
        )  # any target counts: 0.1 + 0.05
        assert fit_candidates([(case([1, 1, 2, 0]), probabilities)], REGIONS) == pytest.approx(0.1, abs=1e-2)

    def test_cases_are_taken_together(self) -> None:
        cases = [(case([1, 0]), said([0.4, 0.0], [0.0, 0.0])), (case([0, 1]), said([0.0, 0.2], [0.0, 0.0]))]
        assert fit_candidates(cases, CLASSES) == pytest.approx(0.2, abs=0.01)

    @pytest.mark.parametrize(("sure", "bound"), [(0.0, 0.02), (0.001, 0.02), (1.0, 0.5)])
    def test_it_stays_within_bounds(self, sure: float, bound: float) -> None:
        assert fit_candidates([(case([1, 0]), said([sure, 0.0], [0.0, 0.0]))], CLASSES) == pytest.approx(bound)

    def test_without_any_target_much_is_a_candidate(self) -> None:
        assert fit_candidates([(case([0, 0]), said([0.9, 0.0], [0.0, 0.0]))], CLASSES) == 0.02
        assert fit_candidates([], CLASSES) == 0.02


class TestWithErrors:
    PROBABILITIES = said([0.9, 0.6, 0.3, 0.0, 0.6], [0.0, 0.4, 0.2, 0.0, 0.9])

    def config(self, *, attend: bool = True) -> SimpleNamespace:
        return SimpleNamespace(refinement=SimpleNamespace(attend=attend, candidate=0.45))

    def test_candidates_and_errors_are_voxels(self) -> None:
        told = with_errors(case([1, 2, 2, 0, 2]), self.PROBABILITIES, self.config(), REGIONS)
        # Decided for the whole: 1, 1, 0, 0, 1; for the core: 0, 0, 0, 0, 1.
        assert told.errors.tolist() == [[0, 0, 1], [0, 0, 2]]
        assert told.candidates.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 4]]
        assert told.probabilities is self.PROBABILITIES

    def test_exclusive_targets_are_candidates_together(self) -> None:
        told = with_errors(case([1, 1, 0, 0, 2]), self.PROBABILITIES, self.config(), CLASSES)
        assert told.candidates.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 0, 4]]
        assert told.errors.tolist() == []  # the third is more likely background than either

    def test_the_whole_slice_is_looked_at_where_asked_for(self) -> None:
        assert with_errors(case([0] * 5), self.PROBABILITIES, self.config(attend=False), CLASSES).candidates is None

    def test_of_very_many_places_some_are_kept_always_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(refinement, "_PLACES", 10)
        codes, probabilities = case([1] * 100), said([0.0] * 100, [0.9] * 100)
        first, second = (with_errors(codes, probabilities, self.config(), CLASSES) for _ in range(2))
        assert first.errors.shape == first.candidates.shape == (10, 3)
        assert (first.errors == second.errors).all()
        assert len({tuple(place) for place in first.errors.tolist()}) == 10
        assert (np.diff(first.errors[:, 2]) > 0).all()


@pytest.mark.parametrize("target", ["corrected", "errors"])
@pytest.mark.parametrize("attend", ["true", "false"])
def test_the_loss_goes_down(refinement_parts, target: str, attend: str) -> None:
    rate = ("refiner_optimisation.learning_rate=0.02", "refiner_optimisation.warm_up=0")
    stage = refinement_parts(f"refinement.target={target}", f"refinement.attend={attend}", *rate).stage
    losses = [stage.step(number, None)["loss"] for number in range(14)]
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:2])


def test_the_same_steps_give_the_same_weights_bit_for_bit(refinement_parts) -> None:
    states = []
    for _ in range(2):
        stage = refinement_parts().stage
        for number in range(2):
            stage.step(number, 4)
        states.append(stage.modules["refiner"].state_dict())
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_probabilities_may_wait_in_their_files(refinement_parts, tmp_path: Path) -> None:
    """Very many cases cannot all be mapped at once."""
    parts = refinement_parts()
    filed = []
    for number, told in enumerate(parts.cases):
        write_array(tmp_path / f"{number}.npy", told.probabilities)
        filed.append(replace(told, probabilities=tmp_path / f"{number}.npy"))
    first, second = (replace(parts.stage._sampler, cases=cases).batch(3, torch.device("cpu")) for cases in (parts.cases, filed))
    assert torch.equal(first.probabilities, second.probabilities)
    assert torch.equal(first.images, second.images)


def test_batches_are_added_up_before_a_step(refinement_parts) -> None:
    settings = ("refiner_optimisation.learning_rate=1e-12", "refiner_optimisation.clip=null")
    single, double = (refinement_parts(*settings, f"batch.accumulate={k}").stage for k in (1, 2))
    losses, gradients = [], []
    for number in (6, 7):
        losses.append(single.step(number, None)["loss"])
        gradients.append([weight.grad.clone() for weight in single.modules["refiner"].parameters()])
    assert double.step(3, None)["loss"] == pytest.approx(np.mean(losses), abs=1e-5)
    for weight, *parts in zip(double.modules["refiner"].parameters(), *gradients, strict=True):
        assert torch.allclose(weight.grad, (parts[0] + parts[1]) / 2, atol=1e-6, rtol=1e-4)


def test_it_cannot_learn_without_a_generator(refinement_parts) -> None:
    parts = refinement_parts()
    blind = [replace(told, probabilities=None) for told in parts.cases]
    parts.stage._sampler = replace(parts.stage._sampler, cases=blind)
    with pytest.raises(ValueError, match="probabilities"):
        parts.stage.step(0, 4)


def test_validation_is_that_of_the_whole_volume_at_the_neutral_dial(refinement_parts) -> None:
    parts = refinement_parts()
    parts.stage.step(0, 4)
    refiner = parts.stage.modules["refiner"].eval()
    corrected = [
        refine(refiner, stored.image, probabilities, parts.config, targets=len(probabilities), exclusive=False)[0]
        for stored, probabilities in parts.validation
    ]
    masks = [
        decide_corrected(decide(probabilities, exclusive=False), values, p=0.5, q=0.5, exclusive=False)
        for (_, probabilities), values in zip(parts.validation, corrected, strict=True)
    ]
    expected = mean_scores(compare_targets(mask, stored, parts.labels) for mask, (stored, _) in zip(masks, parts.validation, strict=True))
    assert parts.stage.validate() == expected


def test_training_places_lie_in_the_case(refinement_parts) -> None:
    parts = refinement_parts()
    for told in parts.cases:
        for places in (told.candidates, told.errors):
            assert places.min(initial=0) >= 0
            assert (places < told.stored.shape).all()
        wrong = (decide(told.probabilities, exclusive=False) != truth_masks(told.stored, parts.labels)).any(0)
        assert wrong[tuple(told.errors.T)].all()
        assert len(told.errors) == wrong.sum()


def test_places_that_nobody_annotated_are_not_looked_for(refinement_parts, tmp_path: Path) -> None:
    parts = refinement_parts()
    stored, probabilities = parts.validation[0]
    folder = shutil.copytree(stored.folder, tmp_path / "partial")
    label = np.load(folder / "label.npy")
    label[5:] = IGNORED
    save_array(folder / "label.npy", label)
    partial = replace(stored, folder=folder, ignored=int((label == IGNORED).sum()))
    told = with_errors(partial, probabilities, parts.config, parts.labels)
    for places in (told.candidates, told.errors):
        assert len(places)
        assert places[:, 0].max() < 5
    assert fit_candidates([(partial, probabilities)], parts.labels) > 0
