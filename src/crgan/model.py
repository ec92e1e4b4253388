"""A trained system as one object and one folder: weights as safetensors, everything else as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.fx.experimental import _config as shapes

from crgan.cases.labels import LabelScheme
from crgan.config import Config, DataSettings, parse_config
from crgan.conformal import Promise
from crgan.dial import Dial, Smallest, Thresholds
from crgan.errors import fail
from crgan.evaluation.temperature import Temperatures, scaled
from crgan.files import read_json, write_json
from crgan.machine import choose_device, require_compiler
from crgan.networks.build import make_discriminator, make_generator, make_refiner
from crgan.preprocessing.fingerprint import Fingerprint
from crgan.preprocessing.pipeline import Pipeline
from crgan.preprocessing.prepared import Prepared
from crgan.sweep.decision import against_rivals, decide_corrected, least_marked
from crgan.sweep.instances import grow_in_frames, grow_instances
from crgan.sweep.pieces import drop_small
from crgan.sweep.scratch import scratch_zeros
from crgan.sweep.views import Answer, View, average, draw_views
from crgan.sweep.volumes import decide, generate, judge, refine
from crgan.weights import SUFFIX, load_weights, require_whole, save_weights

FORMAT = 3
"""Of the model folder; another one is refused."""

_DESCRIPTION = "model.json"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Estimate:
    """What the networks say of a prepared image.

    Parameters
    ----------
    generator
        ``(K, Z, Y, X)`` float16, the generator's probabilities.
    corrected
        The same after refinement; the generator's decision where the refiner did not look. None if no refiner acts.
    seen
        Bool ``(Z, Y, X)``: where the refiner looked; None if none acts.
    """

    generator: NDArray[np.float16]
    corrected: NDArray[np.float16] | None = None
    seen: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """What a model says of an image, on the image's grid.

    Parameters
    ----------
    labels
        ``(Z, Y, X)`` label values, uint8 or uint16; of instances ids from 1 up, uint16, or int32 in a movie of many.
    probabilities
        ``(K, Z, Y, X)`` float32, the final probability of each target, calibrated on validation patients: after refinement where
        the refiner looked, the generator's elsewhere; None unless asked for.
    missed, added
        ``(K, Z, Y, X)`` float32, the refiner's false-negative and false-positive masks; None unless asked for.
    """

    labels: NDArray[np.uint8 | np.uint16 | np.int32]
    probabilities: NDArray[np.float32] | None = None
    missed: NDArray[np.float32] | None = None
    added: NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A trained system.

    Parameters
    ----------
    generator, refiner
        The networks; no refiner in the systems without one.
    config
        The settings it was trained with.
    labels
        What it segments.
    pipeline
        Its preprocessing.
    fingerprint
        Of the data it was trained on.
    dial
        The dial of the system: its setting is the one that was best on validation patients.
    generator_dial
        The same for the generator alone; where there is no refiner it is the system's.
    temperatures
        Of the probabilities that are written; no decision depends on them.
    discriminator
        Where the refiner sees its map; it is not needed otherwise.
    promises
        What `crgan calibrate` found.
    """

    generator: nn.Module
    refiner: nn.Module | None
    config: Config
    labels: LabelScheme
    pipeline: Pipeline
    fingerprint: Fingerprint
    dial: Dial
    generator_dial: Dial
    temperatures: Temperatures = field(default_factory=Temperatures.none)
    discriminator: nn.Module | None = None
    promises: tuple[Promise, ...] = ()

    def compile(self) -> None:
        """Have PyTorch compile the generator and the refiner (``torch.compile``) when they first see a patient.

        Once is enough for all patients and planes, whose sizes and statistics are values like any others. What is segmented stays
        the same but for rounding, and so do the weights and their names.

        Raises
        ------
        CrganError
            If this machine cannot compile.
        """
        require_compiler(next(self.generator.parameters()).device)
        shapes.use_duck_shape = False  # or sizes that are equal by chance would have to be equal for every patient
        for network in (self.generator, self.refiner):
            if network is not None:
                network.compile(dynamic=True)

    def prepare(self, image: NDArray[np.generic], spacing_mm: Sequence[float]) -> Prepared:
        """Prepare an image for :meth:`segment`, as the training cases were prepared.

        Parameters and errors are those of :meth:`segment`. What it gives takes no memory of the image's.
        """
        image = _real(np.asarray(image))
        return self.pipeline.apply(image[None] if image.ndim == 3 else image, spacing_mm, compact=True)

    def segment(
        self,
        image: NDArray[np.generic] | Prepared,
        *,
        spacing_mm: Sequence[float] = (),
        case_id: str = "",
        aim: str | None = None,
        fn_threshold: Thresholds | None = None,
        fp_threshold: Thresholds | None = None,
        smallest: Mapping[str, Smallest] | None = None,
        generator_only: bool = False,
        maps: bool = False,
        tta: int = 0,
        movie: bool = False,
    ) -> Segmentation:
        """Segment one image.

        Parameters
        ----------
        image
            ``(M, Z, Y, X)``, or ``(Z, Y, X)`` for a single modality, in the model's order of modalities; Z runs to the
            head, Y to the front and X to the patient's right. A 2-D image is ``(M, 1, rows, columns)``, a movie of such
            images ``(M, frames, rows, columns)``. Or what :meth:`prepare` made of it: a large image then need not be kept.
        spacing_mm
            Voxel size ``(z, y, x)`` in millimetres; not needed with what is prepared.
        case_id
            Seeds the noise channel of systems that have one, and test-time augmentation.
        aim
            Turn the dial to where it served an aim best on validation patients: ``"dice"``, ``"max-fnr=0.1"`` or
            ``"max-false-lesions=2"``; None for the best Dice.
        fn_threshold, fp_threshold
            p and q of the dial, for all targets or for each by name; the model's own if None.
        smallest
            Drop the pieces of a target, by name, that are smaller than this; None for what was chosen on validation patients, or
            for nothing where the dial is turned. Instances and maps are left as they are.
        generator_only
            Leave the refiner out. The dial is then a threshold t of the generator's probabilities, p = t and q = 1 − t.
        maps
            Also give probabilities and error masks.
        tta
            Test-time augmentation: average over the image as it is and so many turned and resized ones. Each costs as much
            as the image itself.
        movie
            The slices are the frames of a movie: instances are told apart in each for itself.

        Raises
        ------
        CrganError
            If the image does not have the model's modalities, is not of real numbers or holds NaN or infinite voxels,
            if the dial is set outside 0 to 1 or to an aim that it did not reach on validation patients, or if there are more
            instances than 65,535.
        """
        refiner = None if generator_only else self.refiner
        dial = self.turned(aim=aim, fn_threshold=fn_threshold, fp_threshold=fp_threshold, generator_only=generator_only)
        exclusive, targets = self.labels.exclusive, len(self.labels.targets)
        prepared = image if isinstance(image, Prepared) else self.prepare(image, spacing_mm)
        estimate = self.estimate(prepared.image, refined=refiner is not None, case_id=case_id, tta=tta)
        working = [*estimate.generator]
        if estimate.corrected is not None:
            working.extend(estimate.corrected)
        if maps:
            working.extend(self._calibrated(estimate))

        def mark(probabilities: NDArray[np.floating], corrected: NDArray[np.floating]) -> tuple[NDArray[np.bool_], NDArray[np.integer]]:
            """The generator's decision and the label values."""
            decided = decide(probabilities, exclusive=exclusive)
            if refiner is None:
                corrected = against_rivals(probabilities, decided, exclusive=exclusive)
            return decided, self.labels.decode(decide_corrected(decided, corrected, p=dial.p, q=dial.q, exclusive=exclusive))

        nowhere = np.zeros((targets, 1, 1, 1), np.float32)  # what the networks say of places that they are not shown
        labels = np.full(prepared.geometry.original_shape, mark(nowhere, nowhere)[1])
        kept = scratch_zeros((3 if refiner is not None else 1, targets, *labels.shape), np.float32) if maps else None
        least = -np.inf if maps else least_marked(min(dial.p), targets=targets, exclusive=exclusive)
        for part, values in self.pipeline.restore_parts(working, prepared.geometry, least=least):
            probabilities, corrected = values[:targets], values[targets : 2 * targets]
            decided, labels[part] = mark(probabilities, corrected)
            if kept is not None:
                kept[0, :, *part] = values[-targets:]
                if refiner is not None:
                    kept[1, :, *part] = np.where(decided, 0, corrected)
                    kept[2, :, *part] = np.where(decided, 1 - corrected, 0)
        if self.labels.instances:
            grow = grow_in_frames if movie else grow_instances
            instances = grow(labels.astype(np.uint8, copy=False), where=f"case {case_id}" if case_id else "")
            return Segmentation(instances, *(() if kept is None else kept))
        del estimate, working  # all but the labels, before more is needed: of a large volume they are gigabytes
        limits = dial.smallest if smallest is None else smallest
        labels = drop_small(labels, self.labels, limits, prepared.geometry.original_spacing_mm)
        return Segmentation(labels, *(() if kept is None else kept))

    def turned(
        self,
        *,
        aim: str | None = None,
        fn_threshold: Thresholds | None = None,
        fp_threshold: Thresholds | None = None,
        generator_only: bool = False,
    ) -> Dial:
        """The dial as :meth:`segment` turns it."""
        dial = self.generator_dial if generator_only or self.refiner is None else self.dial
        return dial.turned(aim=aim, p=fn_threshold, q=fp_threshold)

    def estimate(self, image: NDArray[np.generic], *, refined: bool = True, case_id: str = "", tta: int = 0) -> Estimate:
        """Work out the probabilities of a prepared image ``(M, Z, Y, X)``.

        Parameters
        ----------
        image
            As the pipeline prepares it.
        refined
            Let the refiner act, if the system has one.
        case_id
            Seeds the noise channel of systems that have one, and the augmentation.
        tta
            Average over the image as it is and so many turned and resized ones.
        """
        exclusive, targets = self.labels.exclusive, len(self.labels.targets)
        views = draw_views(tta, self.config, case_id=case_id)

        def by_generator(view: View) -> Answer:
            seen = view.image(image)
            maps = generate(self.generator, seen, self.config, targets=targets, exclusive=exclusive, case_id=case_id)
            return maps, np.broadcast_to(np.True_, maps.shape[1:])

        first, _ = average(views, by_generator)
        if not refined or self.refiner is None:
            return Estimate(generator=first)
        refiner = self.refiner
        said = first if self.discriminator is None else np.concatenate([first, judge(self.discriminator, image, first, self.config)])

        def by_refiner(view: View) -> Answer:
            turned = view.there(said).astype(np.float16, copy=False)
            return refine(refiner, view.image(image), turned, self.config, targets=targets, exclusive=exclusive)

        corrected, seen = average(views, by_refiner)
        return Estimate(generator=first, corrected=corrected, seen=seen)

    def _calibrated(self, estimate: Estimate) -> NDArray[np.float16]:
        """The final probabilities, at their temperatures: the corrected ones where the refiner looked, the generator's elsewhere."""
        first = scaled(estimate.generator, self.temperatures.generator)
        if estimate.corrected is None or estimate.seen is None:
            return first
        return np.where(estimate.seen, scaled(estimate.corrected, self.temperatures.refiner), first)

    def save(self, folder: Path) -> None:
        """Write the model; ``model.json`` comes last, so a folder that has it is complete."""
        files = {}
        for name, network in self._networks().items():
            files[name + SUFFIX] = save_weights(folder / (name + SUFFIX), network)
        write_json(
            folder / _DESCRIPTION,
            {
                "format": FORMAT,
                "versions": {name: version(name) for name in ("crgan", "torch", "numpy")},
                "labels": self.labels.to_json(),
                "pipeline": self.pipeline.to_json(),
                # Where the data lay is nobody else's business.
                "config": self.config.model_copy(update={"data": DataSettings()}).model_dump(mode="json"),
                "fingerprint": self.fingerprint.to_json(),
                "dial": self.dial.to_json(),
                "generator_dial": self.generator_dial.to_json(),
                "temperatures": self.temperatures.to_json(),
                "promises": [promise.to_json() for promise in self.promises],
                "sha256": files,
            },
        )

    @classmethod
    def load(cls, path: Path | str, *, device: str = "auto") -> Model:
        """Read a model from its folder or from a run's.

        Raises
        ------
        CrganError
            If there is no model, it was written in another format, or a file is damaged.
        """
        folder = _model_folder(Path(path))
        chosen = choose_device(device)
        try:
            return cls._read(folder, chosen)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise fail(
                "The description of the model is damaged.",
                where=folder / _DESCRIPTION,
                expected="what `crgan train` wrote",
                got=f"{type(error).__name__}: {error}",
                fix="copy the model from its source again",
            ) from error

    @classmethod
    def _read(cls, folder: Path, device: torch.device) -> Model:
        description = read_json(folder / _DESCRIPTION)
        if description["format"] != FORMAT:
            raise fail(
                "The model was written in another format.",
                where=folder / _DESCRIPTION,
                expected=f"format {FORMAT}",
                got=f"format {description['format']}, by crgan {description.get('versions', {}).get('crgan', 'unknown')}",
                fix="install the version of crgan that wrote it, or train anew",
            )
        config = parse_config(description["config"], where=folder / _DESCRIPTION)
        labels = LabelScheme.from_json(description["labels"])
        pipeline = Pipeline.from_json(description["pipeline"])
        sizes: dict[str, Any] = {"modalities": len(pipeline.modalities), "targets": len(labels.targets)}
        makers: dict[str, Callable[[], nn.Module]] = {"generator": lambda: make_generator(config, **sizes, exclusive=labels.exclusive)}
        if config.has_refiner:
            makers["refiner"] = lambda: make_refiner(config, **sizes)
        if config.refinement.discriminator_map:
            makers["discriminator"] = lambda: make_discriminator(config, **sizes)
        require_whole(folder, description["sha256"], described=folder / _DESCRIPTION)
        unknown = {name + SUFFIX for name in makers} - {*description["sha256"]}
        if unknown:  # its weights could be anybody's
            raise ValueError(f"no digest of {', '.join(sorted(unknown))}")
        networks = {name: load_weights(make, folder / (name + SUFFIX), device=device) for name, make in makers.items()}
        return cls(
            generator=networks["generator"],
            refiner=networks.get("refiner"),
            discriminator=networks.get("discriminator"),
            config=config,
            labels=labels,
            pipeline=pipeline,
            fingerprint=Fingerprint.from_json(description["fingerprint"]),
            dial=_read_dial(description["dial"], labels),
            generator_dial=_read_dial(description["generator_dial"], labels),
            temperatures=_read_temperatures(description["temperatures"], labels, refined=config.has_refiner),
            promises=tuple(Promise.from_json(promise) for promise in description.get("promises", ())),
        )

    def _networks(self) -> dict[str, nn.Module]:
        networks = {"generator": self.generator, "refiner": self.refiner, "discriminator": self.discriminator}
        return {name: network for name, network in networks.items() if network is not None}


def add_promise(path: Path | str, promise: Promise) -> None:
    """Write a promise into a model's description, in place of an earlier one of the same limit."""
    description = _model_folder(Path(path)) / _DESCRIPTION
    write_json(description, with_promise(read_json(description), promise))


def with_promise(described: Mapping[str, Any], promise: Promise) -> dict[str, Any]:
    """A description that holds a promise, in place of an earlier one of the same limit."""
    others = [found for found in described.get("promises", []) if (found["max_fnr"], found["per"]) != (promise.max_fnr, promise.per)]
    return {**described, "promises": [*others, promise.to_json()]}


def model_digest(path: Path | str) -> str:
    """Tell one model from another by 64 hexadecimal digits, which change with any weight or setting and with no promise.

    Raises
    ------
    CrganError
        If there is no model.
    """
    described = {key: value for key, value in read_json(_model_folder(Path(path)) / _DESCRIPTION).items() if key != "promises"}
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def _read_dial(data: Any, labels: LabelScheme) -> Dial:
    dial = Dial.from_json(data)
    if tuple(dial.settings) != labels.targets:
        raise ValueError(f"a dial of {', '.join(dial.settings)}")
    return dial


def _read_temperatures(data: Any, labels: LabelScheme, *, refined: bool) -> Temperatures:
    found = Temperatures.from_json(data)
    for kind in (found.generator, found.refiner) if refined else (found.generator,):
        if kind and tuple(kind) != labels.targets:
            raise ValueError(f"temperatures of {', '.join(kind)}")
    return found


def _real(image: NDArray[np.generic]) -> NDArray[np.generic]:
    if image.dtype.kind not in "buif":
        raise fail("The image does not hold real numbers.", expected="an array of integers or floating-point numbers", got=str(image.dtype))
    return image.astype(np.uint8) if image.dtype.kind == "b" else image


def _model_folder(path: Path) -> Path:
    for folder in (path, path / "model"):
        if (folder / _DESCRIPTION).is_file():
            return folder
    raise fail(
        "There is no trained model here.",
        where=path,
        expected=f"a run folder of `crgan train`, or a model folder with {_DESCRIPTION}",
        got=_found_instead(path),
        fix="name the folder given to `crgan train --out`; a run that was stopped goes on with --resume",
    )


def _found_instead(path: Path) -> str:
    if not path.exists():
        return "nothing there"
    if (path / "ensemble.json").exists():
        return "an ensemble, which has no single model but those of its members"
    return "a run that has not ended" if (path / "config.yaml").exists() else "other files"
