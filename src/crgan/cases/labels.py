"""What the values of a label map mean: classes that exclude each other, nested regions, or instances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crgan.cases.instances import BORDER, BORDER_CODE, INSIDE_CODE, encode_instances

IGNORED = 255
"""Code of voxels whose label is not known: they enter neither statistics, losses nor metrics."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScheme:
    """Names of the label values, and what the networks segment.

    Without regions the targets are the classes, which exclude each other. With regions the targets are
    unions of label values, listed from the outermost to the innermost (WT, TC, ET), each decided alone.

    Parameters
    ----------
    classes
        Name by label value, background (0) left out, for example ``{1: "anterior", 2: "posterior"}``.
    regions
        Label values by region name, outermost first; empty for exclusive classes.
    instances
        The label files hold instance ids, any numbers above 0, of objects of the single class. Its targets are the inside of
        the objects and their border, as :mod:`crgan.cases.instances` tells.
    ignore
        Label value of voxels that nobody annotated, or None.
    """

    classes: Mapping[int, str]
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    instances: bool = False
    ignore: int | None = None

    @property
    def exclusive(self) -> bool:
        """Whether a voxel belongs to at most one target."""
        return not self.regions

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the K things to segment, in channel order."""
        if self.instances:
            return (*self.classes.values(), BORDER)
        return tuple(self.regions) if self.regions else tuple(self.classes.values())

    @property
    def values(self) -> tuple[int, ...]:
        """Label value by code, 0 first; of instances, 0 and the codes of inside and border."""
        return (0, INSIDE_CODE, BORDER_CODE) if self.instances else (0, *self.classes)

    @property
    def declared(self) -> tuple[int, ...]:
        """Label values that may stand in a file: :attr:`values`, and the one to ignore."""
        return self.values if self.ignore is None else (*self.values, self.ignore)

    def encode(self, labels: NDArray[Any]) -> NDArray[np.uint8]:
        """Turn label values into positions in :attr:`values` (0 is background, 255 ignored), uint8, same shape.

        Instances must come as ``(Z, Y, X)`` or ``(rows, columns)``: where their borders run depends on what is beside them.
        Undeclared values become background; checking for them is the integrity check's task.
        """
        if self.instances:
            codes = encode_instances(labels, unknown=None if self.ignore is None else labels == self.ignore)
        else:
            codes = np.zeros(labels.shape, np.uint8)
            for code, value in enumerate(self.values[1:], start=1):
                codes[labels == value] = code
        if self.ignore is not None:
            codes[labels == self.ignore] = IGNORED
        return codes

    def masks(self, codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Turn codes into target masks, bool ``(K, ...)``; ignored voxels belong to none."""
        masks = np.empty((len(self.targets), *codes.shape), bool)
        for target, mask in zip(self.targets, masks, strict=True):
            mask[...] = self.mask(target, codes)
        return masks

    def mask(self, target: str, codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Turn codes into the mask of one target, bool, same shape."""
        mask = np.zeros(codes.shape, bool)
        # One by one: to be looked up in a table each code would become a number of 8 bytes first.
        for code in np.flatnonzero(self.table()[self.targets.index(target)]).tolist():
            mask |= codes == code
        return mask

    def table(self) -> NDArray[np.bool_]:
        """Which target holds which code: bool ``(K, len(values))``."""
        table = np.zeros((len(self.targets), len(self.values)), bool)
        for k, name in enumerate(self.targets):
            members = self.regions[name] if self.regions else (self.values[k + 1],)
            for value in members:
                table[k, self.values.index(value)] = True
        return table

    def decode(self, masks: NDArray[np.bool_]) -> NDArray[np.uint8 | np.uint16]:
        """Turn target masks ``(K, ...)`` into a map of label values; of instances, into one of inside (1) and border (2).

        Each voxel gets the label value whose set of targets equals the voxel's; a set that no value has
        gets the value of the innermost target that is set. Empty masks give zeros.
        """
        table = self.table()
        dtype = np.uint8 if max(self.values) < 256 else np.uint16
        labels = np.zeros(masks.shape[1:], dtype)
        for k in range(len(self.targets)):  # outermost first, so that the innermost wins
            members = np.flatnonzero(table[k])
            depth = table[:, members].sum(axis=0)
            # The value that belongs to this target and to as few targets inside it as possible.
            labels[masks[k]] = self.values[members[int(np.argmin(depth))]]
        return labels

    def as_one(self) -> LabelScheme:
        """The scheme of :meth:`merge`: what masks of instances are compared by where objects are not told apart."""
        if not self.instances:
            return self
        return LabelScheme(classes=dict.fromkeys((INSIDE_CODE,), *self.classes.values()), ignore=None if self.ignore is None else -1)

    def merge(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Give all objects the value 1 and what is to be ignored -1, same shape; labels that are no instances stay as they are."""
        if not self.instances:
            return labels
        merged = (labels > 0).astype(np.int8)
        if self.ignore is not None:
            merged[labels == self.ignore] = -1
        return merged

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file; label values become text keys."""
        return {
            "classes": {str(value): name for value, name in self.classes.items()},
            "regions": {name: list(values) for name, values in self.regions.items()},
            "instances": self.instances,
            "ignore": self.ignore,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LabelScheme:
        """Read what :meth:`to_json` wrote."""
        return cls(
            classes={int(value): str(name) for value, name in data["classes"].items()},
            regions={name: tuple(values) for name, values in data.get("regions", {}).items()},
            instances=bool(data.get("instances", False)),
            ignore=None if data.get("ignore") is None else int(data["ignore"]),
        )
