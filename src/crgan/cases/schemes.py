"""Where a label scheme comes from: a file that declares it, or the values found in the label files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from crgan.cases.files import read_labels
from crgan.cases.labels import LabelScheme
from crgan.cases.volume import Volume
from crgan.errors import CrganError, fail
from crgan.files import read_json

SCHEME_FILES = ("labels.json", "labels.yaml", "labels.yml")
"""Files that declare the label values of the folder they lie in."""

# What tells instance ids from classes: a file with more values than this, and in most files hardly a gap between them.
# (Classes that are absent from a patient leave gaps; an object that was deleted leaves one too.)
_FEWEST_INSTANCE_VALUES = 16
_GAPS = 1.1
_COUNTING_SHARE = 0.9
_SMALL_VALUES = 1 << 16
_EXAMPLE = '{"classes": {"1": "oedema", "2": "core"}, "regions": {"WT": [1, 2], "TC": [2]}}'


def declared_scheme(folder: Path) -> LabelScheme | None:
    """Read the ``labels.json`` or ``labels.yaml`` of a folder; None if it has none.

    Raises
    ------
    CrganError
        If the file cannot be read or does not declare labels.
    """
    for name in SCHEME_FILES:
        if (folder / name).is_file():
            return read_scheme(folder / name)
    return None


def read_scheme(path: Path) -> LabelScheme:
    """Read a file that declares label values: ``classes`` (or ``labels``), ``regions``, ``instances``, ``ignore``.

    Parameters
    ----------
    path
        JSON or YAML: ``{"classes": {"1": "oedema"}, "regions": {"WT": [1]}, "instances": false, "ignore": 255}``, all
        but the first optional; background (0) and the value to ignore may be named and are left out.

    Raises
    ------
    CrganError
        If the file cannot be read, or a region holds values without a name or the one to ignore.
    """
    data = read_json(path) if path.suffix == ".json" else read_yaml(path)
    try:
        classes = {int(value): str(name) for value, name in data.get("classes", data.get("labels", {})).items()}
        regions = {str(name): tuple(int(value) for value in values) for name, values in (data.get("regions") or {}).items()}
        ignore = None if data.get("ignore") is None else int(data["ignore"])
        scheme = ignoring(LabelScheme(classes=_foreground(classes), regions=regions, instances=bool(data.get("instances", False))), ignore)
    except (AttributeError, TypeError, ValueError) as error:
        raise fail(
            "The file does not declare labels.", where=path, expected=_EXAMPLE, got=str(error), fix="write it like the example"
        ) from error
    if scheme.instances and (len(scheme.classes) != 1 or scheme.regions):
        got = ", ".join([*scheme.classes.values(), *scheme.regions]) or "none"
        raise fail("Instances are of one class.", where=path, expected='{"classes": {"1": "cell"}, "instances": true}', got=got)
    unnamed = sorted({value for values in scheme.regions.values() for value in values} - set(scheme.classes))
    if not scheme.classes or unnamed:
        got = f"regions with the unnamed values {unnamed}" if unnamed else "no classes"
        raise fail("The file does not name all label values.", where=path, expected=_EXAMPLE, got=got, fix="name them under classes")
    return scheme


def ignoring(scheme: LabelScheme, value: int | None) -> LabelScheme:
    """Give the scheme with ``value`` as the one to ignore, no longer a class; None changes nothing.

    Raises
    ------
    CrganError
        If the value is that of the background, or part of a region.
    """
    if value is None:
        return scheme
    holders = [name for name, values in scheme.regions.items() if value in values]
    if value == 0 or holders:
        raise fail(
            "This label value cannot be ignored.",
            where=f"ignore: {value}",
            got=f"part of the region {', '.join(holders)}" if holders else "the value of the background",
            fix="give the value that stands for voxels without annotation, such as 255",
        )
    return replace(scheme, classes={known: name for known, name in scheme.classes.items() if known != value}, ignore=value)


def named_scheme(names: Mapping[int, str]) -> LabelScheme:
    """Make the scheme of exclusive classes from names by value, background (0) left out."""
    return LabelScheme(classes=_foreground(names))


def discover_scheme(
    paths: Sequence[Path], *, read: Callable[[Path], Volume] = read_labels, workers: int | None = None
) -> LabelScheme | None:
    """Find out which values the label files hold; their meaning cannot be read off, so they are called "class 1" ….

    The values are taken as instance ids, all of one class "object", if the files hold integers of 16 bits or more,
    up to more than 16 values, nearly all files count from 1 without gaps, and not all to the same number.

    Parameters
    ----------
    paths
        Label files; unreadable ones are left to the integrity check, unless all are.
    read
        How each of them is read.
    workers
        Threads to read with; by default one per core.

    Returns
    -------
    LabelScheme or None
        None if there are no files, or nothing but background in them.

    Raises
    ------
    CrganError
        If none of the files can be read.
    """
    with ThreadPoolExecutor(workers) as pool:
        results = list(pool.map(partial(_values_or_error, read=read), paths))
    errors = [result for result in results if isinstance(result, CrganError)]
    found = [result for result in results if not isinstance(result, CrganError)]
    if errors and not found:
        raise CrganError([problem for error in errors for problem in error.problems])
    values = sorted(set().union(*(values for values, _ in found)) - {0})
    if not values:
        return None
    if _are_instances(found):
        return LabelScheme(classes={1: "object"}, instances=True)
    return LabelScheme(classes={value: f"class {value}" for value in values})


def count_values(labels: NDArray[Any]) -> dict[int, int]:
    """Count the voxels of each value, in ascending order of the value; empty for an empty array."""
    flat = labels.ravel(order="K")
    if not flat.size:
        return {}
    low, high = int(flat.min()), int(flat.max())
    if low < 0 or high >= _SMALL_VALUES:
        values, counts = np.unique(flat, return_counts=True)
        return {int(value): int(count) for value, count in zip(values, counts, strict=True)}
    total = np.zeros(high + 1, np.int64)
    for start in range(0, flat.size, 1 << 20):  # in parts: bincount turns what it counts into 64-bit integers
        part = flat[start : start + (1 << 20)]
        marked = part[part != 0]  # of little marked little has to be counted
        total += np.bincount(marked, minlength=high + 1)
        total[0] += part.size - marked.size
    return {int(value): int(total[value]) for value in np.flatnonzero(total)}


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises
    ------
    CrganError
        If the file is missing or is not YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise fail("The file could not be read.", where=path, got=error.strerror or str(error), fix="check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise fail("The file is not valid YAML.", where=path, got=str(error), fix="correct it or write it as JSON") from error


def _foreground(names: Mapping[int, str]) -> dict[int, str]:
    return {value: name for value, name in sorted(names.items()) if value != 0}


def _values_or_error(path: Path, *, read: Callable[[Path], Volume]) -> tuple[frozenset[int], int] | CrganError:
    """The values of a label file and the bytes of each, or why it could not be read."""
    try:
        array = read(path).array
    except CrganError as error:
        return error
    return frozenset(count_values(array)), array.dtype.itemsize


def _are_instances(found: Iterable[tuple[frozenset[int], int]]) -> bool:
    """Whether the values count objects."""
    files = [(values - {0}, itemsize) for values, itemsize in found if values - {0}]
    numbers = {len(values) for values, _ in files}
    counting = [min(values) > 0 and max(values) <= _GAPS * len(values) for values, _ in files]
    return (
        all(itemsize >= 2 for _, itemsize in files)
        and max(numbers) > _FEWEST_INSTANCE_VALUES
        and sum(counting) >= _COUNTING_SHARE * len(files)
        and (len(numbers) > 1 or len(files) == 1)
    )
