from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from crgan.errors import CrganError
from crgan.training.journal import Journal

HEADER = "stage,step,seconds,loss,judge,deceive,dice,fnr\n"


@pytest.fixture
def fabric() -> SimpleNamespace:
    told = []
    return SimpleNamespace(is_global_zero=True, told=told, log_dict=lambda figures, step: told.append((figures, step)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.csv"


def test_figures_become_a_row_and_go_to_the_loggers(path: Path, fabric: SimpleNamespace) -> None:
    Journal(path, fabric).add("adversarial", 5, 12.34, {"loss": 0.123456789, "dice": 1.0, "extra": 3.0})
    assert path.read_text(encoding="utf-8") == HEADER + "adversarial,5,12.3,0.123457,,,1,\n"
    assert fabric.told == [({"adversarial/loss": 0.123456789, "adversarial/dice": 1.0, "adversarial/extra": 3.0}, 5)]


def test_rows_of_an_earlier_process_stay(path: Path, fabric: SimpleNamespace) -> None:
    Journal(path, fabric).add("adversarial", 5, 1, {"loss": 2.0})
    Journal(path, fabric).add("refinement", 3, 2, {"loss": 1.0})
    assert path.read_text(encoding="utf-8") == HEADER + "adversarial,5,1.0,2,,,,\nrefinement,3,2.0,1,,,,\n"


def test_what_is_going_to_happen_again_is_forgotten(path: Path, fabric: SimpleNamespace) -> None:
    first = Journal(path, fabric)
    for stage, step in (("adversarial", 2), ("adversarial", 4), ("refinement", 2), ("refinement", 4)):
        first.add(stage, step, 1, {})
    second = Journal(path, fabric)
    second.rewind("refinement", 2)
    assert [(row["stage"], row["step"]) for row in second.rows] == [("adversarial", "2"), ("adversarial", "4"), ("refinement", "2")]
    second.rewind("refinement", 0)
    second.add("refinement", 3, 1, {})
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[:2] for line in lines[1:]] == [["adversarial", "2"], ["adversarial", "4"], ["refinement", "3"]]


def test_only_one_process_writes(path: Path, fabric: SimpleNamespace) -> None:
    fabric.is_global_zero = False
    Journal(path, fabric).add("adversarial", 1, 1, {})
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    [
        b"stage;step;loss\nadversarial;1;2\n",  # a spreadsheet that separates by semicolons
        HEADER.encode() + b"adversarial,one,1,2,,,,\n",
        HEADER.encode() + b"adversarial,1\n",
        HEADER.encode() + b"adversarial,1,1,2,,,,,,9\n",
        b"\xff\xfe\x00",
        b"\x00\x01\x02\n\x00",
    ],
)
def test_a_file_that_another_program_changed_is_told(path: Path, fabric: SimpleNamespace, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(CrganError, match=r"metrics\.csv"):
        Journal(path, fabric)
    assert path.read_bytes() == content
