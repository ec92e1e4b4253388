from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from safetensors.torch import load_file
from torch import distributed

from crgan.config import Config
from crgan.errors import CrganError
from crgan.training import processes
from crgan.training.processes import Turns, is_first, launched
from crgan.training.run import train

KILLED = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"


def dead(code: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", code])
    process.wait()
    return process


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0"}, True),
        ({"LOCAL_RANK": "1"}, False),
        ({"RANK": "2", "LOCAL_RANK": "0"}, False),
        ({"SLURM_PROCID": "3"}, False),
    ],
)
def test_the_first_process_is_known_by_the_environment(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], first: bool) -> None:
    for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert is_first() is first


def test_one_process_is_alone() -> None:
    before, fabric = dict(os.environ), Fabric(accelerator="cpu", devices=1)
    with launched(fabric):
        turns = Turns(fabric)
        turns.wait()
        turns.pass_on()
        assert not distributed.is_initialized()
    assert dict(os.environ) == before


def test_a_fault_that_is_no_others_death_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="out of memory"), launched(Fabric(accelerator="cpu", devices=1)):
        raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("code", "how"), [(KILLED, "killed by SIGKILL"), ("raise SystemExit(3)", "ended with exit code 3"), ("", "Connection closed by peer")]
)
def test_it_is_told_which_process_died_and_how(monkeypatch: pytest.MonkeyPatch, code: str, how: str) -> None:
    monkeypatch.setattr(processes, "_start_others", lambda _: [dead(code)])
    monkeypatch.setattr(processes, "_SECONDS_BETWEEN_LOOKS", 0.02)
    with pytest.raises(CrganError) as caught, launched(Fabric(accelerator="cpu", devices=1)):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer")
    (problem,) = caught.value.problems
    assert problem.got is not None
    assert how in problem.got
    assert "--resume" in (problem.fix or "")


def test_a_process_that_does_not_notice_the_death_is_ended(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    ended: list[int] = []
    monkeypatch.setattr(processes, "_start_others", lambda _: [dead(KILLED)])
    monkeypatch.setattr(processes, "_SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(processes, "_GRACE_SECONDS", 0.01)
    monkeypatch.setattr(os, "_exit", ended.append)
    with launched(Fabric(accelerator="cpu", devices=1)):
        for _ in range(500):
            if ended:
                break
            time.sleep(0.01)
    assert set(ended) == {1}
    assert "process 1 of 0 to 1" in capsys.readouterr().err


def test_a_process_that_was_started_leaves_the_message_to_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRGAN_STARTED_BY", str(os.getppid()))
    with pytest.raises(SystemExit), launched(Fabric(accelerator="cpu", devices=1)):
        raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer")


def figures(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_are_as_one_and_a_killed_one_costs_nothing(
    patients: Path, small_config: Callable[..., Config], tmp_path: Path, accumulate: int
) -> None:
    """Real processes, with a batch that they cannot share evenly; one is killed, and the run goes on."""
    settings = (
        "generator.groups=3",
        "refiner.groups=3",
        "adversarial.begin=0.4",
        "validations=3",
        f"batch.accumulate={accumulate}",
        "generator_optimisation.learning_rate=0.001",
        "generator_share=0.4",
        "precision=32-true",
        "generator_optimisation.component_dice=1",
        "refiner_optimisation.component_dice=1",
    )
    config = small_config(*settings, steps=30)
    alone = train(patients, tmp_path / "alone", config=config)

    script = tmp_path / "command.py"
    script.write_text("from crgan.cli import main\nif __name__ == '__main__':\n    main()\n", encoding="utf-8")
    together = tmp_path / "together"
    command = [
        sys.executable,
        str(script),
        "train",
        str(patients),
        "--out",
        str(together),
        "--steps",
        "30",
        "--threads",
        "1",
        "--device",
        "cpu",
    ]
    for setting in (
        *("generator.widths=[4,8,8]", "refiner.widths=[4,8,8]", "batch.length=3", "devices=2", f"data.cache={config.data.cache}"),
        *settings,
    ):
        command += ["--set", setting]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        while not (together / "checkpoints" / "adversarial" / "last.safetensors").exists():
            assert first.poll() is None, first.communicate()[1]
            time.sleep(0.02)
        children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text(encoding="utf-8").split()
        os.kill(int(children[0]), signal.SIGKILL)
        begun = time.monotonic()
        said = first.communicate(timeout=60)[1]
        assert time.monotonic() - begun < 60
    assert first.returncode == 2
    assert said.count("error: ") == 1
    assert "Another training process died" in said
    assert "killed by SIGKILL" in said

    subprocess.run([*command, "--resume"], check=True, capture_output=True, timeout=300)
    for one, two in zip(figures(alone), figures(together), strict=True):
        assert (one["stage"], one["step"]) == (two["stage"], two["step"])
        assert float(one["loss"]) == pytest.approx(float(two["loss"]), abs=1e-5)
        assert float(one["dice"]) == pytest.approx(float(two["dice"]), abs=0.01)
    for name in ("generator", "refiner"):
        ours, theirs = (load_file(run / "model" / f"{name}.safetensors") for run in (alone, together))
        assert all(torch.allclose(ours[key], theirs[key], atol=1e-4) for key in ours)
