"""Faults of a label map by itself: its values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crgan.cases.case import Case
from crgan.cases.labels import LabelScheme
from crgan.errors import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFile:
    """A label map that was read.

    Parameters
    ----------
    case
        Whose label it is.
    counts
        Voxels by value.
    scheme
        What values may occur; None allows all.
    """

    case: Case
    counts: Mapping[int, int]
    scheme: LabelScheme | None

    @property
    def declared(self) -> set[int]:
        """The values that were declared, 0 and the one to ignore included; all that occur where nothing was."""
        return set(self.counts) if self.scheme is None else set(self.scheme.declared)

    @property
    def undeclared(self) -> list[int]:
        """The values that nobody declared, sorted; of instances, the negative ones."""
        if self.scheme is not None and self.scheme.instances:
            return sorted(value for value in self.counts if value < 0 and value != self.scheme.ignore)
        return sorted(set(self.counts) - self.declared)


def undeclared_values(label: LabelFile) -> Problem | None:
    """Values that nobody declared, and if it can be seen how they came about, how."""
    strange = label.undeclared
    if not strange:
        return None
    name = label.case.case_id
    instances = label.scheme is not None and label.scheme.instances
    expected = "whole numbers from 0" if instances else ", ".join(map(str, sorted(label.declared)))
    if not instances and label.scheme is not None and label.scheme.ignore is None:
        declared = sorted(label.scheme.classes)
        for kind, explain in (("stretched-labels", _stretched), ("shifted-labels", _shifted)):
            if found := explain(sorted(label.counts), declared):
                what, fix = found
                return Problem(
                    kind=kind,
                    what=f"The label of case {name} {what}",
                    where=label.case.label,
                    expected=expected,
                    got=", ".join(map(str, sorted(label.counts))),
                    fix=fix,
                )
    return Problem(
        kind="undeclared-labels",
        what=f"The label of case {name} holds values that nobody declared.",
        where=label.case.label,
        expected=expected,
        got=", ".join(f"{value} ({label.counts[value]} voxels)" for value in strange[:10]) + (" …" if len(strange) > 10 else ""),
        fix="declare them (labels.json, dataset.json or the setting data.classes), or correct the file",
    )


def _stretched(found: list[int], declared: list[int]) -> tuple[str, str] | None:
    """Classes 1, 2 spread over 127, 255, as programs do to make masks visible."""
    top = max(found)
    factor = top / max(declared)
    spread = {round(value * factor) for value in (0, *declared)} | {int(value * factor) for value in (0, *declared)}
    if top not in (255, 65535) or not set(found) <= spread:
        return None
    return (
        f"is stretched to {top} for viewing.",
        f"divide its values by {factor:g}, or declare them as they are (labels.json, dataset.json or the setting data.classes)",
    )


def _shifted(found: list[int], declared: list[int]) -> tuple[str, str] | None:
    """All values one too large or too small."""
    for step, word in ((1, "large"), (-1, "small")):
        everything = {value - step for value in found} <= {0, *declared} and 0 not in found
        # Where the background stayed 0, the lowest (or highest) class must be missing, or it is not a shift.
        missing = min(declared) if step == 1 else max(declared)
        marked = [value for value in found if value != 0]
        classes = {value - step for value in marked} <= set(declared) and missing not in found
        if everything or (classes and len(marked) > 1):
            which = "values" if everything else "classes"
            add = "subtract 1 from" if step == 1 else "add 1 to"
            return f"has {which} that are one too {word}.", f"{add} {'all' if everything else 'its'} {which}, or correct what was declared"
    return None


def empty(label: LabelFile) -> Problem | None:
    """A label map with nothing in it."""
    ignored = None if label.scheme is None else label.scheme.ignore
    if {*label.counts} - {0, ignored}:
        return None
    everything = {*label.counts} == {ignored}
    healthy = "right for a healthy patient; else check the file"
    return Problem(
        kind="empty-label",
        what=f"The label of case {label.case.case_id} is empty.",
        where=label.case.label,
        expected="some voxels above 0",
        got="voxels to be ignored alone" if everything else "background alone",
        fix="leave the case out; nothing can be learned from it" if everything else healthy,
        severity="warning",
    )


LABEL_CHECKS: tuple[Callable[[LabelFile], Problem | None], ...] = (undeclared_values, empty)
"""What is looked for in every label map; a new check is a function and a line here."""
