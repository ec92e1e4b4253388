"""A study whose trainings run on the workers of a real Dask cluster, one of which takes over another's generator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from crgan.cli import app

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_the_trainings_of_a_study_run_on_a_cluster(patients: Path, tmp_path: Path) -> None:
    (tmp_path / "split.json").write_text(json.dumps({"train": ["p0", "p1"], "test": ["p2", "p3"]}), encoding="utf-8")
    study = {
        "steps": 4,
        "threads": 1,
        "set": ["generator.widths=[4,8]", "refiner.widths=[4,8]", "generator.groups=2", "refiner.groups=2", "validations=1"],
        "systems": ["unet+refinement", {"name": "from scratch", "system": "unet+refinement", "set": ["refinement.warm_start=false"]}],
        "sets": {"balls": {"data": str(patients), "split": "split.json"}},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    command = ["study", str(tmp_path / "study.yaml"), "--out", str(tmp_path / "cluster")]
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster:
        result = CliRunner().invoke(app, [*command, "--scheduler", cluster.scheduler_address])
    assert result.exit_code == 0, result.output
    command[-1] = str(tmp_path / "local")
    assert CliRunner().invoke(app, command).exit_code == 0
    assert (tmp_path / "cluster/tables.csv").read_bytes() == (tmp_path / "local/tables.csv").read_bytes()
    refiners = [tmp_path / "cluster/balls" / name / "seed0/run/checkpoints" for name in ("unet+refinement", "from-scratch")]
    assert len({(run / "adversarial/best.safetensors").read_bytes() for run in refiners}) == 1


def test_a_cluster_has_the_workers_it_has(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["study", "study.yaml", "--out", str(tmp_path), "--jobs", "2", "--scheduler", "tcp://127.0.0.1:1"])
    assert result.exit_code == 2
    assert "leave --jobs out" in result.output
