"""Every setting of a run, typed and checked; recipes are nothing but values for it.

A setting that is ``None`` is derived from the training data by :mod:`crgan.planning`; the run folder's
``config.yaml`` shows what it became.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from crgan.cases.labels import LabelScheme
from crgan.errors import CrganError, Problem, fail
from crgan.files import atomic_write
from crgan.preprocessing.settings import PreprocessingSettings

Plane = Literal["axial", "coronal", "sagittal"]
Axis = Literal["z", "y", "x"]
_Size = Annotated[int, Field(ge=1)]
SYSTEMS = tuple(f"{rnn}{kind}{refinement}" for rnn in ("", "rnn-") for kind in ("unet", "cgan") for refinement in ("", "+refinement"))


class Settings(BaseModel):
    """Settings are never changed in place, and a misspelt name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class DataSettings(Settings):
    """Which files make up the data, and which patients are for what."""

    layout: str | None = None
    pattern: str | None = None
    group: str | None = None
    split: Path | None = None
    fold: int | None = Field(None, ge=0)
    validation: float = Field(0.15, gt=0, lt=1)  # share of the training patients, at most
    validation_cases: int = Field(12, ge=1)  # about as many at most, or validation eats the training time
    training_patients: int | None = Field(None, ge=1)  # train on so many, drawn by the seed; None: on all that are left
    classes: dict[int, str] | None = None  # names of label values; None: as the layout declares
    regions: dict[str, tuple[int, ...]] | None = None  # unions of label values, outermost first
    ignore: int | None = None  # label value of voxels that nobody annotated
    instances: bool = False  # label files hold ids of objects; False: as the layout declares, or as the values look
    cache: Path | None = None  # None: the user's cache folder

    @model_validator(mode="after")
    def _check(self) -> DataSettings:
        names = set(self.classes or {}) - {0}
        if self.classes is not None and not names:
            raise ValueError("classes to name a label value other than that of the background")
        unnamed = sorted({value for values in (self.regions or {}).values() for value in values} - names)
        if unnamed:
            raise ValueError(f"classes to name every label value of regions, also {', '.join(map(str, unnamed))}")
        if self.ignore is not None and self.ignore in {0, *names}:
            raise ValueError("a value to ignore that is neither background (0) nor a class")
        if self.instances and (len(names) > 1 or self.regions):
            raise ValueError("one class at most, and no regions, where the label files hold instances")
        return self

    def label_scheme(self) -> LabelScheme | None:
        """The declared meaning of the label values, if any; background (0) may be named and is left out."""
        if self.classes is None:
            return LabelScheme(classes={1: "object"}, instances=True) if self.instances else None
        classes = {value: name for value, name in self.classes.items() if value}
        return LabelScheme(classes=classes, regions=self.regions or {}, instances=self.instances)


class NetworkSettings(Settings):
    """The size of the generator or the refiner and of what it sees."""

    widths: tuple[_Size, ...] | None = Field(None, min_length=2, max_length=12)  # channels at full resolution and after each halving
    recurrent_width: int | None = Field(None, ge=1)  # channels of the ConvLSTM
    coarseness: int | None = Field(None, ge=1)  # in-plane voxels that make one pixel, along each side
    crops: dict[Plane, tuple[_Size, _Size]] | None = None  # rows and columns of a training crop, in pixels
    groups: int | None = Field(None, ge=1)  # (patient, plane) groups in a mini-batch

    @model_validator(mode="after")
    def _check(self) -> NetworkSettings:
        halvings = len(self.widths or (0,)) - 1
        for plane, crop in (self.crops or {}).items():
            if any(side % 2**halvings for side in crop):
                # No ValueError, because the widths may have been derived long after the settings were read.
                raise fail(
                    "A crop cannot be halved as often as the network halves it.",
                    where=f"crops, {plane}",
                    expected=f"multiples of {2**halvings}, for {halvings} halvings",
                    got=f"{crop[0]} × {crop[1]} pixels",
                    fix="choose other crops, or fewer widths",
                )
        return self


class BatchSettings(Settings):
    """What each (patient, plane) group of a mini-batch holds: several short sequences."""

    sequences: int = Field(2, ge=1)  # the first of them drawn uniformly
    length: int | None = Field(None, ge=1)  # slices of a sequence
    accumulate: int = Field(1, ge=1)  # mini-batches whose gradients make one step
    find: bool = False  # as many groups as the memory of the GPU has room for


class AugmentationSettings(Settings):
    """Random changes, the same for all slices of a sequence (paper, section 3.1)."""

    rotation_degrees: float = Field(10.0, ge=0)
    scale: float = Field(0.1, ge=0, lt=1)  # resize by 1 - scale to 1 / (1 - scale)
    stretch: float = Field(0.0, ge=0, lt=1)  # the same, of one axis alone
    contrast: float = Field(0.0, ge=0, lt=1)  # multiply by 1 - contrast to 1 + contrast
    brightness: float = Field(0.0, ge=0)  # add up to this many standard deviations
    noise: float = Field(0.05, ge=0)  # standard deviation of Gaussian noise, at most
    # Reverse each of these axes of the volume in half of the crops, x being left to right; None: in plane for objects, else none.
    mirror: tuple[Axis, ...] | None = None


Optimiser = Literal["muon", "adamw", "rmsprop", "adadelta"]


class OptimisationSettings(Settings):
    """How the weights of a stage are found."""

    optimiser: Optimiser = "muon"
    learning_rate: float = Field(1e-2, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    warm_up: int = Field(20, ge=0)  # steps of linear warm-up
    decay: bool = True  # polynomial decay to 0
    clip: float | None = Field(1.0, gt=0)  # largest gradient norm
    cross_entropy: float = Field(1.0, ge=0)
    dice: float = Field(1.0, ge=0)
    component_dice: float = Field(0.0, ge=0)  # of each lesion in its own surroundings
    l1: float = Field(0.0, ge=0)


class AdversarialSettings(Settings):
    """The discriminator's part."""

    weight: float = Field(0.02, ge=0)
    begin: float = Field(0.67, ge=0, lt=1)  # share of the stage after which it begins
    widths: tuple[_Size, _Size] = (8, 16)
    smoothing: float = Field(0.2, ge=0, lt=1)  # softening of the truth, at most
    # Of the discriminator; None: the generator's. By Muon it soon told truth from generated without fail, and then taught nothing.
    optimiser: Optimiser | None = "adamw"
    learning_rate: float | None = Field(1e-3, gt=0)


class RefinementSettings(Settings):
    """What the refiner sees and learns from."""

    attend: bool = True  # only tiles around candidates; otherwise whole slices
    candidate: float | None = Field(None, gt=0, lt=1)  # foreground probability that makes a voxel a candidate; None: fitted
    warm_start: bool = True  # begin with the generator's weights instead of from scratch
    on_doubts: bool = True  # add to the odds that the generator gave instead of beginning anew
    errors: Literal["in-sample", "snapshots", "out-of-fold"] | None = None  # whose errors on the training patients it learns from
    target: Literal["corrected", "errors"] = "corrected"  # supervise P* or the two error masks
    discriminator_map: bool = False  # show the refiner also what the discriminator thinks of the generator's segmentation


class Config(Settings):
    """All settings of a run."""

    recipe: str = "default"
    system: str = "rnn-cgan+refinement"
    patient_wise: bool = True
    noise_channel: bool = False
    minutes: float | None = Field(None, gt=0)
    steps: int | None = Field(None, gt=0)
    generator_share: float | None = Field(None, gt=0, lt=1)  # of the minutes or steps, where a refiner follows
    seed: int = Field(0, ge=0, lt=2**32)
    device: str = "auto"
    devices: int = Field(1, ge=1)
    nodes: int = Field(1, ge=1)
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"  # bf16-mixed where the device is faster in it
    threads: int | None = Field(None, ge=1)
    compile: bool = False  # generator and refiner, by PyTorch, for training steps
    logger: Literal["none", "tensorboard"] = "none"
    planes: tuple[Plane, ...] | None = Field(None, min_length=1)
    validations: int = Field(4, ge=1)  # a stage
    patience: int | None = Field(None, ge=1)  # validations without a better Dice before a stage stops
    data: DataSettings = DataSettings()
    preprocessing: PreprocessingSettings = PreprocessingSettings()
    batch: BatchSettings = BatchSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    generator: NetworkSettings = NetworkSettings()
    refiner: NetworkSettings = NetworkSettings()
    generator_optimisation: OptimisationSettings = OptimisationSettings()
    refiner_optimisation: OptimisationSettings = OptimisationSettings()
    adversarial: AdversarialSettings = AdversarialSettings()
    refinement: RefinementSettings = RefinementSettings()

    @field_validator("system")
    @classmethod
    def _check_system(cls, system: str) -> str:
        if system not in SYSTEMS:
            raise ValueError(f"one of {', '.join(SYSTEMS)}")
        return system

    @model_validator(mode="after")
    def _check(self) -> Config:
        if self.minutes is not None and self.steps is not None:
            raise ValueError("minutes or steps, not both")
        if self.refinement.discriminator_map and not (self.has_discriminator and self.has_refiner):
            raise ValueError("refinement.discriminator_map only in a system with a discriminator and a refiner, [rnn-]cgan+refinement")
        return self

    @property
    def recurrent(self) -> bool:
        """Whether the networks have a ConvLSTM."""
        return self.system.startswith("rnn-")

    @property
    def has_discriminator(self) -> bool:
        """Whether the generator is trained against a discriminator."""
        return "cgan" in self.system

    @property
    def discriminator_optimisation(self) -> OptimisationSettings:
        """How the discriminator's weights are found: as the generator's, but for what the adversarial settings say."""
        chosen = {name: getattr(self.adversarial, name) for name in ("optimiser", "learning_rate")}
        return self.generator_optimisation.model_copy(update={name: value for name, value in chosen.items() if value is not None})

    @property
    def has_refiner(self) -> bool:
        """Whether a refiner follows the generator."""
        return self.system.endswith("+refinement")


def recipes() -> tuple[str, ...]:
    """Names of the recipes that come with the package."""
    folder = resources.files("crgan") / "recipes"
    return tuple(sorted(Path(entry.name).stem for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def load_config(*, recipe: str = "default", overrides: Sequence[str] = (), **named: Any) -> Config:
    """Make the settings of a run from a recipe and what the user changes.

    Parameters
    ----------
    recipe
        The name of a recipe that comes with the package, or the path of a YAML file.
    overrides
        ``"key=value"`` texts, keys with dots for nested settings (``"generator.widths=[16, 32, 64]"``).
    **named
        Settings by name; None leaves the recipe's value.

    Raises
    ------
    CrganError
        If the recipe does not exist, a setting's name is unknown or its value does not fit.
    """
    values = _read_recipe(recipe)
    values["recipe"] = recipe
    given = {key for key, value in named.items() if value is not None} | {text.partition("=")[0].strip() for text in overrides}
    for one, other in (("minutes", "steps"), ("steps", "minutes")):
        if one in given and other not in given:  # how long the user wants to train, not the recipe
            values.pop(other, None)
    for key, value in named.items():
        if value is not None:
            _set(values, key, value)
    for text in overrides:
        key, sign, value = text.partition("=")
        if not sign:
            raise fail("The setting could not be read.", where=f"--set {text}", expected="key=value", fix="write for example --set seed=1")
        try:
            _set(values, key.strip(), yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise fail("The setting's value could not be read.", where=f"--set {text}", got=str(error)) from error
    return parse_config(values, where=f"recipe {recipe}")


def parse_config(values: Mapping[str, Any], *, where: str | Path) -> Config:
    """Check settings, telling all that is wrong with them at once (``CrganError``)."""
    try:
        return Config.model_validate(dict(values))
    except ValidationError as error:
        problems = [
            Problem(
                what="A setting is not as it should be.",
                where=f"{where}, {'.'.join(map(str, item['loc'])) or 'settings'}",
                expected="the name of a setting" if item["type"] == "extra_forbidden" else item["msg"].removeprefix("Value error, "),
                got=_shown(item),
                fix="docs/settings.md lists every setting",
            )
            for item in error.errors()
        ]
        raise CrganError(problems) from error


def _shown(item: Mapping[str, Any]) -> str | None:
    """What a user wrote that does not fit; None where that is the whole of the settings."""
    if item["type"] == "extra_forbidden":
        return str(item["loc"][-1])
    return None if isinstance(item["input"], dict) else repr(item["input"])[:120]


def write_config(path: Path, config: Config) -> None:
    """Write the settings as YAML, atomically."""
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def read_config(path: Path) -> Config:
    """Read the settings of a run (``CrganError`` if the file is missing or damaged)."""
    return parse_config(_read_yaml(path), where=path)


def _read_recipe(recipe: str) -> dict[str, Any]:
    """Read a recipe and, if it extends another one that comes with the package, that one below it."""
    values = _read_yaml(_recipe_path(recipe))
    base = values.pop("extends", None)
    if base is None:
        return values
    if base not in recipes():
        raise fail(
            "The recipe extends one that does not exist.",
            where=f"recipe {recipe}, extends",
            expected=f"one of {', '.join(recipes())}",
            got=str(base),
            fix="name one of them, or leave the line out",
        )
    return _merge(_read_recipe(base), values)


def _merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _recipe_path(recipe: str) -> Path:
    if recipe in recipes():
        return Path(str(resources.files("crgan") / "recipes" / f"{recipe}.yaml"))
    path = Path(recipe)
    if path.suffix not in {".yaml", ".yml"} or not path.is_file():
        raise fail(
            "There is no such recipe.",
            where=f"--recipe {recipe}",
            expected=f"one of {', '.join(recipes())}, or the path of a YAML file",
            fix="choose one of them",
        )
    return path


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise fail("The settings could not be read.", where=path, got=error.strerror or str(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise fail("The settings are not valid YAML.", where=path, got=str(error)) from error
    if not isinstance(values, dict):
        raise fail("The settings are not a mapping.", where=path, expected="lines of the form `name: value`", got=type(values).__name__)
    return values


def _set(values: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        child = values.setdefault(parent, {})
        if not isinstance(child, dict):
            raise fail("The setting has no parts.", where=key, fix=f"set {parent} itself")
        values = child
    values[last] = value
