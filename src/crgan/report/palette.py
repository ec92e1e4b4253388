"""Colours that people with any colour vision can tell apart, and the same in every figure (Okabe and Ito)."""

from __future__ import annotations

TARGETS = ("#009e73", "#f0e442", "#cc79a7", "#0072b2", "#ffffff")
"""Outlines of targets, in order; a sixth target begins again."""
MISSED = "#d55e00"
"""False negatives."""
FALSE_ALARM = "#56b4e9"
"""False positives."""


def target_colour(index: int) -> str:
    """Colour of the target at a position in the label scheme."""
    return TARGETS[index % len(TARGETS)]
