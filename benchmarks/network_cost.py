"""Print what the networks of the default settings hold, see and cost: `python benchmarks/network_cost.py`.

Everything is counted from the modules themselves: parameters one by one, multiply-adds of every convolution that a pass
runs, and the receptive field by following gradients back from a pixel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from crgan.config import Config, load_config
from crgan.networks.build import make_discriminator, make_generator, make_refiner
from crgan.networks.normalization import PatientNorm
from crgan.planning import derive_settings
from crgan.preprocessing.fingerprint import Fingerprint, Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Data that the default sizes are derived from: prepared voxels (z, y, x), and the box around what is segmented."""

    name: str
    shape: tuple[float, float, float]
    spacing_mm: tuple[float, float, float]
    extent: tuple[float, float, float]
    modalities: int
    targets: int
    exclusive: bool


TASKS = (
    Task(name="hippocampus", shape=(36, 50, 35), spacing_mm=(1, 1, 1), extent=(20, 38, 18), modalities=1, targets=2, exclusive=True),
    Task(name="brain tumour", shape=(140, 172, 136), spacing_mm=(1, 1, 1), extent=(60, 70, 60), modalities=4, targets=3, exclusive=False),
    Task(
        name="heart, thick slices",
        shape=(10, 240, 216),
        spacing_mm=(10, 1.4, 1.4),
        extent=(8, 78, 80),
        modalities=1,
        targets=3,
        exclusive=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One network.

    Parameters
    ----------
    parameters
        Learned numbers.
    receptive_field
        Rows that a pixel's logit depends on within its own slice, at most, in the network's pixels.
    multiply_adds
        Of all convolutions, for each of the network's pixels in a further slice of a sequence.
    """

    parameters: int
    receptive_field: int
    multiply_adds: float


def derived(task: Task, *, system: str = "rnn-cgan+refinement") -> Config:
    """The default settings for a task."""
    fingerprint = Fingerprint(
        modalities=tuple(f"m{number}" for number in range(task.modalities)),
        cases=100,
        patients=100,
        labelled=100,
        shape=Range(low=task.shape, median=task.shape, high=task.shape),
        spacing_mm=Range(low=task.spacing_mm, median=task.spacing_mm, high=task.spacing_mm),
        codes=(),
        foreground_share=prod(task.extent) / prod(task.shape) / 2,
        foreground_extent=task.extent,
    )
    return derive_settings(load_config(system=system), fingerprint)


def network_costs(config: Config, *, modalities: int, targets: int, exclusive: bool) -> dict[str, Cost]:
    """What each network that the settings' system trains costs."""
    generator = make_generator(config, modalities=modalities, targets=targets, exclusive=exclusive)
    costs = {"G": _cost(generator, [modalities + config.noise_channel])}
    if config.has_discriminator:
        discriminator = make_discriminator(config, modalities=modalities, targets=targets)
        costs["D"] = _cost(discriminator, [modalities, targets])
    if config.has_refiner:
        refiner = make_refiner(config, modalities=modalities, targets=targets)
        costs["R"] = _cost(refiner, [modalities + targets])
    return costs


def multiply_adds(network: nn.Module, shapes: Sequence[tuple[int, ...]]) -> int:
    """Count the multiply-adds of every convolution that runs in one pass over inputs of these shapes."""
    total = 0

    def count(module: nn.Conv2d, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += output.numel() * module.weight[0].numel()

    hooks = [module.register_forward_hook(count) for module in network.modules() if isinstance(module, nn.Conv2d)]
    with torch.inference_mode():
        network(*(torch.zeros(shape) for shape in shapes))
    for hook in hooks:
        hook.remove()
    return total


def receptive_field(network: nn.Module, channels: Sequence[int], *, block: int) -> int:
    """Rows of the input that one pixel's logit depends on, the most of any pixel, within its own slice.

    What a pixel depends on is where its gradient is not zero. So that no two ways cancel each other, all weights are made
    positive; and normalisation works with frozen statistics, as it does at prediction: otherwise everything depends on
    everything.

    Parameters
    ----------
    network
        Is changed.
    channels
        Of each input.
    block
        Pixels after which the dependencies of a row of pixels repeat: 2 for each halving of the grid.
    """
    size = 24 * block
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(1 / prod(parameter.shape[1:]))
    with _indifferent_normalisation(network):
        inputs = [torch.full((1, 1, count, block, size), 0.1, requires_grad=True) for count in channels]
        logits = network(*inputs)
        widest = 0
        for pixel in range(size // 2, size // 2 + block):
            gradients = torch.autograd.grad(logits[..., pixel].sum(), inputs, retain_graph=True)
            seen = torch.cat([gradient.flatten(0, 3) for gradient in gradients]).abs().sum(0).nonzero().flatten()
            widest = max(widest, int(seen[-1] - seen[0]) + 1)
    return widest


@contextmanager
def _indifferent_normalisation(network: nn.Module) -> Iterator[None]:
    """Frozen statistics that change nothing."""
    layers = [module for module in network.modules() if isinstance(module, PatientNorm)]
    for layer in layers:
        layer.frozen = (torch.zeros(1, len(layer.bias)), torch.ones(1, len(layer.bias)))
    yield
    for layer in layers:
        layer.frozen = None


def _cost(network: nn.Module, channels: Sequence[int]) -> Cost:
    block = 2 ** sum(module.stride == (2, 2) for module in network.modules() if isinstance(module, nn.Conv2d))
    # The smallest size will do, because cost grows with pixels. The first slice is cheaper: there is nothing to remember yet.
    two, three = (multiply_adds(network, [(1, length, count, block, block) for count in channels]) for length in (2, 3))
    return Cost(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        multiply_adds=(three - two) / block**2,
        receptive_field=receptive_field(network, channels, block=block),
    )


def table(tasks: Sequence[Task] = TASKS) -> str:
    """The costs as a Markdown table."""
    lines = [
        "| data | network | a pixel is | channels | parameters | receptive field | multiply-adds per pixel | of G's |",
        "|---|---|---|---|---:|---:|---:|---:|",
    ]
    for task in tasks:
        config = derived(task)
        costs = network_costs(config, modalities=task.modalities, targets=task.targets, exclusive=task.exclusive)
        for name, cost in costs.items():
            settings = config.refiner if name == "R" else config.generator
            widths = config.adversarial.widths if name == "D" else settings.widths or ()
            cells = [
                task.name if name == "G" else "",
                name,
                "a voxel" if settings.coarseness == 1 else f"{settings.coarseness} × {settings.coarseness} voxels",
                f"{', '.join(map(str, widths))}; LSTM {widths[-1] if name == 'D' else settings.recurrent_width}",
                f"{cost.parameters:,}",
                f"{cost.receptive_field} × {cost.receptive_field}",
                f"{cost.multiply_adds:,.0f}",
                f"{cost.multiply_adds / costs['G'].multiply_adds:.0%}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
