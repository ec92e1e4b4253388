"""Print the least time that a prediction can take on this machine: `python benchmarks/inference_floor.py [--threads 2]`.

Measured are what the processor's convolutions reach in each number format, on the layers of the default networks, and how fast
memory is copied; each figure is the best of several tries. Counted are the floating-point operations (two for a multiply-add) of a
generator's pass over every window of a volume, and of a refiner's pass over one of its tiles. Operations over the rate of 32 bits is
the floor: reading, writing, and everything that is not a convolution come on top.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from math import prod

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from crgan.config import NetworkSettings, Plane
from crgan.machine import prepare_machine
from crgan.networks.build import make_generator, make_refiner
from crgan.networks.normalization import patient_statistics, recording_statistics
from crgan.sweep.windows import covering_windows
from network_cost import TASKS, Task, derived

FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
# Channels in and out, kernel, stride and side of the input of layers that take most of the time.
LAYERS = ((4, 32, 5, 2, 128), (32, 64, 5, 2, 64), (64, 96, 5, 2, 32), (96, 64, 3, 1, 32), (64, 32, 3, 1, 64), (32, 16, 3, 1, 128))
CT = Task(
    name="liver, CT at 1.5 mm",
    shape=(200, 253, 253),
    spacing_mm=(1.5,) * 3,
    extent=(120, 110, 130),
    modalities=1,
    targets=2,
    exclusive=False,
)
VOLUMES = (next(task for task in TASKS if task.name == "brain tumour"), CT)


def best(work: Callable[[], object], tries: int = 7) -> float:
    """The shortest of several times, in seconds."""
    work()
    times = []
    for _ in range(tries):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return min(times)


def convolution_rate(dtype: torch.dtype) -> float:
    """Floating-point operations a second, over all layers."""
    operations = seconds = 0.0
    for channels, width, kernel, stride, side in LAYERS:
        layer = nn.Conv2d(channels, width, kernel, stride, kernel // 2, bias=False).to(dtype, memory_format=torch.channels_last)
        x = torch.randn(16, channels, side, side).to(dtype).contiguous(memory_format=torch.channels_last)
        operations += 2 * layer(x).numel() * prod(layer.weight.shape[1:])
        seconds += best(lambda layer=layer, x=x: layer(x))
    return operations / seconds


def copy_rate() -> float:
    """Bytes read and written a second."""
    source, target = torch.zeros(1 << 27), torch.zeros(1 << 27)
    return 2 * source.numel() * 4 / best(lambda: target.copy_(source))


def pass_operations(network: nn.Module, channels: int, length: int, tile: tuple[int, int]) -> int:
    """Operations of one window, with the patient's statistics fixed; nothing is computed."""
    network = network.to("meta")
    x, valid = torch.zeros(1, length, channels, *tile, device="meta"), torch.ones(1, length, 1, *tile, device="meta")
    with patient_statistics(network):
        with recording_statistics(network):
            network(x, valid)
        with FlopCounterMode(display=False) as counter:
            network(x, valid)
    return counter.get_total_flops()


def rows(task: Task, rate: float) -> list[str]:
    """The floor of a task: of the generator for each plane, and of the refiner for a tile."""
    config = derived(task)
    sizes = {"modalities": task.modalities, "targets": task.targets}
    generator = make_generator(config, **sizes, exclusive=task.exclusive).eval()
    refiner = make_refiner(config, **sizes).eval()
    z, y, x = (round(side) for side in task.shape)
    length = config.batch.length or 1
    shapes: dict[Plane, tuple[int, int, int]] = {"axial": (z, y, x), "coronal": (y, z, x), "sagittal": (x, z, y)}
    lines = []
    for plane in config.planes or ():
        tile = _tile(config.generator, shapes[plane][1:])
        windows = len(covering_windows(shapes[plane], length=length, tile=tile))
        coarse = tile[0] // (config.generator.coarseness or 1), tile[1] // (config.generator.coarseness or 1)
        operations = windows * pass_operations(generator, task.modalities, length, coarse)
        lines.append(f"| {task.name} | generator, {plane} | {windows} windows | {operations / 1e9:,.0f} | {operations / rate:.2f} |")
        crop = (config.refiner.crops or {})[plane]
        operations = pass_operations(refiner, task.modalities + task.targets, length, crop)
        lines.append(
            f"| {task.name} | refiner, {plane} | 1 tile of {crop[0]} × {crop[1]} | {operations / 1e9:,.1f} | {operations / rate:.3f} |"
        )
    return lines


def _tile(settings: NetworkSettings, size: tuple[int, ...]) -> tuple[int, int]:
    step = (settings.coarseness or 1) * 2 ** (len(settings.widths or ()) - 1)
    rows, columns = (step * -(-side // step) for side in size)
    return rows, columns


def main() -> None:
    """Measure and count."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    prepare_machine(parser.parse_args().threads)
    with torch.inference_mode():
        rates = {name: convolution_rate(dtype) for name, dtype in FORMATS.items()}
        for name, rate in rates.items():
            print(f"convolutions in {name}: {rate / 1e9:.0f} GFLOP/s")
        print(f"copying: {copy_rate() / 1e9:.1f} GB/s\n")
        print("| volume | network | | GFLOP | s at least |\n|---|---|---|---:|---:|")
        for task in VOLUMES:
            print("\n".join(rows(task, rates["float32"])))


if __name__ == "__main__":
    main()
