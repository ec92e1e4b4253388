"""A study of two systems on small patients, with scores that are made up where only tables are looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

SMALL = [
    *("generator.widths=[4,8,8]", "refiner.widths=[4,8,8]", "generator.groups=2", "refiner.groups=2", "validations=1", "batch.length=3"),
]


@pytest.fixture(scope="session")
def write_study() -> Callable[..., Path]:
    def write(path: Path, **values: object) -> Path:
        standard = {"steps": 4, "threads": 1, "systems": ["unet", "unet+refinement"], "set": SMALL}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump({name: value for name, value in (standard | values).items() if value is not None}), encoding="utf-8")
        return path

    return write
