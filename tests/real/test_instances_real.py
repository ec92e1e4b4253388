"""Cells and nuclei as drawn by experts survive the way from ids to inside and border and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crgan.cases.files import read_labels
from crgan.cases.instances import encode_instances
from crgan.sweep.instances import grow_instances


def overlaps(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """For each true object the intersection over union with the found one that fits it best."""
    true, true_ids = np.unique(truth, return_inverse=True)
    counts = np.bincount(true_ids.reshape(-1) * (int(found.max()) + 1) + found.reshape(-1), minlength=len(true) * (int(found.max()) + 1))
    counts = counts.reshape(len(true), -1)
    union = counts.sum(axis=1, keepdims=True) + counts.sum(axis=0, keepdims=True) - counts
    return (counts / union)[1:, 1:].max(axis=1)


@pytest.mark.parametrize(("name", "every"), [("dsb2018", 12), ("nih3t3", 5)])
def test_objects_are_recovered_from_inside_and_border(shared_data: Path, name: str, every: int) -> None:
    scores = []
    for path in sorted((shared_data / "cells" / name / "labels").iterdir())[::every]:
        ids = read_labels(path).array[0].transpose(2, 0, 1)
        scores.append(overlaps(ids, grow_instances(encode_instances(ids))))
    found = np.concatenate(scores)
    assert found.mean() > 0.99
    assert (found >= 0.5).mean() > 0.995
