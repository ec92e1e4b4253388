"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# The same examples on every machine and in every run: a failure is never a matter of luck, and slow machines are no failure.
settings.register_profile("crgan", derandomize=True, deadline=None)
settings.load_profile("crgan")


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data(repository: Path) -> Path:
    """Real images beside the repository; tests that ask for them are skipped where there are none."""
    folder = repository.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs real images in ../shared/data, which is not there")
    return folder
