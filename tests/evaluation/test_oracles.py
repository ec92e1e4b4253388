"""A part of `benchmarks/metric_oracles.py`: all nasty cases, and some of the random ones."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def oracles(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("metric_oracles", repository / "benchmarks" / "metric_oracles.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules["metric_oracles"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_metric_agrees_with_independent_implementations(oracles: ModuleType) -> None:
    compared: dict[tuple[str, str], int] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for trial in [*oracles.nasty_trials(), *oracles.random_trials(25)]:
            for finding in oracles.findings(trial):
                assert finding.difference <= finding.allowed, (trial.name, finding)
                compared[finding.metric, finding.oracle] = compared.get((finding.metric, finding.oracle), 0) + 1
    assert min(compared.values()) >= 5
    assert len({metric for metric, _ in compared}) >= 40
