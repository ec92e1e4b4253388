"""Settings: recipes, what a user changes, and what is said to mistakes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from crgan.cases.labels import LabelScheme
from crgan.config import SYSTEMS, Config, DataSettings, NetworkSettings, load_config, parse_config, read_config, recipes, write_config
from crgan.errors import CrganError, Problem


def problems(call: Callable[..., object], *arguments: Any, **named: Any) -> tuple[Problem, ...]:
    with pytest.raises(CrganError) as caught:
        call(*arguments, **named)
    return caught.value.problems


# --- recipes and systems -------------------------------------------------------------------------------------------


def test_the_recipes_that_come_with_the_package() -> None:
    assert {"default", "paper"} <= set(recipes())
    for name in recipes():
        assert load_config(recipe=name).recipe == name


def test_recipe_paper_is_the_paper() -> None:
    config = load_config(recipe="paper")
    assert config.system == "rnn-cgan+refinement"
    # 128 images of one patient and plane: 32 slices of 4 modalities.
    assert (config.generator.groups, config.batch.sequences * (config.batch.length or 0)) == (1, 32)
    for stage in (config.generator_optimisation, config.refiner_optimisation):
        assert (stage.optimiser, stage.learning_rate, stage.cross_entropy, stage.l1, stage.dice) == ("rmsprop", 1e-3, 1, 1, 0)
    assert (config.adversarial.begin, config.adversarial.weight, config.adversarial.smoothing) == (0, 1, 0)
    assert (config.generator.coarseness, config.refiner.coarseness) == (1, 1)
    assert not config.refinement.attend
    assert config.refinement.target == "errors"
    assert config.preprocessing.normalisation == "pooled"
    assert config.augmentation.rotation_degrees == 10
    assert config.patient_wise


def test_recipes_of_the_papers_data_are_the_paper_with_their_preprocessing() -> None:
    paper = load_config(recipe="paper")
    steps = {}
    for name in ("brats2017", "lits2017", "mda231", "phc-hela"):
        config = load_config(recipe=name)
        assert config.generator_optimisation == paper.generator_optimisation
        assert config.refiner_optimisation == paper.refiner_optimisation
        assert config.adversarial == paper.adversarial
        assert config.refinement == paper.refinement
        assert config.augmentation == paper.augmentation
        # 32 slices in a mini-batch.
        assert (config.generator.groups or 0) * config.batch.sequences * (config.batch.length or 0) == 32
        steps[name] = config.preprocessing
    assert (steps["brats2017"].bias_field, steps["brats2017"].landmarks, steps["brats2017"].normalisation) == (True, True, "per-modality")
    assert (steps["lits2017"].window_hu, steps["lits2017"].equalisation, steps["lits2017"].kind) == ((100, 400), "histogram", "ct")
    assert steps["lits2017"].normalisation == paper.preprocessing.normalisation
    assert steps["mda231"].kind == steps["phc-hela"].kind == "microscopy"


def test_a_recipe_extends_another(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("extends: paper\nadversarial: {weight: 0.5}\n", encoding="utf-8")
    config = load_config(recipe=str(path))
    assert (config.adversarial.weight, config.adversarial.begin) == (0.5, 0)
    path.write_text("extends: printed\n", encoding="utf-8")
    (problem,) = problems(load_config, recipe=str(path))
    assert problem.got == "printed"


def test_the_users_length_of_training_replaces_the_recipes() -> None:
    assert load_config(recipe="mda231").steps == 4500
    assert load_config(recipe="mda231", steps=3).steps == 3
    for config in (load_config(recipe="mda231", minutes=5), load_config(recipe="mda231", overrides=["minutes=5"])):
        assert (config.minutes, config.steps) == (5, None)
    assert problems(load_config, recipe="mda231", minutes=5, steps=3)


def test_recipe_default_refines_coarse_with_fine() -> None:
    config = load_config()
    assert config.recipe == "default"
    assert config.has_refiner
    assert config.refinement.attend
    assert config.generator.widths is None  # left to the data


@pytest.mark.parametrize(
    ("system", "recurrent", "discriminator", "refiner"),
    [
        ("unet", False, False, False),
        ("cgan", False, True, False),
        ("rnn-unet", True, False, False),
        ("rnn-cgan", True, True, False),
        ("unet+refinement", False, False, True),
        ("cgan+refinement", False, True, True),
        ("rnn-unet+refinement", True, False, True),
        ("rnn-cgan+refinement", True, True, True),
    ],
)
def test_a_system_is_three_switches(system: str, recurrent: bool, discriminator: bool, refiner: bool) -> None:
    config = load_config(system=system)
    assert (config.recurrent, config.has_discriminator, config.has_refiner) == (recurrent, discriminator, refiner)


def test_there_are_eight_systems() -> None:
    assert len(set(SYSTEMS)) == len(SYSTEMS) == 8


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("system: unet\nbatch: {sequences: 5}\n", encoding="utf-8")
    config = load_config(recipe=str(path), overrides=["batch.length=7"])
    assert (config.system, config.batch.sequences, config.batch.length) == ("unet", 5, 7)
    assert config.recipe == str(path)
    assert config.adversarial == Config().adversarial


# --- what a user changes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "read", "expected"),
    [
        ("seed=7", lambda config: config.seed, 7),
        ("patient_wise=false", lambda config: config.patient_wise, False),
        ("generator.widths=[16, 32, 64]", lambda config: config.generator.widths, (16, 32, 64)),
        ("planes=[axial, coronal]", lambda config: config.planes, ("axial", "coronal")),
        ("generator.crops={axial: [64, 96]}", lambda config: config.generator.crops, {"axial": (64, 96)}),
        (" batch.length = 3", lambda config: config.batch.length, 3),
        ("refinement.candidate=0.1", lambda config: config.refinement.candidate, 0.1),
        ("batch.length=null", lambda config: config.batch.length, None),
        ("data.group=(a=.*)", lambda config: config.data.group, "(a=.*)"),  # the first = ends the name
        ("data.split=folds.json", lambda config: config.data.split, Path("folds.json")),
        ("preprocessing.spacing_mm=[2, 1, 1]", lambda config: config.preprocessing.spacing_mm, (2, 1, 1)),
    ],
)
def test_overrides(text: str, read: Callable[[Config], object], expected: object) -> None:
    assert read(load_config(overrides=[text])) == expected


def test_overrides_leave_the_recipes_other_values() -> None:
    plain, changed = load_config(), load_config(overrides=["augmentation.noise=0.5"])
    assert changed.augmentation == plain.augmentation.model_copy(update={"noise": 0.5})
    assert changed.model_copy(update={"augmentation": plain.augmentation}) == plain


def test_the_last_override_counts_and_counts_more_than_what_is_named() -> None:
    assert load_config(seed=1, overrides=["seed=2", "seed=3"]).seed == 3


def test_named_settings() -> None:
    config = load_config(system="cgan", minutes=12.5, seed=None, **{"data.fold": 2})
    assert (config.system, config.minutes, config.data.fold) == ("cgan", 12.5, 2)
    assert config.seed == Config().seed  # None leaves the recipe's value


def test_settings_do_not_change_in_place() -> None:
    with pytest.raises(ValidationError):
        load_config().seed = 3  # type: ignore[misc]


# --- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "where", "expected", "got"),
    [
        ("sede=1", "recipe default, sede", "the name of a setting", "sede"),
        ("generator.depth=4", "recipe default, generator.depth", "the name of a setting", "depth"),
        ("seed=x", "recipe default, seed", "valid integer", "'x'"),
        ("seed=-1", "recipe default, seed", "greater than or equal to 0", "-1"),
        ("system=u-net", "recipe default, system", "rnn-cgan+refinement", "'u-net'"),
        ("precision=half", "recipe default, precision", "'bf16-mixed'", "'half'"),
        ("planes=[axial, up]", "recipe default, planes.1", "'sagittal'", "'up'"),
        ("planes=[]", "recipe default, planes", "at least 1", "()"),
        ("minutes=.inf", "recipe default, minutes", "finite", "inf"),
        ("augmentation.scale=1", "recipe default, augmentation.scale", "less than 1", "1"),
        ("generator.widths=[16]", "recipe default, generator.widths", "at least 2", "[16]"),
        ("refiner.widths=[16, 0]", "recipe default, refiner.widths.1", "greater than or equal to 1", "0"),
        ("adversarial.widths=[8, -8]", "recipe default, adversarial.widths.1", "greater than or equal to 1", "-8"),
        ("generator.crops={axial: [0, 8]}", "recipe default, generator.crops.axial.0", "greater than or equal to 1", "0"),
        ("threads=0", "recipe default, threads", "greater than or equal to 1", "0"),
        ("generator=5", "recipe default, generator", "dictionary", "5"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(text: str, where: str, expected: str, got: str) -> None:
    problem = problems(load_config, overrides=[text])[0]
    assert problem.where == where
    assert expected in str(problem.expected)
    assert got == problem.got or text.startswith("planes=[]")
    assert problem.fix


def test_all_mistakes_are_told_at_once() -> None:
    found = problems(load_config, overrides=["seed=-1", "sede=1", "batch.length=0"], system="vnet")
    assert {str(problem.where) for problem in found} == {f"recipe default, {name}" for name in ("seed", "sede", "batch.length", "system")}


def test_minutes_and_steps_exclude_each_other() -> None:
    (problem,) = problems(load_config, minutes=3, steps=100)
    assert problem.expected == "minutes or steps, not both"
    assert problem.got is None  # and not the whole of the settings


@pytest.mark.parametrize(
    ("system", "fits"), [("rnn-cgan+refinement", True), ("cgan+refinement", True), ("rnn-cgan", False), ("unet+refinement", False)]
)
def test_the_discriminators_map_needs_a_discriminator_and_a_refiner(system: str, fits: bool) -> None:
    def load() -> Config:
        return load_config(system=system, overrides=["refinement.discriminator_map=true"])

    if fits:
        assert load().refinement.discriminator_map
    else:
        assert "[rnn-]cgan+refinement" in str(problems(load)[0].expected)


@pytest.mark.parametrize(
    ("text", "what", "said"),
    [
        ("seed", "could not be read", "key=value"),
        ("generator.widths=[16, 32", "value could not be read", "expected ',' or ']'"),
        ("recipe.name=3", "has no parts", "set recipe itself"),
    ],
)
def test_what_cannot_be_read_is_told(text: str, what: str, said: str) -> None:
    (problem,) = problems(load_config, overrides=[text])
    assert what in problem.what
    assert text.split("=", maxsplit=1)[0] in str(problem.where)
    assert said in str(problem)


@pytest.mark.parametrize("recipe", ["fast", "fast.yaml", "paper.txt", ""])
def test_an_unknown_recipe_is_told_with_those_there_are(recipe: str) -> None:
    (problem,) = problems(load_config, recipe=recipe)
    assert problem.where == f"--recipe {recipe}"
    assert ", ".join(recipes()) in str(problem.expected)


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"system: [", "not valid YAML"), (b"- a\n- b\n", "not a mapping"), (b"", "not a mapping"), (b"\xff\xfe\x00", "not valid YAML")],
)
def test_a_damaged_recipe_is_told(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    (problem,) = problems(load_config, recipe=str(path))
    assert what in problem.what
    assert problem.where == path


@pytest.mark.parametrize(
    ("crop", "widths", "fits"),
    [
        ((64, 96), (8, 16, 32, 64), True),
        ((64, 92), (8, 16, 32, 64), False),
        ((6, 2), (4, 4), True),
        ((6, 3), (4, 4), False),
        ((5, 7), None, True),
    ],
)
def test_crops_must_be_halved_as_often_as_the_network_halves(crop: tuple[int, int], widths: tuple[int, ...] | None, fits: bool) -> None:
    if fits:
        assert NetworkSettings(widths=widths, crops={"coronal": crop}).crops == {"coronal": crop}
        return
    (problem,) = problems(NetworkSettings, widths=widths, crops={"coronal": crop})
    assert problem.where == "crops, coronal"
    assert f"multiples of {2 ** (len(widths or ()) - 1)}" in str(problem.expected)
    assert f"{crop[0]} × {crop[1]}" in str(problem.got)


# --- label values --------------------------------------------------------------------------------------------------


def test_declared_labels() -> None:
    assert DataSettings().label_scheme() is None
    config = load_config(overrides=["data.classes={0: background, 1: liver, 2: lesion}", "data.regions={whole: [1, 2], lesion: [2]}"])
    assert config.data.label_scheme() == LabelScheme(classes={1: "liver", 2: "lesion"}, regions={"whole": (1, 2), "lesion": (2,)})
    assert DataSettings(instances=True).label_scheme() == LabelScheme(classes={1: "object"}, instances=True)
    assert DataSettings(instances=True, classes={1: "cell"}).label_scheme() == LabelScheme(classes={1: "cell"}, instances=True)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["data.regions={whole: [1, 2]}"], "also 1, 2"),
        (["data.classes={1: a, 2: b}", "data.instances=true"], "one class at most"),
        (["data.classes={1: liver}", "data.regions={whole: [1, 4]}"], "also 4"),
        (["data.classes={0: background}"], "other than that of the background"),
        (["data.classes={}"], "other than that of the background"),
        (["data.classes={1: liver}", "data.ignore=1"], "neither background (0) nor a class"),
        (["data.ignore=0"], "neither background (0) nor a class"),
    ],
)
def test_labels_that_are_declared_by_halves_are_told(overrides: list[str], said: str) -> None:
    (problem,) = problems(load_config, overrides=overrides)
    assert problem.where == "recipe default, data"
    assert said in str(problem.expected)


# --- the file ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        load_config(recipe="paper"),
        load_config(
            overrides=[
                "generator.crops={axial: [64, 96], sagittal: [32, 32]}",
                "data.classes={1: a, 2: b}",
                "data.regions={all: [1, 2], b: [2]}",
                "data.split=some/where.json",
                "planes=[axial]",
                "preprocessing.spacing_mm=[2.5, 1, 1]",
            ],
            minutes=2.5,
        ),
    ],
)
def test_what_is_written_reads_back_the_same(tmp_path: Path, config: Config) -> None:
    path = tmp_path / "config.yaml"
    write_config(path, config)
    assert read_config(path) == config
    assert list(yaml.safe_load(path.read_text(encoding="utf-8"))) == list(Config.model_fields)  # in the order a reader knows


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    (problem,) = problems(read_config, tmp_path / "config.yaml")
    assert problem.where == tmp_path / "config.yaml"


def test_settings_of_another_version_are_told_with_their_file(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("seed: 3\nmagic: true\n", encoding="utf-8")
    (problem,) = problems(read_config, path)
    assert problem.where == f"{path}, magic"


def test_a_mapping_is_parsed_as_it_is() -> None:
    assert parse_config({"seed": 3}, where="here") == Config(seed=3)


def test_the_discriminator_learns_as_the_generator_but_for_what_is_said() -> None:
    default, paper = load_config(), load_config(recipe="paper")
    assert (default.discriminator_optimisation.optimiser, default.discriminator_optimisation.learning_rate) == ("adamw", 1e-3)
    assert default.discriminator_optimisation.clip == default.generator_optimisation.clip
    assert paper.discriminator_optimisation == paper.generator_optimisation
    changed = load_config(overrides=["adversarial.learning_rate=null", "generator_optimisation.learning_rate=0.3"])
    assert (changed.discriminator_optimisation.optimiser, changed.discriminator_optimisation.learning_rate) == ("adamw", 0.3)
