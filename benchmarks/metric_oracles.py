"""Hold every metric against independent implementations: `python benchmarks/metric_oracles.py`.

1,000 random cases and 20 nasty ones, in two and three dimensions, with unequal voxel edges. Printed is the largest difference
that any case showed, relative to the value where that is above 1. Where an implementation follows another definition, the
table says which, and the definition itself, written out plainly in this file, is the oracle.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.spatial.distance import cdist

from crgan.evaluation.calibration import reliability
from crgan.evaluation.metrics import Choices, measure, measure_instances

TOLERANCE_MM = 1.3
SPLIT_MM = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Two masks on one grid."""

    name: str
    prediction: np.ndarray
    truth: np.ndarray
    spacing_mm: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A value of ours beside that of an oracle; None is undefined."""

    metric: str
    oracle: str
    ours: float | None
    theirs: float | None

    @property
    def allowed(self) -> float:
        """MONAI interpolates its percentile with float32 weights; everything else agrees to six digits."""
        return 1e-5 if (self.metric, self.oracle) == ("hd95_mm", "MONAI") else 1e-6

    @property
    def difference(self) -> float:
        """Relative to the value where that is above 1; infinite if only one of the two is defined."""
        if self.ours is None or self.theirs is None:
            return 0.0 if self.ours is self.theirs else float("inf")
        return abs(self.ours - self.theirs) / max(1.0, abs(self.theirs))


def random_trials(count: int, seed: int = 0) -> Iterator[Trial]:
    """Noise, blobs, and blobs against themselves displaced; now and then an empty mask."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        axes = 2 + int(rng.random() < 0.7)
        shape = tuple(rng.integers(5, 15, axes))
        spacing = tuple(float(edge) for edge in rng.uniform(0.3, 5, axes))
        kind = number % 3
        if kind == 0:
            truth, prediction = (rng.random(shape) < rng.uniform(0.02, 0.4) for _ in range(2))
        else:
            truth, other = (ndimage.gaussian_filter(rng.standard_normal(shape), 1.5) > rng.uniform(-0.05, 0.15) for _ in range(2))
            prediction = other if kind == 1 else np.roll(truth, rng.integers(-2, 3, axes), range(axes)) ^ (rng.random(shape) < 0.02)
        if rng.random() < 0.02:
            truth = np.zeros(shape, bool)
        if rng.random() < 0.02:
            prediction = np.zeros(shape, bool)
        yield Trial(name=f"random {number}", prediction=prediction, truth=truth, spacing_mm=spacing)


def nasty_trials() -> list[Trial]:
    """Cases at which implementations stumble."""
    nothing, everything = np.zeros((9, 10, 11), bool), np.ones((9, 10, 11), bool)
    checkers = np.indices(nothing.shape).sum(axis=0) % 2 == 0
    ball = ((np.indices((11, 11, 11)) - 5) ** 2).sum(axis=0) <= 16
    shell = ball & ~ndimage.binary_erosion(ball)

    def voxels(*places: tuple[int, int, int]) -> np.ndarray:
        mask = nothing.copy()
        for place in places:
            mask[place] = True
        return mask

    sheet, line = nothing.copy(), nothing.copy()
    sheet[4], line[4, 5, :] = True, True
    dust = nothing.copy()
    dust[::3, ::3, ::3] = True
    slices = np.zeros((1, 12, 13), bool)
    slices[0, 3:8, 4:9] = True
    table = [
        ("both empty", nothing, nothing, (1, 1, 1)),
        ("empty truth", sheet, nothing, (1, 2, 3)),
        ("empty prediction", nothing, sheet, (1, 2, 3)),
        ("everything against nothing", everything, nothing, (1, 1, 1)),
        ("everything against everything", everything, everything, (1, 1, 1)),
        ("one voxel against everything", voxels((4, 5, 5)), everything, (0.7, 1, 1)),
        ("the same voxel", voxels((0, 0, 0)), voxels((0, 0, 0)), (1, 1, 1)),
        ("opposite corners", voxels((0, 0, 0)), voxels((8, 9, 10)), (1, 0.5, 3)),
        ("neighbours by a corner", voxels((3, 3, 3)), voxels((4, 4, 4)), (1, 1, 1)),
        ("complement", checkers, ~checkers, (1, 1, 1)),
        ("checkers against everything", checkers, everything, (2, 1, 1)),
        ("ball against its shell", shell, ball, (1, 1, 1)),
        ("shell against ball", ball, shell, (1, 1, 4)),
        ("sheets of one voxel", sheet, np.roll(sheet, 2, axis=0), (5, 1, 1)),
        ("line against sheet", line, sheet, (1, 1, 1)),
        ("very flat voxels", ball, np.roll(ball, 1, axis=0), (0.05, 0.05, 10)),
        ("a far voxel too many", sheet | voxels((0, 0, 0)), sheet, (10, 1, 1)),
        ("dust against one mark over all", everything, dust, (1, 1, 1)),
        ("dust, half of it found", dust & (np.indices(dust.shape)[0] < 5), dust, (1, 1, 1)),
        ("a single slice", np.roll(slices, 2, axis=2), slices, (3, 1, 0.5)),
    ]
    return [Trial(name=name, prediction=p, truth=t, spacing_mm=tuple(float(edge) for edge in spacing)) for name, p, t, spacing in table]


def findings(trial: Trial) -> Iterator[Finding]:
    """Every metric of a trial beside every oracle that knows it."""
    choices = Choices(tolerance_mm=TOLERANCE_MM, lesion_splits_mm=(SPLIT_MM,))
    ours = measure(trial.prediction, trial.truth, spacing_mm=trial.spacing_mm, choices=choices, foreground=_body(trial))
    for oracle, values in (
        ("scikit-learn", scikit_learn(trial)),
        ("MedPy", medpy(trial)),
        ("MONAI", monai(trial)),
        ("definition", surfaces_by_definition(trial) | lesions_by_definition(trial)),
    ):
        for metric, value in values.items():
            yield Finding(metric, oracle, ours[metric], value)
    yield from _instances(trial)
    yield from _calibration(trial)


def scikit_learn(trial: Trial) -> dict[str, float | None]:
    """Voxel by voxel."""
    from sklearn import metrics as sklearn

    truth, prediction = trial.truth.ravel(), trial.prediction.ravel()
    scores: dict[str, float | None] = dict.fromkeys(("dice", "iou", "voe", "sensitivity", "fnr"))
    if truth.any():
        scores["dice"] = sklearn.f1_score(truth, prediction)
        scores["iou"] = sklearn.jaccard_score(truth, prediction)
        scores["voe"] = 1 - sklearn.jaccard_score(truth, prediction)
        scores["sensitivity"] = sklearn.recall_score(truth, prediction)
        scores["fnr"] = 1 - sklearn.recall_score(truth, prediction)
    specificity = sklearn.recall_score(~truth, ~prediction) if not truth.all() else None
    precision = sklearn.precision_score(truth, prediction) if prediction.any() else None
    healthy = _body(trial).ravel() & ~truth
    scores["fpr_foreground"] = 1 - sklearn.accuracy_score(truth[healthy], prediction[healthy]) if healthy.any() else None
    scores |= {"specificity": specificity, "fpr": None if specificity is None else 1 - specificity}
    return scores | {"precision": precision, "fdr": None if precision is None else 1 - precision}


def medpy(trial: Trial) -> dict[str, float | None]:
    """Where its definitions are ours: its HD95 pools both directions, and its ASSD is the mean of two means."""
    from medpy.metric import binary

    if not trial.truth.any() or not trial.prediction.any() or 1 in trial.truth.shape:
        return {}
    return {
        "dice": binary.dc(trial.prediction, trial.truth),
        "rvd": binary.ravd(trial.prediction, trial.truth),
        "hausdorff_mm": binary.hd(trial.prediction, trial.truth, trial.spacing_mm),
        "mssd_mm": binary.hd(trial.prediction, trial.truth, trial.spacing_mm),
    }


def monai(trial: Trial) -> dict[str, float | None]:
    """The same definitions in float32; a slice is given in two dimensions, as a picture."""
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

    if not trial.truth.any() or not trial.prediction.any():
        return {}
    kept = [axis for axis, length in enumerate(trial.truth.shape) if length > 1]
    tensors = [torch.from_numpy(mask.squeeze().copy())[None, None] for mask in (trial.prediction, trial.truth)]
    options = {"include_background": True, "spacing": [trial.spacing_mm[axis] for axis in kept]}
    return {
        "hausdorff_mm": float(compute_hausdorff_distance(*tensors, **options)),
        "hd95_mm": float(compute_hausdorff_distance(*tensors, percentile=95, **options)),
        "assd_mm": float(compute_average_surface_distance(*tensors, symmetric=True, **options)),
        "nsd": float(compute_surface_dice(*tensors, class_thresholds=[TOLERANCE_MM], **options)),
    }


def surfaces_by_definition(trial: Trial) -> dict[str, float | None]:
    """All pairs of border voxels."""
    names = ("hausdorff_mm", "hd95_mm", "assd_mm", "mssd_mm")
    if not trial.truth.any() or not trial.prediction.any():
        return dict.fromkeys(names) | {"nsd": 0.0 if trial.truth.any() else None}
    apart = cdist(_border_mm(trial.prediction, trial.spacing_mm), _border_mm(trial.truth, trial.spacing_mm))
    there, back = apart.min(axis=1), apart.min(axis=0)
    both = np.concatenate([there, back])
    largest = both.max()
    hd95 = max(np.percentile(there, 95), np.percentile(back, 95))
    return dict(zip(names, (largest, hd95, both.mean(), largest), strict=True)) | {"nsd": float((both <= TOLERANCE_MM + 1e-9).mean())}


def lesions_by_definition(trial: Trial) -> dict[str, float | None]:
    """Lesion after lesion, with scipy's labelling."""
    corners = np.ones((3,) * trial.truth.ndim)
    truth, lesions = ndimage.label(trial.truth, corners)
    prediction, marks = ndimage.label(trial.prediction, corners)
    alarms = sum(not trial.truth[prediction == mark].any() for mark in range(1, marks + 1))
    rows = []
    for lesion in range(1, lesions + 1):
        body = truth == lesion
        whole = np.isin(prediction, np.setdiff1d(prediction[body], 0))
        touching = whole & (body | (truth == 0))
        found = bool((body & touching).any())
        dice = 2 * (body & touching).sum() / (body.sum() + touching.sum())
        own = found and not truth[whole & ~body].any()
        apart = cdist(_border_mm(touching, trial.spacing_mm), _border_mm(body, trial.spacing_mm)) if own else None
        assd = None if apart is None else np.concatenate([apart.min(axis=0), apart.min(axis=1)]).mean()
        edges = [edge for length, edge in zip(trial.truth.shape, trial.spacing_mm, strict=True) if length > 1]
        size = body.sum() * np.prod(edges)
        rows.append((2 * (3 * size / (4 * np.pi)) ** (1 / 3) if len(edges) == 3 else 2 * np.sqrt(size / np.pi), found, dice, assd))
    found_share = _mean([row[1] for row in rows])
    precision = 1 - alarms / marks if marks else None
    f1 = None if found_share is None else 0.0 if not found_share or not precision else 2 / (1 / found_share + 1 / precision)
    values = {
        "lesions": len(rows),
        "lesions_missed": sum(not row[1] for row in rows),
        "lesion_sensitivity": found_share,
        "lesion_precision": precision,
        "lesion_f1": f1,
        "lesion_false_alarms": alarms,
    }
    for name, chosen in (
        (f"under_{SPLIT_MM:g}mm", [row for row in rows if row[0] < SPLIT_MM]),
        (f"from_{SPLIT_MM:g}mm", [row for row in rows if row[0] >= SPLIT_MM]),
    ):
        values[f"lesions_{name}"] = len(chosen)
        values[f"lesions_missed_{name}"] = sum(not row[1] for row in chosen)
        values[f"lesion_sensitivity_{name}"] = _mean([row[1] for row in chosen])
        values[f"lesion_dice_{name}"] = _mean([row[2] for row in chosen])
        values[f"lesion_assd_mm_{name}"] = _mean([row[3] for row in chosen if row[3] is not None])
    return values


def _instances(trial: Trial) -> Iterator[Finding]:
    """Components as objects, numbered with gaps."""
    truth, prediction = (ndimage.label(mask)[0].astype(np.uint16) * 3 for mask in (trial.truth, trial.prediction))
    ours = measure_instances(prediction, truth)
    for metric, value in instances_by_definition(prediction, truth).items():
        yield Finding(metric, "definition", ours[metric], value)
    if truth.any() and prediction.any():
        for metric, value in (cell_tracking_challenge(prediction, truth) or {}).items():
            yield Finding(metric, "py-ctcmetrics", ours[metric], value)
        if truth.ndim == 2:
            yield Finding("pq", "MONAI", ours["pq"], _monai_pq(prediction // 3, truth // 3))


def instances_by_definition(prediction: np.ndarray, truth: np.ndarray) -> dict[str, float | None]:
    """Object against object."""
    true, predicted = (np.setdiff1d(ids, 0) for ids in (truth, prediction))
    if not true.size:
        return dict.fromkeys(("seg", "det", "ap_50", "ap_75", "ap_50_95", "pq"))
    shared = np.array([[((truth == a) & (prediction == b)).sum() for b in predicted] for a in true]).reshape(true.size, predicted.size)
    sizes = np.array([(truth == a).sum() for a in true])[:, None], np.array([(prediction == b).sum() for b in predicted])[None, :]
    iou = shared / (sizes[0] + sizes[1] - shared)
    match = shared > 0.5 * sizes[0]
    held = match.sum(axis=0)
    price = 5 * (held[held > 1] - 1).sum() + 10 * (~match.any(axis=1)).sum() + (held == 0).sum()

    def precision(threshold: float) -> float:
        matched = (iou > threshold).sum()
        return matched / (true.size + predicted.size - matched)

    return {
        "seg": (iou * match).sum() / true.size,
        "det": 1 - min(price, 10 * true.size) / (10 * true.size),
        "ap_50": precision(0.5),
        "ap_75": precision(0.75),
        "ap_50_95": float(np.mean([precision(threshold) for threshold in np.arange(50, 100, 5) / 100])),
        "pq": iou[iou > 0.5].sum() / (0.5 * (true.size + predicted.size)),
    }


def cell_tracking_challenge(prediction: np.ndarray, truth: np.ndarray) -> dict[str, float] | None:
    """SEG and DET of py-ctcmetrics, where that is installed; it reads files."""
    try:
        from ctc_metrics.metrics.technical.det import det
        from ctc_metrics.metrics.technical.seg import seg
        from ctc_metrics.utils.representations import count_acyclic_graph_correction_operations, match
    except ImportError:
        return None
    import tifffile

    with tempfile.TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("truth.tif", "prediction.tif")]
        for path, ids in zip(paths, (truth, prediction), strict=True):
            tifffile.imwrite(path, ids)
        truths, predictions, matched_truths, matched_predictions, ious = match(*paths)
    operations = count_acyclic_graph_correction_operations(None, None, [truths], [predictions], [matched_truths], [matched_predictions])
    return {"seg": seg([truths], [ious]), "det": det(**operations)}


def _monai_pq(prediction: np.ndarray, truth: np.ndarray) -> float:
    import torch
    from monai.metrics.panoptic_quality import compute_panoptic_quality

    tensors = [torch.from_numpy(ids.astype(np.int32)) for ids in (prediction, truth)]
    return float(compute_panoptic_quality(*tensors, match_iou_threshold=0.5, smooth_numerator=0))


def _calibration(trial: Trial) -> Iterator[Finding]:
    """A smooth version of the prediction as its probability."""
    from sklearn.calibration import calibration_curve
    from sklearn.metrics import brier_score_loss

    probability = np.clip(0.02 + 0.93 * ndimage.uniform_filter(trial.prediction.astype(float), 2), 0, 1)
    ours, truth, values = reliability(probability, trial.truth), trial.truth.ravel(), probability.ravel()
    yield Finding("brier", "scikit-learn", ours.brier, brier_score_loss(truth, values, pos_label=True))
    expected, observed = ours.curve()
    their_observed, their_expected = calibration_curve(truth, values, n_bins=15, pos_label=True)
    yield Finding("reliability curve", "scikit-learn", 0.0, float(np.abs([expected - their_expected, observed - their_observed]).max()))
    gaps = np.abs(their_observed - their_expected)
    yield Finding("ece", "scikit-learn", ours.ece, float(np.average(gaps, weights=ours.voxels[ours.voxels > 0])))


def surface_distance_gaps(trial: Trial) -> dict[str, float]:
    """How far DeepMind's surface-distance, whose surfaces run between voxels, lies from ours, in voxel diagonals."""
    import surface_distance

    if not trial.truth.any() or not trial.prediction.any() or trial.truth.ndim != 3 or 1 in trial.truth.shape:
        return {}
    ours = measure(trial.prediction, trial.truth, spacing_mm=trial.spacing_mm, choices=Choices(without=("lesions",)))
    theirs = surface_distance.compute_surface_distances(trial.truth, trial.prediction, trial.spacing_mm)
    diagonal = float(np.linalg.norm(trial.spacing_mm))
    percentiles = {"hausdorff_mm": 100, "hd95_mm": 95}
    return {
        metric: abs((ours[metric] or 0) - surface_distance.compute_robust_hausdorff(theirs, percent)) / diagonal
        for metric, percent in percentiles.items()
    }


def _body(trial: Trial) -> np.ndarray:
    """A part of the grid that stands for the foreground."""
    return np.indices(trial.truth.shape).sum(axis=0) % 5 > 1


def _border_mm(mask: np.ndarray, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Where a mask's border voxels lie, the axis of a single slice left out."""
    kept = [axis for axis, length in enumerate(mask.shape) if length > 1]
    flat = mask.squeeze()
    return np.argwhere(flat & ~ndimage.binary_erosion(flat)) * np.array([spacing_mm[axis] for axis in kept])


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


def table(count: int) -> str:
    """Largest differences by metric and oracle, as Markdown."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    apart: dict[str, list[float]] = defaultdict(list)
    for trial in [*nasty_trials(), *random_trials(count)]:
        for finding in findings(trial):
            found[finding.metric, finding.oracle].append(finding.difference)
        for metric, gap in surface_distance_gaps(trial).items():
            apart[metric].append(gap)
    lines = ["| metric | oracle | cases | largest difference |", "|---|---|---:|---:|"]
    lines += [f"| `{metric}` | {oracle} | {len(gaps)} | {max(gaps):.1e} |" for (metric, oracle), gaps in found.items()]
    for metric, gaps in apart.items():
        share = f"median {np.median(gaps):.2f}, 95 % below {np.percentile(gaps, 95):.2f} voxel diagonals"
        lines.append(f"| `{metric}` | surface-distance | {len(gaps)} | {share} |")
    return "\n".join(lines)


def main(arguments: list[str], show: Callable[[str], None] = print) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="random cases")
    warnings.simplefilter("ignore")
    show(table(parser.parse_args(arguments).cases))


if __name__ == "__main__":
    main(sys.argv[1:])
