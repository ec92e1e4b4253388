"""What this machine is told before heavy work begins: threads, memory, device."""

from __future__ import annotations

import ctypes
import platform
from contextlib import AbstractContextManager
from typing import Literal

import torch

from crgan.errors import fail

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4


def prepare_machine(threads: int | None) -> None:
    """Set the number of threads and keep freed memory in the process.

    glibc gives large tensors back to the kernel at every step, and the page faults that follow cost up to half of
    the time of a training step on a CPU. Elsewhere than under glibc nothing is changed.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def require_compiler(device: torch.device) -> None:
    """Let PyTorch compile a trifle, before work begins that needs it.

    Raises
    ------
    CrganError
        If this machine cannot.
    """
    try:
        torch.compile(torch.neg)(torch.zeros(1, device=device))
    except RuntimeError as error:
        raise fail(
            "PyTorch cannot compile networks here.",
            where=f"torch.compile, device {device}",
            expected="a C++ compiler; on a GPU Triton, too",
            got=" ".join(str(error).split())[:200],
            fix="install one (g++ or clang), or name it in the environment variable CXX; or leave --compile and compile=true out",
        ) from error


def choose_device(name: str) -> torch.device:
    """Find the device that ``name`` means; ``"auto"`` is the first GPU, or the CPU without one.

    Raises
    ------
    CrganError
        If there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise fail(
            "The device cannot be used.",
            where=f"--device {name}",
            expected="auto, cpu, cuda, cuda:1, mps …",
            got=str(error).splitlines()[0],
            fix="leave --device out, or choose one that this machine and this build of PyTorch have",
        ) from error
    return device


def choose_precision(name: Literal["auto"] | Precision, device: torch.device) -> Precision:
    """Find the number format of networks; ``"auto"`` is bf16-mixed on devices that multiply bfloat16 in hardware, else 32-true.

    The others imitate it, more slowly than they compute in 32 bits.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        tell = getattr(torch.cpu, "get_capabilities", None)  # older PyTorch cannot
        able = tell() if tell is not None and device.type == "cpu" else {}
        fast = bool(able.get("avx512_bf16") or able.get("amx_bf16"))
    return "bf16-mixed" if fast else "32-true"


def computing_in(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Have networks multiply in a number format, within a ``with``; whatever needs 32 bits keeps them."""
    dtype = torch.float16 if precision == "16-mixed" else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype, enabled=precision != "32-true")
