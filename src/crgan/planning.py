"""Sizes of networks, crops and batches, derived from what the training data are like."""

from __future__ import annotations

from math import ceil, prod

from crgan.config import Axis, Config, NetworkSettings, Plane
from crgan.preprocessing.fingerprint import Fingerprint

# Smaller steps make more of them in the same minutes. Measured by validation in training patients, at equal pixels in all: on acdc
# 400 steps of 143,000 pixels were better than 200 of 287,000, on hippocampus 300 of 61,000 better than 150 of 123,000 and than 600
# of 31,000.
_PIXELS_A_STEP = 60_000
_MAX_GROUPS = 8
# Volumes at least this large in plane are first looked at with half the resolution. Pictures are not: they are few pixels, and what
# parts cells that touch is one or two of them wide.
_COARSE_FROM = 96
_MAX_CROP = 192
# Of the deepest channels so many make one of the ConvLSTM. Where the grid is halved less than four times it sees so many pixels that
# with half the channels it would be the dearest part of the network, and the steps that it costs are worth more (docs/method.md).
_CHANNELS_TO_ONE_RECURRENT, _IN_DEEP_NETWORKS = 4, 2
_DEEP_FROM = 4  # halvings
# A refiner that sees what its generator cannot deserves most of the time, and to learn from errors on patients that the generator
# has not seen; one that sees the same adds little, and both cost the generator more than they bring (docs/method.md).
_SHARE_OF_A_COARSE_GENERATOR, _SHARE_OF_A_FINE_GENERATOR = 0.4, 0.7
_ENOUGH_FOR_FOLDS = 20  # patients: a generator that has seen half of fewer errs in other ways
_TILE_LIMITS = (32, 128)
_TILE_MARGIN = 1.3  # a tile is this much larger than what it is centred on


def derive_settings(config: Config, fingerprint: Fingerprint) -> Config:
    """Fill in every setting that the user left to the data.

    Parameters
    ----------
    config
        Settings with ``None`` where the data decide.
    fingerprint
        Of the prepared training cases.

    Returns
    -------
    Config
        The same settings without ``None`` among those of planes, sequences and networks.
    """
    planes = config.planes or _planes(fingerprint)
    isotropic = len(planes) > 1
    flat = fingerprint.shape.median[0] == 1
    length = config.batch.length or (1 if flat else 8 if isotropic else 5)
    batch = config.batch.model_copy(update={"length": length})
    # Cells lie any way round; organs do not, and networks that saw them mirrored knew them less well (docs/method.md).
    mirror: tuple[Axis, ...] = ("y", "x") if fingerprint.instances else ()
    chosen = config.augmentation.mirror
    augmentation = config.augmentation.model_copy(update={"mirror": mirror if chosen is None else chosen})
    config = config.model_copy(update={"planes": planes, "batch": batch, "augmentation": augmentation})
    sizes = {plane: _in_plane(fingerprint.shape.median, plane) for plane in planes}
    coarse = not flat and min(min(size) for size in sizes.values()) >= _COARSE_FROM
    generator = _network(config, config.generator, sizes, coarseness=2 if coarse and config.has_refiner else 1)
    config = config.model_copy(update={"generator": generator})
    if not config.has_refiner:
        return config
    if config.refinement.attend:
        extent = fingerprint.foreground_extent or fingerprint.shape.median
        sizes = {plane: _tile(_in_plane(extent, plane), limit=sizes[plane]) for plane in planes}
    refiner = _network(config, config.refiner, sizes, coarseness=1)
    finer = (refiner.coarseness or 1) < (generator.coarseness or 1)
    errors = "out-of-fold" if finer and fingerprint.patients >= _ENOUGH_FOR_FOLDS else "in-sample"
    refinement = config.refinement.model_copy(update={"errors": config.refinement.errors or errors})
    share = config.generator_share or (_SHARE_OF_A_COARSE_GENERATOR if finer else _SHARE_OF_A_FINE_GENERATOR)
    return config.model_copy(update={"refiner": refiner, "refinement": refinement, "generator_share": share})


def _planes(fingerprint: Fingerprint) -> tuple[Plane, ...]:
    if fingerprint.shape.median[0] == 1:
        return ("axial",)
    spacing = fingerprint.spacing_mm.median
    if max(spacing) / min(spacing) <= 3.0:
        return ("axial", "coronal", "sagittal")
    native: tuple[Plane, ...] = ("axial", "coronal", "sagittal")
    return (native[spacing.index(max(spacing))],)


def _in_plane(shape: tuple[float, float, float], plane: Plane) -> tuple[float, float]:
    z, y, x = shape
    return {"axial": (y, x), "coronal": (z, x), "sagittal": (z, y)}[plane]


def _tile(extent: tuple[float, float], *, limit: tuple[float, float]) -> tuple[float, float]:
    low, high = _TILE_LIMITS
    rows, columns = (min(max(low, min(high, _TILE_MARGIN * size)), most) for size, most in zip(extent, limit, strict=True))
    return rows, columns


def _network(config: Config, chosen: NetworkSettings, sizes: dict[Plane, tuple[float, float]], *, coarseness: int) -> NetworkSettings:
    """Complete a network's settings for slices of ``sizes`` in-plane voxels."""
    coarseness = chosen.coarseness or coarseness
    largest = max(max(size) for size in sizes.values()) / coarseness
    widths = chosen.widths or ((16, 32, 64, 128) if largest <= 80 else (16, 32, 64, 96, 128))
    halvings = len(widths) - 1
    step = 2**halvings
    crops = {
        plane: (chosen.crops or {}).get(plane) or (_multiple(rows / coarseness, step), _multiple(columns / coarseness, step))
        for plane, (rows, columns) in sizes.items()
    }
    pixels = max(prod(crop) for crop in crops.values()) * config.batch.sequences * (config.batch.length or 1)
    processes = config.devices * config.nodes  # each has a part in every batch
    to_one = _IN_DEEP_NETWORKS if halvings >= _DEEP_FROM else _CHANNELS_TO_ONE_RECURRENT
    groups = chosen.groups or max(processes, min(_MAX_GROUPS, round(_PIXELS_A_STEP / pixels)))
    return NetworkSettings(
        widths=widths,
        recurrent_width=chosen.recurrent_width or max(1, widths[-1] // to_one),
        coarseness=coarseness,
        crops=crops,
        groups=groups,
    )


def _multiple(size: float, step: int) -> int:
    return step * max(1, ceil(min(size, _MAX_CROP) / step - 0.25))
