from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from crgan.config import load_config
from crgan.errors import CrganError
from crgan.study.record import Record, read_record, settings_digest

MakeRecord = Callable[..., Record]
ROWS = {kind: {"x": {"a_1": 1 / 3, "a_2": None}, "y": {"a_1": 0.5, "a_2": 0.25}} for kind in ("system", "generator")}


def test_what_is_written_is_read(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record(ROWS, settings="abc")
    record.write(tmp_path / "result.json")
    read = read_record(tmp_path / "result.json", settings="abc")
    assert (read.settings, read.trained_on, read.minutes, read.dial, read.versions) == (
        "abc",
        5,
        2.0,
        {"x": (0.4, 0.6), "y": (0.4, 0.6)},
        {"crgan": "0"},
    )
    assert (read.journal, read.dial_sweep) == (record.journal, record.dial_sweep)
    for kind, row in record.rows.items():
        assert read.rows[kind].test == row.test
        assert read.rows[kind].validation == row.validation
        assert read.rows[kind].scores.patients == {"a_1": "a", "a_2": "a"}
        assert read.rows[kind].scores.cases["a_1"]["x"] == pytest.approx({"dice": 1 / 3, "fnr": 2 / 3}, rel=1e-4)
        assert read.rows[kind].scores.cases["a_2"]["x"] == {"dice": None, "fnr": None}


def test_a_system_without_refiner_has_no_dial_to_sweep(make_record: MakeRecord, tmp_path: Path) -> None:
    make_record({"system": ROWS["system"]}, settings="abc").write(tmp_path / "r.json")
    read = read_record(tmp_path / "r.json", settings="abc")
    assert (read.dial_sweep, [*read.rows]) == (None, ["system"])


def test_a_record_of_other_settings_is_not_taken_for_this_job(make_record: MakeRecord, tmp_path: Path) -> None:
    make_record(ROWS, settings="abc").write(tmp_path / "r.json")
    with pytest.raises(CrganError, match="other settings"):
        read_record(tmp_path / "r.json", settings="abd")


@pytest.mark.parametrize("damage", [lambda data: data.pop("rows"), lambda data: data.update(rows=[]), lambda data: data.update(dial=0.5)])
def test_a_damaged_record_is_told(make_record: MakeRecord, tmp_path: Path, damage: Callable[[dict], object]) -> None:
    path = tmp_path / "r.json"
    make_record(ROWS, settings="abc").write(path)
    data = json.loads(path.read_text())
    damage(data)
    path.write_text(json.dumps(data))
    with pytest.raises(CrganError, match="cannot be used"):
        read_record(path, settings="abc")


def test_the_digest_is_of_what_matters() -> None:
    first = settings_digest(load_config(steps=4, seed=1))
    assert first == settings_digest(load_config(steps=4, seed=1, threads=7, device="cpu", **{"data.split": Path("elsewhere.json")}))
    assert first != settings_digest(load_config(steps=5, seed=1))
    assert first != settings_digest(load_config(steps=4, seed=1, **{"data.fold": 1, "data.split": Path("elsewhere.json")}))
