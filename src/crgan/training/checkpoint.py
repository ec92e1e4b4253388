"""The state of a stage on disk: safetensors with JSON beside, so that nothing is ever unpickled."""

from __future__ import annotations

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
    """Write weights, optimiser states and plain facts, atomically."""
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            tensors[f"module/{name}/{key}"] = value.detach().cpu().contiguous()
    for name, optimiser in optimisers.items():
        for number, entries in optimiser.state_dict()["state"].items():
            for key, value in entries.items():
                tensors[f"optimiser/{name}/{number}/{key}"] = torch.as_tensor(value).detach().cpu().contiguous()
    with atomic_write(path) as temporary:
        temporary.write_bytes(save(tensors, metadata={"facts": json.dumps(dict(facts), allow_nan=False)}))


def load_state(path: Path, modules: Mapping[str, nn.Module], optimisers: Mapping[str, torch.optim.Optimizer]) -> dict[str, Any]:
    """Read what :func:`save_state` wrote into modules and optimisers; gives the facts.

    Raises
    ------
    CrganError
        If the file is missing or damaged, or does not fit the networks and optimisers.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {})["facts"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping
        for name, module in modules.items():
            module.load_state_dict(_below(tensors, f"module/{name}/"))
        for name, optimiser in optimisers.items():
            _load_optimiser(optimiser, _below(tensors, f"optimiser/{name}/"))
        return dict(facts)
    except (OSError, SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise fail(
            "The checkpoint cannot be used.",
            where=path,
            got=" ".join(str(error).split())[:200],
            fix="restore it from a copy, or train anew with --overwrite",
        ) from error


def _load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, entry = key.split("/")
        states.setdefault(int(number), {})[entry] = value
    optimiser.load_state_dict({"state": states, "param_groups": optimiser.state_dict()["param_groups"]})


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
