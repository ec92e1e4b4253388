"""The weights of a network on disk: safetensors, held to a digest, and read only if they are what the network has room for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn

from crgan.errors import fail
from crgan.files import atomic_write

SUFFIX = ".safetensors"

_Network = TypeVar("_Network", bound=nn.Module)


def save_weights(path: Path, network: nn.Module) -> str:
    """Write the weights, atomically; gives the SHA-256 of the file."""
    tensors = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    with atomic_write(path) as temporary:
        temporary.write_bytes(save(tensors))
    return file_digest(path)


def load_weights(make: Callable[[], _Network], path: Path, *, device: torch.device) -> _Network:
    """Make a network and give it the weights of a file, for inference.

    The sizes that the file declares are compared with those of the network before memory is taken for either: a description
    that asks for a network larger than its file costs an error.

    Parameters
    ----------
    make
        Makes the network.
    path
        What :func:`save_weights` wrote.
    device
        Where the network is to be.

    Raises
    ------
    CrganError
        If the file cannot be read or holds other tensors than the network.
    """
    try:
        _compare_sizes(make, path)
        network = make()
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OverflowError, TypeError, OSError, ValueError) as error:
        told = str(error).splitlines()[0][:300]  # PyTorch adds a stack of its own
        raise fail("The weights do not fit the model.", where=path, got=told, fix="copy the model again") from error
    return network.to(device).eval()


def _compare_sizes(make: Callable[[], nn.Module], path: Path) -> None:
    """Raise ValueError unless the tensors of a file have the names and sizes of a network's."""
    with torch.device("meta"):  # where tensors have a size and no memory
        wanted = {key: tuple(value.shape) for key, value in make().state_dict().items()}
    with safe_open(path, framework="pt") as file:
        found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118 - not a mapping
    if found != wanted:
        key = min(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
        raise ValueError(f"{key}: {found.get(key, 'nothing')} in the file, {wanted.get(key, 'nothing')} in the network")


def require_whole(folder: Path, digests: Mapping[str, str], *, described: Path) -> None:
    """Hold every file of weights in a folder to its digest.

    Parameters
    ----------
    folder
        Where the files lie.
    digests
        SHA-256 by file name.
    described
        The file that says so, to name in an error.

    Raises
    ------
    CrganError
        If a file is missing or has another content, or a name leads out of the folder.
    """
    for name, digest in digests.items():
        if Path(name).name != name or not name.endswith(SUFFIX):
            raise fail(
                "The description of the model names a file that is none of its own.",
                where=described,
                expected=f"names that end in {SUFFIX}, without a folder",
                got=repr(name)[:200],
                fix="do not use this model; get it again from somebody you trust",
            )
        if not (folder / name).is_file() or file_digest(folder / name) != digest:
            raise fail("A file of the model is missing or damaged.", where=folder / name, fix="copy the model from its source again")


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
