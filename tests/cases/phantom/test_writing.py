from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path

import pytest

from crgan.cases.phantom import write_brains, write_livers
from crgan.errors import CrganError


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"count": 0}, "at least 1"),
        ({"count": 1, "shape": (32, 31, 32)}, "32 × 31 × 32"),
        ({"count": 1, "seed": -1}, "seed"),
    ],
)
def test_settings_out_of_range_are_told(tmp_path: Path, settings: dict[str, object], told: str) -> None:
    with pytest.raises(CrganError, match=told):
        write_brains(tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(CrganError, match="not empty"):
        write_brains(tmp_path, count=1, shape=(32, 32, 32))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_progress_counts_patients(tmp_path: Path) -> None:
    told: list[object] = []

    class Listener:
        @contextmanager
        def task(self, name: str, total: int):
            told.append((name, total))
            yield self

        def advance(self, n: int = 1, **figures: float) -> None:
            told.append(n)

        def note(self, text: str) -> None:
            told.append(text)

    write_brains(tmp_path, count=2, shape=(32, 32, 32), progress=Listener())
    assert told == [("drawing", 2), 1, 1]


def test_a_layout_that_does_not_exist_is_told_with_those_that_fit(tmp_path: Path) -> None:
    with pytest.raises(CrganError, match="lits, manifest, msd"):
        write_livers(tmp_path / "out", count=1, shape=(32, 32, 32), layout="shoebox")
    assert not (tmp_path / "out").exists()
