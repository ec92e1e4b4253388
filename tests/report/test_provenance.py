from __future__ import annotations

import platform
import re
from importlib.metadata import version

from crgan.report.provenance import today, versions


def test_versions_are_those_installed() -> None:
    assert versions(["numpy"]) == f"crgan {version('crgan')}, numpy {version('numpy')}, Python {platform.python_version()}"


def test_date_is_in_universal_time() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", today())
