from __future__ import annotations

import json
import shutil
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

import crgan.sweep.sweep as sweeping
from crgan.config import DataSettings, write_config
from crgan.dial import Dial, Setting
from crgan.errors import CrganError
from crgan.evaluation.temperature import Temperature, Temperatures
from crgan.model import FORMAT, Model, Segmentation
from crgan.sweep import scratch
from crgan.sweep.decision import compose, settle
from crgan.training.run import train

SPACING = (1.1, 1.0, 1.0)


@pytest.fixture(scope="module")
def model(trained: Path) -> Model:
    return Model.load(trained, device="cpu")


@pytest.fixture(scope="module")
def image(patients: Path) -> np.ndarray:
    """The first patient in the model's order of modalities: (2, Z, Y, X)."""
    return np.stack([np.asarray(nib.load(patients / "p0" / f"p0_{name}.nii.gz").dataobj).transpose() for name in ("flair", "t1")])


def no_compiler(*_: object, **__: object) -> None:
    raise RuntimeError("No working C++ compiler found")


def resource_peak() -> float:
    """Most bytes of memory that this process has had."""
    resource = pytest.importorskip("resource", reason="this system does not tell")
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * (1 if sys.platform == "darwin" else 1024)


@pytest.fixture
def copy(trained: Path, tmp_path: Path) -> Path:
    return shutil.copytree(trained / "model", tmp_path / "model")


@pytest.fixture(scope="module")
def neutral(model: Model, image: np.ndarray) -> Segmentation:
    return model.segment(image, spacing_mm=SPACING, fn_threshold=0.5, fp_threshold=0.5, maps=True)


class TestMemory:
    def test_what_was_prepared_before_is_segmented_alike(self, model: Model, image: np.ndarray, neutral: Segmentation) -> None:
        prepared = model.prepare(image, SPACING)
        assert prepared.image.dtype == np.float16
        found = model.segment(prepared, fn_threshold=0.5, fp_threshold=0.5, maps=True)
        assert (found.labels == neutral.labels).all()
        assert (found.probabilities == neutral.probabilities).all()

    @pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 0.9])
    def test_leaving_out_where_nothing_can_be_marked_changes_nothing(self, model: Model, image: np.ndarray, p: float) -> None:
        small = np.pad(image, ((0, 0), (3, 3), (4, 4), (5, 5)))  # maps are made of all voxels, masks only of those that may be marked
        asked = {"spacing_mm": SPACING, "fn_threshold": p, "fp_threshold": 0.5}
        assert (model.segment(small, **asked).labels == model.segment(small, **asked, maps=True).labels).all()

    def test_results_on_disk_are_those_in_memory(
        self, model: Model, image: np.ndarray, neutral: Segmentation, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scratch, "_MOST_BYTES_IN_MEMORY", 1000)
        found = model.segment(image, spacing_mm=SPACING, fn_threshold=0.5, fp_threshold=0.5, maps=True)
        assert isinstance(found.probabilities, np.memmap)
        for name in ("labels", "probabilities", "missed", "added"):
            np.testing.assert_array_equal(getattr(found, name), getattr(neutral, name))

    def test_the_slabs_take_no_more_memory_for_more_slices(self, model: Model, image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
        """What Python's arrays take beyond the input and the mask: the same for four times the slices, once results lie on disk."""
        monkeypatch.setattr(scratch, "_MOST_BYTES_IN_MEMORY", 1000)
        monkeypatch.setattr(sweeping, "_PIXELS_AT_ONCE", 1)
        axial = replace(model, config=model.config.model_copy(update={"planes": ("axial",)}))

        def beyond(times: int) -> float:
            prepared = axial.prepare(np.tile(image, (1, times, 1, 1)), SPACING)
            tracemalloc.start()
            labels = axial.segment(prepared).labels
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return peak / labels.size

        assert beyond(4) < 0.75 * beyond(1)


class TestFolder:
    def test_a_model_that_was_saved_and_loaded_says_the_same(self, model: Model, image: np.ndarray, tmp_path: Path) -> None:
        model.save(tmp_path / "model")
        other = Model.load(tmp_path / "model", device="cpu")
        for name in ("labels", "pipeline", "fingerprint"):
            assert getattr(other, name) == getattr(model, name)
        for name in ("dial", "generator_dial", "temperatures"):
            assert getattr(other, name).to_json() == getattr(model, name).to_json()
        first, second = (each.segment(image, spacing_mm=SPACING, maps=True) for each in (model, other))
        for name in ("labels", "probabilities", "missed", "added"):
            assert (getattr(first, name) == getattr(second, name)).all()
        assert len(np.unique(first.labels)) == 3  # or this would show little

    def test_it_is_found_in_its_run(self, trained: Path, model: Model) -> None:
        found = Model.load(str(trained / "model"), device="cpu")
        assert all(torch.equal(value, found.generator.state_dict()[key]) for key, value in model.generator.state_dict().items())

    def test_it_keeps_to_itself_where_the_data_lay(self, model: Model, trained: Path, patients: Path) -> None:
        assert model.config.data == DataSettings()
        text = (trained / "model" / "model.json").read_text(encoding="utf-8")
        assert "/" not in text
        assert json.loads(text)["versions"].keys() == {"crgan", "torch", "numpy"}

    def test_a_system_without_a_refiner_has_none(self, patients: Path, small_config: Callable, image: np.ndarray, tmp_path: Path) -> None:
        run = train(patients, tmp_path / "run", config=small_config(system="unet"))
        assert not (run / "model" / "refiner.safetensors").exists()
        plain = Model.load(run, device="cpu")
        assert plain.refiner is None
        found = plain.segment(image, spacing_mm=SPACING, maps=True)
        assert found.probabilities.shape == (2, *image.shape[1:])
        assert found.missed is found.added is None
        wide = plain.segment(image, spacing_mm=SPACING, fn_threshold=0.0).labels
        assert (wide == 2).all()

    @pytest.mark.parametrize("name", ["generator.safetensors", "refiner.safetensors"])
    @pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
    def test_damaged_weights_are_told(self, copy: Path, name: str, harm: str) -> None:
        content = bytearray((copy / name).read_bytes())
        if harm == "remove":
            (copy / name).unlink()
        else:
            content[-1] ^= 1
            (copy / name).write_bytes(content if harm == "flip" else content[:-1])
        with pytest.raises(CrganError, match=rf"missing or damaged[\s\S]*{name}"):
            Model.load(copy)

    def test_weights_that_do_not_fit_are_told(self, copy: Path) -> None:
        """Sizes in the description that are not those of the weights."""
        self.change(copy, lambda data: data["config"]["generator"].update(widths=[4, 8, 16]))
        with pytest.raises(CrganError, match="weights do not fit"):
            Model.load(copy)

    def test_another_format_is_refused(self, copy: Path) -> None:
        self.change(copy, lambda data: data.update(format=FORMAT + 1, versions={"crgan": "9.8.7"}))
        with pytest.raises(CrganError, match=rf"another format[\s\S]*format {FORMAT}[\s\S]*9\.8\.7"):
            Model.load(copy)

    @pytest.mark.parametrize("key", ["format", "labels", "pipeline", "config", "fingerprint", "dial", "temperatures", "sha256"])
    def test_a_description_without_something_is_told(self, copy: Path, key: str) -> None:
        self.change(copy, lambda data: data.pop(key))
        with pytest.raises(CrganError, match=r"model\.json|preprocessing"):
            Model.load(copy)

    @pytest.mark.parametrize("key", ["labels", "pipeline", "config", "fingerprint", "dial", "temperatures", "sha256"])
    @pytest.mark.parametrize("value", [None, 7, "x", [1]])
    def test_a_description_with_something_else_is_told(self, copy: Path, key: str, value: object) -> None:
        self.change(copy, lambda data: data.update({key: value}))
        with pytest.raises(CrganError):
            Model.load(copy)

    @pytest.mark.parametrize("name", ["../../secret.safetensors", "/etc/passwd", "a.safetensors/../b.safetensors", "secret.txt", ""])
    def test_a_description_that_leads_elsewhere_is_told(self, copy: Path, name: str) -> None:
        self.change(copy, lambda data: data["sha256"].update({name: "0" * 64}))
        with pytest.raises(CrganError, match="none of its own"):
            Model.load(copy)

    @pytest.mark.parametrize("name", ["generator.safetensors", "refiner.safetensors"])
    def test_weights_without_a_digest_are_told(self, copy: Path, name: str) -> None:
        self.change(copy, lambda data: data["sha256"].pop(name))
        with pytest.raises(CrganError, match=f"no digest of {name}"):
            Model.load(copy)

    @pytest.mark.parametrize(
        ("part", "values"),
        [
            ("generator", {"widths": [4, 10**6]}),  # 10 TB
            ("generator", {"widths": [2**40, 2**40]}),
            ("refiner", {"widths": [10**30, 4]}),
            ("generator", {"widths": [4] * 100_000}),
            ("generator", {"widths": [4, -8, 8]}),
            ("generator", {"widths": [4, 0, 8]}),
            ("generator", {"widths": ["8", 4.5]}),
            ("refiner", {"recurrent_width": 10**12}),
            ("refiner", {"recurrent_width": -1}),
            ("batch", {"length": -(10**9)}),
            ("refinement", {"candidate": float("nan")}),
            ("adversarial", {"widths": [0, 0]}),
        ],
    )
    def test_hostile_sizes_cost_an_error_and_no_memory(self, copy: Path, part: str, values: dict[str, object]) -> None:
        self.change(copy, lambda data: data["config"][part].update(values))
        before = resource_peak()
        with pytest.raises(CrganError) as caught:
            Model.load(copy)
        assert len(str(caught.value)) < 2000
        assert resource_peak() - before < 300e6

    def test_a_spacing_that_would_fill_the_memory_costs_an_error(self, copy: Path, image: np.ndarray) -> None:
        self.change(copy, lambda data: data["pipeline"].update(spacing_mm=[1e-4, 1e-4, 1e-4]))
        with pytest.raises(CrganError, match="too large at the spacing"):
            Model.load(copy).segment(image, spacing_mm=SPACING)

    def test_a_description_nested_beyond_all_measure_is_told(self, copy: Path) -> None:
        (copy / "model.json").write_text("[" * 200_000, encoding="utf-8")
        with pytest.raises(CrganError, match="not valid JSON"):
            Model.load(copy)

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"\xff\xfe"])
    def test_a_description_that_is_none_is_told(self, copy: Path, content: bytes) -> None:
        (copy / "model.json").write_bytes(content)
        with pytest.raises(CrganError, match=r"model\.json"):
            Model.load(copy)

    def test_a_run_that_has_not_ended_has_no_model(self, tmp_path: Path, small_config: Callable) -> None:
        with pytest.raises(CrganError, match=r"no trained model[\s\S]*nothing there"):
            Model.load(tmp_path / "misspelt")
        (tmp_path / "stray").touch()
        with pytest.raises(CrganError, match="other files"):
            Model.load(tmp_path)
        write_config(tmp_path / "config.yaml", small_config())
        with pytest.raises(CrganError, match=r"a run that has not ended[\s\S]*--resume"):
            Model.load(tmp_path)

    def test_a_device_that_is_not_there_is_told(self, trained: Path) -> None:
        with pytest.raises(CrganError, match="--device cuda:9"):
            Model.load(trained, device="cuda:9")

    def test_half_a_model_is_no_model(self, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The disk fills up while the model is written: nothing is left that loads."""
        real = Path.write_bytes

        def full(self: Path, data: bytes) -> int:
            if "refiner" in self.name:
                raise OSError(28, "No space left on device")
            return real(self, data)

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(CrganError, match=r"No space left[\s\S]*disk has room"):
            model.save(tmp_path / "model")
        monkeypatch.undo()
        with pytest.raises(CrganError, match="no trained model"):
            Model.load(tmp_path / "model")

    @staticmethod
    def change(folder: Path, edit: Callable[[dict], object]) -> None:
        data = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        edit(data)
        (folder / "model.json").write_text(json.dumps(data), encoding="utf-8")


class TestSegment:
    def test_labels_are_the_values_of_the_training_files(self, model: Model, image: np.ndarray, patients: Path) -> None:
        found = model.segment(image, spacing_mm=SPACING)
        truth = np.asarray(nib.load(patients / "p0" / "p0_seg.nii.gz").dataobj).transpose()
        assert found.labels.shape == truth.shape
        assert found.labels.dtype == np.uint8
        assert 2 * ((found.labels > 0) & (truth > 0)).sum() / ((found.labels > 0).sum() + (truth > 0).sum()) > 0.8
        assert found.probabilities is found.missed is found.added is None

    @pytest.mark.slow
    def test_compiled_networks_say_the_same(self, trained: Path, image: np.ndarray, neutral: Segmentation, tmp_path: Path) -> None:
        """The masks are identical, the probabilities but for rounding; and so are the files."""
        torch.compiler.reset()
        compiled = Model.load(trained, device="cpu")
        compiled.compile()
        for seen in (image, image[:, ::-1], image[:, :, :-9]):
            plain = Model.load(trained, device="cpu").segment(seen, spacing_mm=SPACING, maps=True)
            found = compiled.segment(seen, spacing_mm=SPACING, maps=True)
            assert (found.labels == plain.labels).all()
            for name in ("probabilities", "missed", "added"):
                assert getattr(found, name) == pytest.approx(getattr(plain, name), abs=1e-3)
        compiled.save(tmp_path / "saved")
        assert {path.name: path.read_bytes() for path in (tmp_path / "saved").iterdir()} == {
            path.name: path.read_bytes() for path in (trained / "model").iterdir()
        }

    def test_no_network_is_compiled_without_a_compiler(self, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch, "compile", no_compiler)
        with pytest.raises(CrganError, match="cannot compile"):
            Model.load(trained, device="cpu").compile()

    def test_twice_gives_the_same(self, model: Model, image: np.ndarray) -> None:
        first, second = (model.segment(image, spacing_mm=SPACING, maps=True) for _ in range(2))
        assert (first.labels == second.labels).all()
        assert (first.probabilities == second.probabilities).all()

    @pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.uint16, np.float32, np.float64, ">i2", ">f8"])
    def test_the_type_of_the_numbers_does_not_matter(self, model: Model, image: np.ndarray, dtype: str) -> None:
        small = np.clip(image, 0, 255)
        expected = model.segment(small, spacing_mm=SPACING).labels
        assert (model.segment(small.astype(dtype), spacing_mm=SPACING).labels == expected).all()

    def test_neither_does_the_layout_in_memory(self, model: Model, image: np.ndarray) -> None:
        expected = model.segment(image, spacing_mm=SPACING).labels
        for other in (np.asfortranarray(image), image[:, ::-1].copy()[:, ::-1], image.tolist(), torch.from_numpy(image)):
            assert (model.segment(other, spacing_mm=SPACING).labels == expected).all()

    def test_a_scanner_that_measures_in_other_units_changes_nothing(self, model: Model, image: np.ndarray) -> None:
        expected = model.segment(image, spacing_mm=SPACING).labels
        assert (model.segment(image * 8.0, spacing_mm=SPACING).labels == expected).all()

    def test_another_spacing_finds_the_same_ball_on_the_images_grid(self, model: Model, image: np.ndarray) -> None:
        coarse = image[:, :, ::2, ::2]
        found = model.segment(coarse, spacing_mm=(1.1, 2.0, 2.0)).labels
        expected = model.segment(image, spacing_mm=SPACING).labels[:, ::2, ::2]
        assert found.shape == coarse.shape[1:]
        both, either = ((found > 0) & (expected > 0)).sum(), (found > 0).sum() + (expected > 0).sum()
        assert 2 * both / either > 0.7

    @pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 20), (10, 1, 20), (2, 3, 40)])
    def test_few_slices_or_voxels_are_enough(self, model: Model, image: np.ndarray, shape: tuple[int, int, int]) -> None:
        part = np.resize(image, (2, *shape))
        assert model.segment(part, spacing_mm=SPACING, maps=True).probabilities.shape == (2, *shape)

    @pytest.mark.parametrize("value", [0, 1, -1000])
    def test_an_image_of_nothing_is_segmented_somehow(self, model: Model, value: int) -> None:
        found = model.segment(np.full((2, 6, 8, 9), value), spacing_mm=SPACING, maps=True)
        assert np.isfinite(found.probabilities).all()

    def test_a_single_modality_may_leave_out_its_axis(self, write_patients: Callable, small_config: Callable, tmp_path: Path) -> None:
        data = write_patients(tmp_path / "data", modalities=("flair",))
        single = Model.load(train(data, tmp_path / "run", config=small_config()), device="cpu")
        volume = np.asarray(nib.load(data / "p0" / "p0_flair.nii.gz").dataobj).transpose()
        first, second = (single.segment(array, spacing_mm=SPACING).labels for array in (volume, volume[None]))
        assert first.shape == volume.shape
        assert (first == second).all()

    @pytest.mark.parametrize(
        ("array", "what"),
        [
            (np.zeros((3, 4, 5, 6)), "M = 2: flair, t1"),
            (np.zeros((4, 5, 6)), "M = 2: flair, t1"),
            (np.zeros((5, 6)), "M = 2: flair, t1"),
            (np.zeros((2, 1, 4, 5, 6)), "M = 2: flair, t1"),
            (np.zeros((2, 0, 5, 6)), "M = 2: flair, t1"),
            (np.full((2, 4, 5, 6), np.nan), "NaN or infinite"),
            (np.full((2, 4, 5, 6), np.inf), "NaN or infinite"),
            (np.zeros((2, 4, 5, 6), complex), "real numbers"),
            (np.full((2, 4, 5, 6), "7"), "real numbers"),
            (np.zeros((2, 4, 5, 6), object), "real numbers"),
        ],
    )
    def test_what_is_no_image_of_the_models_kind_is_refused(self, model: Model, array: np.ndarray, what: str) -> None:
        with pytest.raises(CrganError, match=what):
            model.segment(array, spacing_mm=SPACING)

    @pytest.mark.parametrize("spacing", [(1, 1), (0, 1, 1), (1, -1, 1), (1, 1, float("nan")), (1, 1, 1, 1)])
    def test_a_spacing_that_is_none_is_refused(self, model: Model, image: np.ndarray, spacing: tuple[float, ...]) -> None:
        with pytest.raises(CrganError, match="spacing"):
            model.segment(image, spacing_mm=spacing)

    @pytest.mark.parametrize("dial", [{"fn_threshold": 1.5}, {"fp_threshold": -0.1}, {"fn_threshold": float("nan")}])
    def test_a_dial_beyond_its_ends_is_refused(self, model: Model, image: np.ndarray, dial: dict[str, float]) -> None:
        with pytest.raises(CrganError, match="from 0 to 1"):
            model.segment(image, spacing_mm=SPACING, **dial)

    def test_the_noise_of_a_case_is_its_own(self, patients: Path, small_config: Callable, image: np.ndarray, tmp_path: Path) -> None:
        noisy = Model.load(train(patients, tmp_path / "run", config=small_config(noise_channel=True)), device="cpu")
        first, again, other = (noisy.segment(image, spacing_mm=SPACING, case_id=name, maps=True).probabilities for name in ("a", "a", "b"))
        assert (first == again).all()
        assert (first != other).any()


class TestDial:
    def test_the_models_own_setting_is_taken_unless_another_is_asked_for(self, model: Model, image: np.ndarray) -> None:
        turned = replace(model, dial=Dial(settings=dict.fromkeys(model.labels.targets, Setting(p=0.01, q=0.99)), curves={}))
        own = turned.segment(image, spacing_mm=SPACING).labels
        asked = model.segment(image, spacing_mm=SPACING, fn_threshold=0.01, fp_threshold=0.99).labels
        assert (own == asked).all()
        assert (own != model.segment(image, spacing_mm=SPACING, fn_threshold=0.99, fp_threshold=0.01).labels).any()

    def test_maps_are_probabilities_and_errors(self, neutral: Segmentation) -> None:
        for array in (neutral.probabilities, neutral.missed, neutral.added):
            assert array.dtype == np.float32
            assert array.min() >= 0
            assert array.max() <= 1
        assert not ((neutral.missed > 0) & (neutral.added > 0)).any()  # what was left out can only be missed, and the other way round

    @pytest.mark.parametrize(("p", "q"), [(0.5, 0.5), (0.3, 0.8), (0.8, 0.3), (0.05, 0.95), (1.0, 1.0)])
    def test_the_labels_follow_from_the_maps(self, model: Model, image: np.ndarray, neutral: Segmentation, p: float, q: float) -> None:
        """Eq. 7 from the written maps alone: P* is FN where the generator left a voxel out, and 1 - FP where it took it in."""
        found = model.segment(image, spacing_mm=SPACING, fn_threshold=p, fp_threshold=q, maps=True)
        for name in ("probabilities", "missed", "added"):
            assert (getattr(found, name) == getattr(neutral, name)).all()  # the dial moves the decision alone
        decided = (found.missed == 0) & (found.probabilities > 0)
        masks = settle(compose(decided, found.missed, found.added, p=p, q=q), found.probabilities, exclusive=False)
        assert (model.labels.decode(masks) == found.labels).all()

    def test_temperatures_change_probabilities_and_no_decision(self, model: Model, image: np.ndarray) -> None:
        hot = Temperatures(
            generator={"whole": Temperature(value=3.0), "core": Temperature(value=0.5)},
            refiner={"whole": Temperature(value=2.0), "core": Temperature(value=1.0)},
        )
        found, raw = (
            replace(model, temperatures=each).segment(image, spacing_mm=SPACING, maps=True) for each in (hot, Temperatures.none())
        )
        assert (found.labels == raw.labels).all()
        assert (found.missed == raw.missed).all()
        seen = ((raw.missed > 0) | (raw.added > 0)).all(axis=0)  # by the refiner, which is not certain of either target
        assert seen.any()
        assert (found.probabilities[1][seen] == raw.probabilities[1][seen]).all()
        changed, before = found.probabilities[0][seen], raw.probabilities[0][seen]
        sure = (before > 0.6) & (before < 0.99)
        assert (changed[sure] < before[sure]).all()
        alone = replace(model, temperatures=hot).segment(image, spacing_mm=SPACING, maps=True, generator_only=True)
        other = replace(model, temperatures=Temperatures.none()).segment(image, spacing_mm=SPACING, maps=True, generator_only=True)
        assert (alone.labels == other.labels).all()
        unsure = (other.probabilities[0] > 0.01) & (other.probabilities[0] < 0.4)
        assert (alone.probabilities[0][unsure] > other.probabilities[0][unsure]).all()

    def test_p_of_0_takes_in_everything_and_q_of_0_throws_out_what_is_not_certain(self, model: Model, image: np.ndarray) -> None:
        assert (model.segment(image, spacing_mm=SPACING, fn_threshold=0.0, fp_threshold=1.0).labels == 2).all()
        strict = model.segment(image, spacing_mm=SPACING, fn_threshold=1.0, fp_threshold=0.0, maps=True)
        for number, value in enumerate((1, 2)):  # the outer region takes in the inner one, be it certain itself or not
            assert (strict.added[number][strict.labels == value] == 0).all()

    def test_sensitivity_only_adds(self, model: Model, image: np.ndarray) -> None:
        masks = [
            model.segment(image, spacing_mm=SPACING, fn_threshold=1 - turn, fp_threshold=turn).labels > 0 for turn in (0.2, 0.5, 0.8, 0.95)
        ]
        for narrow, wide in pairwise(masks):
            assert not (narrow & ~wide).any()

    def test_the_generator_alone(self, model: Model, image: np.ndarray) -> None:
        model = replace(model, temperatures=Temperatures.none())  # so that what is written is what was decided by
        alone = model.segment(image, spacing_mm=SPACING, generator_only=True, maps=True, fn_threshold=0.5, fp_threshold=0.5)
        assert alone.missed is alone.added is None
        expected = settle(alone.probabilities >= 0.5, alone.probabilities, exclusive=False)
        assert (model.labels.decode(expected) == alone.labels).all()
        without = replace(model, refiner=None).segment(image, spacing_mm=SPACING, fn_threshold=0.5, fp_threshold=0.5)
        assert (without.labels == alone.labels).all()
        sensitive = model.segment(image, spacing_mm=SPACING, generator_only=True, fn_threshold=0.2, fp_threshold=0.8)
        expected = settle(alone.probabilities >= 0.2, alone.probabilities, exclusive=False)
        assert (model.labels.decode(expected) == sensitive.labels).all()
        assert (sensitive.labels > 0).sum() > (alone.labels > 0).sum()

    def test_a_target_has_thresholds_of_its_own(self, model: Model, image: np.ndarray) -> None:
        def segment(**thresholds: object) -> np.ndarray:
            return model.segment(image, spacing_mm=SPACING, fp_threshold=0.5, **thresholds).labels

        neutral, whole = segment(fn_threshold=0.5), segment(fn_threshold={"whole": 0.02, "core": 0.5})
        assert ((neutral == 2) == (whole == 2)).all()
        assert (whole > 0).sum() > (neutral > 0).sum()
        with pytest.raises(CrganError, match=r"no such target[\s\S]*one of whole, core"):
            segment(fn_threshold={"edema": 0.3})

    def test_an_aim_is_served_by_the_curve_of_validation(self, model: Model, image: np.ndarray) -> None:
        curve = model.dial.curves["whole"]
        assert curve.patients == 1  # who has no core, so the core borrows the curve here
        model = replace(model, dial=Dial(settings=model.dial.settings, curves={"whole": curve, "core": curve}))
        limit = sorted(point.fnr for point in curve.points)[1] + 1e-6
        turned = model.turned(aim=f"max-fnr={limit}")
        for setting in turned.settings.values():
            assert curve.at(setting).fnr <= limit
        by_hand = {name: {target: getattr(setting, name) for target, setting in turned.settings.items()} for name in "pq"}
        expected = model.segment(image, spacing_mm=SPACING, fn_threshold=by_hand["p"], fp_threshold=by_hand["q"])
        assert (model.segment(image, spacing_mm=SPACING, aim=f"max-fnr={limit}").labels == expected.labels).all()
        with pytest.raises(CrganError, match="follow an aim and be set by hand"):
            model.segment(image, spacing_mm=SPACING, aim="dice", fp_threshold=0.3)
