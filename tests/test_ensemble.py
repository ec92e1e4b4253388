from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch

from crgan.conformal import Guarantee, Promise
from crgan.dial import Dial, Setting
from crgan.ensemble import Ensemble, add_promise, digest, join, load_model, save_ensemble
from crgan.errors import CrganError
from crgan.evaluation.temperature import Temperature, Temperatures
from crgan.inference.predict import predict
from crgan.model import Model, model_digest
from crgan.sweep.volumes import decide

SPACING = (1.1, 1.0, 1.0)


def shifted(model: Model, by: float) -> Model:
    """The same system, surer of everything."""
    copy = Model.load(model_path(model), device="cpu")
    for network in (copy.generator, copy.refiner):
        with torch.no_grad():
            network.head.bias += by
    return copy


def model_path(model: Model) -> Path:
    return PATHS[id(model)]


PATHS: dict[int, Path] = {}


@pytest.fixture(scope="module")
def first(trained: Path) -> Model:
    model = Model.load(trained, device="cpu")
    PATHS[id(model)] = trained
    return model


@pytest.fixture(scope="module")
def second(first: Model) -> Model:
    return shifted(first, 0.7)


@pytest.fixture(scope="module")
def prepared(first: Model, patients: Path) -> np.ndarray:
    image = np.stack([np.asarray(nib.load(patients / "p0" / f"p0_{name}.nii.gz").dataobj).transpose() for name in ("flair", "t1")])
    return first.prepare(image, SPACING).image


@pytest.fixture
def folder(trained: Path, second: Model, tmp_path: Path) -> Path:
    """An ensemble as training leaves it."""
    run = tmp_path / "ensemble"
    shutil.copytree(trained / "model", run / "members" / "0" / "model")
    second.save(run / "members" / "1" / "model")
    (run / "ensemble.json").write_text('{"members": 2}')
    save_ensemble(run, join([Model.load(run / "members" / str(number), device="cpu") for number in range(2)]))
    return run


def test_probabilities_are_averaged_of_generators_and_then_of_refiners(first: Model, second: Model, prepared: np.ndarray) -> None:
    one, two = (model.estimate(prepared, case_id="p0") for model in (first, second))
    both = join([first, second]).estimate(prepared, case_id="p0")
    assert both.generator == pytest.approx((one.generator.astype(float) + two.generator) / 2, abs=1e-3)
    assert (both.seen == (one.seen | two.seen)).all()
    final = [np.where(each.seen, each.corrected, each.generator).astype(float) for each in (one, two)]
    assert both.corrected[:, both.seen] == pytest.approx(((final[0] + final[1]) / 2)[:, both.seen], abs=1e-3)
    assert (both.corrected[:, ~both.seen] == decide(both.generator, exclusive=False)[:, ~both.seen]).all()
    assert (one.corrected != two.corrected).any()
    alone = join([first, second]).estimate(prepared, case_id="p0", refined=False)
    assert alone.corrected is None
    assert (alone.generator == both.generator).all()


def test_a_model_twice_is_the_model(first: Model, prepared: np.ndarray) -> None:
    twice, once = (model.estimate(prepared, case_id="p0") for model in (join([first, first]), first))
    assert (twice.generator == once.generator).all()
    assert (twice.seen == once.seen).all()
    assert (twice.corrected == once.corrected).all()


def test_all_members_are_compiled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = []
    monkeypatch.setattr(Model, "compile", lambda self: compiled.append(id(self)))
    both = load_model(folder, device="cpu")
    both.compile()
    assert compiled == [id(member) for member in both.members]


def test_what_was_chosen_is_averaged(first: Model, second: Model) -> None:
    def with_choice(model: Model, p: float, temperature: float) -> Model:
        dial = Dial(settings={"whole": Setting(p=p, q=0.5), "core": Setting()}, curves={})
        hot = {"whole": Temperature(value=temperature), "core": Temperature()}
        return replace(model, dial=dial, temperatures=Temperatures(generator=hot, refiner=hot))

    both = join([with_choice(first, 0.2, 1.0), with_choice(second, 0.4, 4.0)])
    assert both.dial.settings == {"whole": Setting(p=pytest.approx(0.3), q=0.5), "core": Setting()}
    assert both.temperatures.refiner["whole"].value == pytest.approx(2)
    three = join([both, first])
    assert [len(each.members) for each in (both, three)] == [2, 3]


def test_what_differs_cannot_be_averaged(first: Model) -> None:
    with pytest.raises(CrganError, match=r"model 2 of 2[\s\S]*others: refinement[\s\S]*--ensemble"):
        join([first, replace(first, refiner=None)])
    with pytest.raises(CrganError, match="preprocessing"):
        join([first, replace(first, pipeline=SimpleNamespace(to_json=dict))])


def test_a_folder_is_read_as_it_was_saved(folder: Path, first: Model) -> None:
    read = load_model(folder, device="cpu")
    assert isinstance(read, Ensemble)
    chosen = replace(read, dial=first.dial, generator_dial=first.generator_dial, temperatures=first.temperatures)
    save_ensemble(folder, chosen)
    again = load_model(str(folder), device="cpu")
    for name in ("dial", "generator_dial", "temperatures"):
        assert getattr(again, name).to_json() == getattr(first, name).to_json()
    assert isinstance(load_model(folder / "members" / "0", device="cpu"), Model)
    assert len(load_model([folder, folder / "members" / "1"], device="cpu").members) == 3


def test_promises_are_kept_with_it(folder: Path) -> None:
    before = digest(folder)
    guarantee = Guarantee(sensitivity=0.9, patients=20, marked=0.1, missed=0.05)
    promise = Promise(max_fnr=0.1, per="voxel", targets={"whole": guarantee, "core": guarantee})
    for _ in range(2):
        add_promise(folder, promise)
    assert load_model(folder, device="cpu").promises == (promise,)
    assert digest(folder) == before


def test_digests_tell_ensembles_apart(folder: Path, trained: Path) -> None:
    assert digest(trained) == digest([trained]) == model_digest(trained)
    found = {digest(folder), digest(trained), digest([folder, trained]), digest([trained, folder])}
    assert len(found) == 4


def test_what_is_unfinished_or_damaged_is_told(folder: Path) -> None:
    text = (folder / "ensemble.json").read_text()
    (folder / "ensemble.json").write_text('{"members": 2}')
    with pytest.raises(CrganError, match=r"not been trained to its end[\s\S]*--resume"):
        load_model(folder)
    for harm in ({"dial": 3}, {"members": "x"}, {"temperatures": {}}, {"promises": 3}, {"dial": {}}):
        (folder / "ensemble.json").write_text(json.dumps(json.loads(text) | harm))
        with pytest.raises(CrganError, match="damaged"):
            load_model(folder)
    with pytest.raises(CrganError, match=r"an ensemble[\s\S]*members"):
        Model.load(folder)


def test_masks_come_from_the_average(folder: Path, patients: Path, tmp_path: Path) -> None:
    (mask,) = predict(folder, patients, tmp_path / "whole", cases=["p0"], threads=1)
    members = [folder / "members" / str(number) for number in range(2)]
    (other,) = predict(members, patients, tmp_path / "parts", cases=["p0"], threads=1)
    assert mask.read_bytes() == other.read_bytes()  # since the dial of this ensemble is the mean of its members'
    (one,) = predict(members[0], patients, tmp_path / "one", cases=["p0"], threads=1)
    assert one.read_bytes() != mask.read_bytes()
    (far,) = predict(members, patients, tmp_path / "workers", cases=["p0"], threads=1, workers=2)
    assert far.read_bytes() == mask.read_bytes()
