"""What the machine is told before work begins."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from crgan.errors import CrganError
from crgan.machine import choose_device, choose_precision, prepare_machine, require_compiler


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What the allocator was told."""
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: SimpleNamespace(mallopt=lambda option, value: calls.append((option, value))))
    return calls


def test_threads_are_set_if_wanted(told: list[tuple[int, int]]) -> None:
    prepare_machine(1)
    assert torch.get_num_threads() == 1
    prepare_machine(2)
    assert torch.get_num_threads() == 2
    prepare_machine(None)
    assert torch.get_num_threads() == 2


def test_freed_memory_stays_in_the_process_under_glibc(told: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("glibc", "2.39"))
    prepare_machine(None)
    # M_MMAP_MAX (-4): no allocation by mmap, which is given back when freed; M_TRIM_THRESHOLD (-1): nothing given back from the heap's end.
    assert told == [(-4, 0), (-1, 2**31 - 1)]


@pytest.mark.parametrize("library", [("", ""), ("musl", "1.2")])
def test_other_allocators_are_left_alone(told: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch, library: tuple[str, str]) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: library)
    prepare_machine(None)
    assert told == []


def test_the_arithmetic_of_the_process_is_left_alone(told: list[tuple[int, int]]) -> None:
    prepare_machine(None)
    assert 5e-324 * 1.0 > 0  # flushing tiny numbers to zero would change what a caller's own code computes


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_the_real_allocator_takes_it() -> None:
    prepare_machine(None)
    assert torch.zeros(3_000_000).sum() == 0


@pytest.mark.parametrize(("there", "expected"), [(True, "cuda"), (False, "cpu")])
def test_auto_is_the_gpu_or_else_the_processor(there: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device("auto") == torch.device(expected)


def test_the_processor_is_always_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gpu0", "", "cuda:99", "cpu:x"])
def test_a_device_that_is_not_there_is_told(name: str) -> None:
    with pytest.raises(CrganError) as caught:
        choose_device(name)
    (problem,) = caught.value.problems
    assert problem.where == f"--device {name}"
    assert "cpu" in str(problem.expected)
    assert problem.got
    assert "\n" not in str(problem.got)


@pytest.mark.parametrize(
    ("able", "precision"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bf16-mixed"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bf16-mixed"),
        ({"avx512_bf16": False, "avx2": True}, "32-true"),
        ({"sve": True}, "32-true"),
    ],
)
def test_a_processor_trains_in_bfloat16_if_it_has_it(able: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert choose_precision("auto", torch.device("cpu")) == precision
    assert choose_precision("32-true", torch.device("cpu")) == "32-true"
    assert choose_precision("16-mixed", torch.device("cpu")) == "16-mixed"


def test_a_processor_of_which_nothing_is_known_trains_in_32_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert choose_precision("auto", torch.device("cpu")) == "32-true"


@pytest.mark.parametrize(("able", "precision"), [(True, "bf16-mixed"), (False, "32-true")])
def test_a_gpu_trains_in_bfloat16_if_it_has_it(*, able: bool, precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: able and not including_emulation)
    assert choose_precision("auto", torch.device("cuda")) == precision
    assert choose_precision("auto", torch.device("mps")) == "32-true"


@pytest.mark.slow
def test_what_can_be_compiled_is() -> None:
    require_compiler(torch.device("cpu"))


@pytest.mark.slow
def test_a_machine_without_a_compiler_is_told_how_to_get_one(tmp_path: Path) -> None:
    """In a process of its own, which has compiled nothing yet."""
    script = "import torch, crgan.machine; crgan.machine.require_compiler(torch.device('cpu'))"
    environment = {**os.environ, "CXX": str(tmp_path / "none"), "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    found = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert "CrganError" in found.stderr
    assert "PyTorch cannot compile networks here" in found.stderr
    assert "install one (g++ or clang)" in found.stderr


def test_a_compiler_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: object) -> None:
        raise RuntimeError("InvalidCxxCompiler:\n  No working C++ compiler found")

    monkeypatch.setattr(torch, "compile", fails)
    with pytest.raises(CrganError, match=r"cannot compile[\s\S]*InvalidCxxCompiler: No working[\s\S]*leave --compile"):
        require_compiler(torch.device("cpu"))
