from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from crgan.cases.labels import LabelScheme
from crgan.evaluation.case import CaseScores
from crgan.evaluation.evidence import Evaluation
from crgan.evaluation.lesions import Lesions
from crgan.evaluation.metrics import DISTANCES, LESIONS, OVERLAP, SIZE_CLASS, Choices, Metrics
from crgan.evaluation.pairs import Pair
from crgan.evaluation.reading import Schemes
from crgan.evaluation.scores import Scores

SIZES = ("under_10mm", "from_10mm")
NAMES = (
    *OVERLAP,
    *DISTANCES,
    *("nsd", *LESIONS, "truth_mm3", "false_positive_mm3"),
    *(f"{name}_{size}" for size in SIZES for name in SIZE_CLASS),
)


def some_metrics(dice: float | None) -> Metrics:
    """Figures of a case with 4 lesions, of which 1 is missed, and 2 false alarms; None: nothing is there and nothing marked."""
    values: Metrics = dict.fromkeys(NAMES, dice)
    values |= dict.fromkeys(("fnr", "fdr"), None if dice is None else 1 - dice)
    present = dice is not None
    values |= {"lesions": 4 * present, "lesions_missed": 1 * present, "lesion_false_alarms": 2 * present}
    values |= {f"{name}_{size}": 2 * present for size in SIZES for name in ("lesions", "lesions_missed")}
    return values | {"truth_mm3": 1234.5 * present, "false_positive_mm3": 0.0}


def some_lesions(*, present: bool = True) -> Lesions:
    diameters = np.array([3.0, 5.0, 12.0, 20.0]) if present else np.zeros(0)
    return Lesions(
        diameter_mm=diameters,
        found=diameters != 5,
        dice=np.where(diameters == 5, 0, 0.7),
        assd_mm=np.full(diameters.size, 1.0),
        marks=5 if present else 0,
        false_alarms=2 if present else 0,
    )


@pytest.fixture
def evaluation(tmp_path: Path) -> Callable[..., Evaluation]:
    """An evaluation of made-up figures: the Dice of each case, or the whole of its metrics by target; all cases share one small file."""
    path = tmp_path / "one.nii.gz"
    labels = np.zeros((6, 7, 5), np.uint8)
    labels[2:4, 2:5, 1:3] = 1
    nib.save(nib.Nifti1Image(labels, np.eye(4)), path)

    def make(
        cases: Mapping[str, float | dict[str, Metrics] | None], *, patients: Mapping[str, str] | None = None, **changes: Any
    ) -> Evaluation:
        metrics = {case: value if isinstance(value, dict) else {"WT": some_metrics(value)} for case, value in cases.items()}
        found = {
            case: CaseScores(
                metrics=targets,
                lesions={name: some_lesions(present=values["dice"] is not None) for name, values in targets.items() if "lesions" in values},
            )
            for case, targets in metrics.items()
        }
        scheme = LabelScheme(classes={1: "WT"})
        return Evaluation(
            **{
                "scores": Scores.of(metrics, patients=patients or {case: case for case in cases}),
                "found": found,
                "pairs": [Pair(case_id=case, mask=path, label=path) for case in cases],
                "schemes": Schemes(mask=scheme, truth=scheme),
                "imaged": {},
                "choices": Choices(),
                **changes,
            }
        )

    return make
