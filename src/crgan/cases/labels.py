"""What the values of a label map mean: classes that exclude each other, nested regions, or instances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
        The label files hold instance ids: every value above 0 counts as the single class.
    """

    classes: Mapping[int, str]
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    instances: bool = False

    @property
    def exclusive(self) -> bool:
        """Whether a voxel belongs to at most one target."""
        return not self.regions

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the K things to segment, in channel order."""
        return tuple(self.regions) if self.regions else tuple(self.classes.values())

    @property
    def values(self) -> tuple[int, ...]:
        """Label values that may stand in a file, 0 first."""
        return (0, *self.classes)

    def encode(self, labels: NDArray[Any]) -> NDArray[np.uint8]:
        """Turn label values into positions in :attr:`values` (0 is background), uint8, same shape.

        Undeclared values become background; checking for them is the integrity check's task.
        """
        if self.instances:
            foreground: NDArray[np.uint8] = (labels > 0).astype(np.uint8)
            return foreground
        codes = np.zeros(labels.shape, np.uint8)
        for code, value in enumerate(self.values):
            if code:
                codes[labels == value] = code
        return codes

    def table(self) -> NDArray[np.bool_]:
        """Which target holds which code: bool ``(K, len(values))``, so that ``table()[:, codes]`` are the target masks."""
        table = np.zeros((len(self.targets), len(self.values)), bool)
        for k, name in enumerate(self.targets):
            members = self.regions[name] if self.regions else (self.values[k + 1],)
            for value in members:
                table[k, self.values.index(value)] = True
        return table

    def decode(self, masks: NDArray[np.bool_]) -> NDArray[np.uint8 | np.uint16]:
        """Turn target masks ``(K, ...)`` into a map of label values.

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

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file; label values become text keys."""
        return {
            "classes": {str(value): name for value, name in self.classes.items()},
            "regions": {name: list(values) for name, values in self.regions.items()},
            "instances": self.instances,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LabelScheme:
        """Read what :meth:`to_json` wrote."""
        return cls(
            classes={int(value): str(name) for value, name in data["classes"].items()},
            regions={name: tuple(values) for name, values in data.get("regions", {}).items()},
            instances=bool(data.get("instances", False)),
        )
