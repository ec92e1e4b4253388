"""The state of a stage on disk: safetensors with JSON beside, so that nothing is ever unpickled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from crgan.errors import fail
from crgan.files import atomic_write


def save_state(
    path: Path, modules: Mapping[str, nn.Module], optimisers: Mapping[str, torch.optim.Optimizer], facts: Mapping[str, Any]
) -> None:
    """Write weights, optimiser states and plain facts with a digest of them all, atomically."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            tensors[f"module/{name}/{key}"] = value.detach().cpu().contiguous()
    for name, optimiser in optimisers.items():
        for number, entries in optimiser.state_dict()["state"].items():
            for key, value in entries.items():
                tensors[f"optimiser/{name}/{number}/{key}"] = torch.as_tensor(value).detach().cpu().contiguous()
    told = json.dumps(dict(facts), allow_nan=False)
    with atomic_write(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={"facts": told, "sha256": _digest(tensors, told)}))


def load_state(path: Path, modules: Mapping[str, nn.Module], optimisers: Mapping[str, torch.optim.Optimizer]) -> dict[str, Any]:
    """Read what :func:`save_state` wrote into modules and optimisers; gives the facts.

    Raises
    ------
    CrganError
        If the file is missing or damaged, or does not fit the networks and optimisers.
    """
    try:
        tensors, facts = _read(path)
        for name, module in modules.items():
            module.load_state_dict(_below(tensors, f"module/{name}/"))
        for name, optimiser in optimisers.items():
            _load_optimiser(optimiser, _below(tensors, f"optimiser/{name}/"))
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise fail(
            "The checkpoint cannot be used.",
            where=path,
            got=" ".join(str(error).split())[:200],
            fix="restore it from a copy, or train anew with --overwrite",
        ) from error
    return facts


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
    if metadata["sha256"] != _digest(tensors, metadata["facts"]):
        raise ValueError("its content is not what was written")
    return tensors, dict(json.loads(metadata["facts"]))


def _digest(tensors: Mapping[str, Tensor], told: str) -> str:
    """Digest of all that a checkpoint says: a disk that lies is found out before training goes on from it."""
    digest = hashlib.sha256(told.encode())
    for key in sorted(tensors):
        value = tensors[key]
        digest.update(f"{key} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, entry = key.split("/")
        states.setdefault(int(number), {})[entry] = value
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
