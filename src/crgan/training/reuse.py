"""A run that takes over the finished generator of another one, because the two differ in nothing but the refiner."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

from crgan.config import Config, read_config, write_config
from crgan.errors import fail
from crgan.files import atomic_write, read_json, write_json
from crgan.preprocessing.fingerprint import Fingerprint
from crgan.training.folder import DATA, SETTINGS
from crgan.training.settling import settle

_REFINEMENT = "refinement"
_OF_THE_REFINER = ("refiner", "refiner_optimisation", "refinement")
_OF_THE_MACHINE = ("device", "devices", "nodes", "threads", "logger", "recipe")


def generator_settings(config: Config) -> str:
    """All settings that a generator depends on, as one text: those of two runs are equal if they would train the same one."""
    values = config.model_dump(mode="json", exclude={*_OF_THE_REFINER, *_OF_THE_MACHINE})
    # Whose errors the refiner learns from decides which generators are trained, and for how long.
    return json.dumps({**values, "errors": config.refinement.errors if config.has_refiner else None}, sort_keys=True)


def reuse_generator(source: Path, out: Path, config: Config) -> None:
    """Begin a run with the generator of another one; ``train(..., resume=True)`` then trains its refiner.

    The generator's minutes count as if they had been spent anew: the refiner gets what is left of them.

    Parameters
    ----------
    source
        A finished run on the same data.
    out
        The run folder to make; nothing may be in it.
    config
        The settings of the new run, of a system with refiner.

    Raises
    ------
    CrganError
        If the generators would differ.
    """
    data = read_json(source / DATA)
    derived = settle(config, Fingerprint.from_json(data["fingerprint"]))
    if generator_settings(read_config(source / SETTINGS)) != generator_settings(derived):
        raise fail(
            "The two runs have different generators.", where=source, expected="settings that differ in the refiner alone", fix="train anew"
        )
    for stage in (source / "checkpoints").iterdir():
        if stage.name not in {_REFINEMENT, "probabilities"}:  # what a refiner is shown depends on its settings
            for path in stage.iterdir():
                with atomic_write(out / "checkpoints" / stage.name / path.name) as temporary:
                    shutil.copyfile(path, temporary)
    with (source / "metrics.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows, columns = [row for row in reader if row["stage"] != _REFINEMENT], reader.fieldnames or ()
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    with atomic_write(out / "metrics.csv") as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
    write_json(out / DATA, data)
    write_config(out / SETTINGS, derived)  # last, since it is what makes the folder a run that can go on
