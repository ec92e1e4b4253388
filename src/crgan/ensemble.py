"""Several trained systems as one: their probabilities are averaged, and there is one decision.

The members prepare images alike, so that they see the same voxels. The generators' probabilities are averaged, and then what the
refiners made of them, each of its own generator's (a member that did not look at a voxel stays by its generator).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.conformal import Promise
from crgan.dial import Dial, Setting
from crgan.errors import fail
from crgan.evaluation.temperature import Temperature, Temperatures
from crgan.files import read_json, write_json
from crgan.model import Estimate, Model, model_digest, with_promise
from crgan.model import add_promise as add_promise_to_model
from crgan.sweep.volumes import decide

DESCRIPTION = "ensemble.json"
MEMBERS = "members"
"""Folder of the members' runs, which are named by their numbers from 0."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ensemble(Model):
    """A system of several; its networks and settings are those of the first.

    Parameters
    ----------
    members
        At least two, with the same targets and preprocessing, all with a refiner or none.
    """

    members: tuple[Model, ...]

    def compile(self) -> None:
        """Have PyTorch compile the members; see :meth:`crgan.model.Model.compile`."""
        for member in self.members:
            member.compile()

    def estimate(self, image: NDArray[np.generic], *, refined: bool = True, case_id: str = "", tta: int = 0) -> Estimate:
        """Average what the members say of a prepared image; see :meth:`crgan.model.Model.estimate`."""
        shape = (len(self.labels.targets), *image.shape[1:])
        said, final = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        seen = np.zeros(shape[1:], bool)
        for member in self.members:
            each = member.estimate(image, refined=refined, case_id=case_id, tta=tta)
            said += each.generator
            if each.corrected is not None and each.seen is not None:
                final += np.where(each.seen, each.corrected, each.generator)
                seen |= each.seen
        first = (said / len(self.members)).astype(np.float16)
        if not refined or self.refiner is None:
            return Estimate(generator=first)
        decided = decide(first, exclusive=self.labels.exclusive)
        corrected = np.where(seen, (final / len(self.members)).astype(np.float16), decided.astype(np.float16))
        return Estimate(generator=first, corrected=corrected, seen=seen)


def join(models: Sequence[Model]) -> Ensemble:
    """Make an ensemble of models; ensembles among them bring their members.

    Its dial stands at the mean of theirs, its temperatures are their geometric mean, and it has made no promise.

    Raises
    ------
    CrganError
        If they segment other targets, prepare images otherwise, or only some have a refiner.
    """
    first, *others = models
    for number, other in enumerate(others, start=2):
        differs = [
            name
            for name, one, two in (
                ("targets", first.labels, other.labels),
                ("preprocessing", first.pipeline.to_json(), other.pipeline.to_json()),
                ("refinement", first.refiner is None, other.refiner is None),
            )
            if one != two
        ]
        if differs:
            raise fail(
                "The models cannot be averaged.",
                where=f"model {number} of {len(models)}",
                expected="the targets, preprocessing and stages of the first",
                got=f"others: {', '.join(differs)}",
                fix="train them together: crgan train DATA --out RUN --ensemble 3",
            )
    members = [member for model in models for member in (model.members if isinstance(model, Ensemble) else (model,))]
    return _of(
        members,
        dial=_mean_dial([model.dial for model in models]),
        generator_dial=_mean_dial([model.generator_dial for model in models]),
        temperatures=Temperatures(
            generator=_mean_temperatures([model.temperatures.generator for model in models]),
            refiner=_mean_temperatures([model.temperatures.refiner for model in models]),
        ),
    )


def load_model(runs: Path | str | Sequence[Path | str], *, device: str = "auto") -> Model:
    """Read a model, an ensemble, or several of either as one ensemble.

    Raises
    ------
    CrganError
        As :meth:`crgan.model.Model.load` and :func:`join`, or if the ensemble has not been trained to its end.
    """
    paths = [Path(runs)] if isinstance(runs, Path | str) else [Path(run) for run in runs]
    models = [_load_one(path, device) for path in paths]
    return models[0] if len(models) == 1 else join(models)


def digest(runs: Path | str | Sequence[Path | str]) -> str:
    """Tell models and ensembles apart as :func:`crgan.model.model_digest` does; promises change nothing."""
    paths = [Path(runs)] if isinstance(runs, Path | str) else [Path(run) for run in runs]
    parts = []
    for path in paths:
        if not is_ensemble(path):
            parts.append(model_digest(path))
            continue
        described = {key: value for key, value in read_json(path / DESCRIPTION).items() if key != "promises"}
        parts += [json.dumps(described, sort_keys=True), *(model_digest(member) for member in members_of(path))]
    return parts[0] if len(parts) == 1 else hashlib.sha256("\n".join(parts).encode()).hexdigest()


def is_ensemble(run: Path) -> bool:
    """Whether a folder holds an ensemble, finished or not."""
    return (run / DESCRIPTION).is_file()


def members_of(run: Path) -> list[Path]:
    """The members' run folders."""
    return [run / MEMBERS / str(number) for number in range(int(read_json(run / DESCRIPTION)["members"]))]


def save_ensemble(run: Path, ensemble: Ensemble) -> None:
    """Write what is chosen for the members together; they lie in their folders already."""
    write_json(
        run / DESCRIPTION,
        {
            "members": len(ensemble.members),
            "dial": ensemble.dial.to_json(),
            "generator_dial": ensemble.generator_dial.to_json(),
            "temperatures": ensemble.temperatures.to_json(),
            "promises": [promise.to_json() for promise in ensemble.promises],
        },
    )


def add_promise(run: Path, promise: Promise) -> None:
    """Write a promise into the description of a model or an ensemble, in place of an earlier one of the same limit."""
    if is_ensemble(run):
        write_json(run / DESCRIPTION, with_promise(read_json(run / DESCRIPTION), promise))
    else:
        add_promise_to_model(run, promise)


def _load_one(path: Path, device: str) -> Model:
    if not is_ensemble(path):
        return Model.load(path, device=device)
    described = read_json(path / DESCRIPTION)
    try:
        unfinished, members = "dial" not in described, members_of(path)
        if not unfinished:
            dials = [Dial.from_json(described[name]) for name in ("dial", "generator_dial")]
            temperatures = Temperatures.from_json(described["temperatures"])
            promises = tuple(Promise.from_json(promise) for promise in described["promises"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise fail(
            "The description of the ensemble is damaged.", where=path / DESCRIPTION, got=f"{type(error).__name__}: {error}"
        ) from error
    if unfinished:
        raise fail(
            "The ensemble has not been trained to its end.",
            where=path,
            fix="go on with crgan train … --resume; single members that are finished can be named instead",
        )
    ensemble = join([Model.load(member, device=device) for member in members])
    if any(tuple(dial.settings) != ensemble.labels.targets for dial in dials):
        raise fail("The description of the ensemble is damaged.", where=path / DESCRIPTION, got="a dial of other targets")
    return replace(ensemble, dial=dials[0], generator_dial=dials[1], temperatures=temperatures, promises=promises)


def _of(members: Sequence[Model], **chosen: Any) -> Ensemble:
    first = members[0]
    shared = {name: getattr(first, name) for name in ("generator", "refiner", "config", "labels", "pipeline", "fingerprint")}
    return Ensemble(**shared, **chosen, members=tuple(members))


def _mean_dial(dials: Sequence[Dial]) -> Dial:
    settings = {
        target: Setting(
            p=float(np.mean([dial.settings[target].p for dial in dials])), q=float(np.mean([dial.settings[target].q for dial in dials]))
        )
        for target in dials[0].settings
    }
    return Dial(settings=settings, curves={})


def _mean_temperatures(kinds: Sequence[Mapping[str, Temperature]]) -> Mapping[str, Temperature]:
    """Geometric means; 1 for a model that has none."""
    targets = dict.fromkeys(target for kind in kinds for target in kind)
    return {
        target: Temperature(value=float(np.exp(np.mean([np.log(kind[target].value) if target in kind else 0.0 for kind in kinds]))))
        for target in targets
    }
