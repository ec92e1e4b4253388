"""Which versions made a page, and when: what it takes to make it again."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version

LIBRARIES = ("numpy", "scipy", "connected-components-3d", "nibabel", "SimpleITK")
"""What figures of an evaluation depend on."""


def versions(libraries: Iterable[str] = LIBRARIES) -> str:
    """``crgan 0.1.0, numpy 2.3.1, Python 3.12.4``: of crgan, of these distributions and of Python."""
    return ", ".join(f"{name} {version(name)}" for name in ("crgan", *libraries)) + f", Python {platform.python_version()}"


def today() -> str:
    """Date and time of now, ``2026-11-24 16:08 UTC``."""
    return datetime.now(tz=UTC).strftime("%Y-%m-%d %H:%M UTC")
