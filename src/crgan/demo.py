"""The whole way once, on phantom patients: check, train, segment unseen patients, score, report."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from crgan.cases.canonical import to_canonical
from crgan.cases.case import Case, Dataset
from crgan.cases.files import read_labels, read_volume
from crgan.cases.integrity import check_cases
from crgan.cases.layouts import open_dataset
from crgan.cases.phantom import write_brains
from crgan.config import load_config
from crgan.errors import CrganError, fail
from crgan.evaluation.tables import SHOWN, mean_with_interval
from crgan.files import write_json
from crgan.progress import Progress, Silent

if TYPE_CHECKING:
    from crgan.evaluation.scores import Scores
    from crgan.report.overlays import Overlay

MARK = "demo.json"
"""The file by which a folder is known to be a demo that may be replaced."""
BEFORE, AFTER = "before", "after"
"""Refinement; so are rows and the folders of masks named."""
PRINTED = ("dice", "fnr", "fpr")  # what fits a terminal of 80 columns; the report has more
PICTURED = 3
PICTURED_MODALITY = "flair"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSize:
    """How much the demo does; the default takes a few minutes on two processor cores.

    Parameters
    ----------
    patients, unseen
        Phantom patients to train on, and others to segment.
    shape
        Voxels along (Z, Y, X).
    steps
        Training steps of all stages together.
    overrides
        Further settings, ``"key=value"``.
    """

    patients: int = 14
    unseen: int = 4
    shape: tuple[int, int, int] = (64, 80, 64)
    steps: int = 800
    # Phantoms are small enough for the generator to see their voxels; patients usually are not, and the refiner then sees more than it.
    overrides: tuple[str, ...] = ("generator.coarseness=2",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What came out: a table of text, and the report that shows it with pictures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    report: Path


def run_demo(
    out: Path,
    *,
    seed: int = 0,
    threads: int | None = None,
    overwrite: bool = False,
    size: DemoSize | None = None,
    progress: Progress | None = None,
) -> Demo:
    """Make patients, train on them, segment others before and after refinement, and report what was measured.

    Parameters
    ----------
    out
        Folder to make; it will hold the patients, the run, the masks, the scores and ``report.html``.
    seed
        Where all randomness comes from.
    threads
        Processor threads; None takes all.
    overwrite
        Replace an earlier demo in ``out``.
    size
        How much to do; None takes what a few minutes allow.
    progress
        Who is told how far it is.

    Raises
    ------
    CrganError
        If ``out`` holds something, or with ``overwrite`` something that is no demo.
    """
    from crgan.evaluation.evaluate import evaluate
    from crgan.inference.predict import predict
    from crgan.training.run import train

    size, progress, begun = size or DemoSize(), progress or Silent(), time.monotonic()
    _clear(out, overwrite=overwrite)
    write_json(out / MARK, {"made_by": "crgan demo", "seed": seed, "shape": size.shape, "steps": size.steps})

    progress.note(f"1/5 Making {size.patients} phantom patients to train on and {size.unseen} others")
    patients, unseen = out / "patients", out / "unseen"
    write_brains(patients, count=size.patients, shape=size.shape, seed=seed, progress=progress)
    write_brains(unseen, count=size.unseen, shape=size.shape, seed=seed + 1, progress=progress)

    progress.note("2/5 Checking them")
    dataset = open_dataset(patients)
    _, problems = check_cases(dataset, need_labels=True, progress=progress)
    if any(problem.severity == "error" for problem in problems):
        raise CrganError(problems)

    progress.note("3/5 Training generator, discriminator and refiner")
    settings = {"steps": size.steps, "seed": seed, "threads": threads, "data.cache": out / "prepared"}
    config = load_config(recipe="default", overrides=size.overrides, **settings)
    run = train(patients, out / "run", config=config, progress=progress)
    trained = time.monotonic()

    progress.note("4/5 Segmenting the unseen patients, without and with the refiner")
    predict(run, unseen, out / BEFORE, generator_only=True, threads=threads, progress=progress)
    predict(run, unseen, out / AFTER, errors=True, threads=threads, progress=progress)

    progress.note("5/5 Scoring both, and writing the report")
    scores = {name: evaluate(out / name, unseen, out=out / f"scores-{name}", progress=progress) for name in (BEFORE, AFTER)}
    title = f"{size.unseen} unseen phantom patients, before and after refinement"
    facts = {
        "training patients": size.patients,
        "unseen patients": size.unseen,
        "voxels": "×".join(map(str, size.shape)),
        "training steps": size.steps,
        "seed": seed,
        "system": config.system,
        "patients and training took": f"{trained - begun:.0f} s",
        "all took": f"{time.monotonic() - begun:.0f} s",
    }
    _write_report(out / "report.html", title=title, scores=scores, unseen=unseen, settings=facts)
    columns = ["region", *(SHOWN[metric] for metric in PRINTED)]
    return Demo(title=title, columns=columns, rows=_rows(scores, PRINTED), report=out / "report.html")


def _clear(out: Path, *, overwrite: bool) -> None:
    """Leave ``out`` absent or empty; nothing that a demo has not made is ever removed."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not overwrite:
        raise fail("The output folder is not empty.", where=out, fix="choose another with --out, or replace an old demo with --overwrite")
    if not (out / MARK).is_file():
        raise fail(
            "The output folder is not empty and holds no earlier demo.",
            where=out,
            expected=f"an empty folder, or one with the {MARK} of a demo",
            fix="choose another folder with --out",
        )
    shutil.rmtree(out)


def _rows(scores: Mapping[str, Scores], metrics: Iterable[str]) -> list[list[str]]:
    """Two rows per region, before and after refinement, with a cell per metric."""
    metrics = tuple(metrics)
    return [
        [f"{region} {name}", *(mean_with_interval(scores[name].summary[region][metric]) for metric in metrics)]
        for region in scores[AFTER].summary
        for name in (BEFORE, AFTER)
    ]


def _write_report(
    path: Path,
    *,
    title: str,
    scores: Mapping[str, Scores],
    unseen: Path,
    settings: Mapping[str, object],
) -> None:
    from crgan.report.html import Figure, Table, write_report
    from crgan.report.overlays import draw_overlays
    from crgan.report.provenance import today, versions

    dataset = open_dataset(unseen)
    overlays = [_overlay(case, dataset, masks=path.parent) for case in dataset.cases[:PICTURED]]
    targets = dataset.labels.targets if dataset.labels is not None else ()
    slices = [int(overlay.truth.any(axis=0).sum(axis=(1, 2)).argmax()) for overlay in overlays]
    write_report(
        path,
        title=title,
        summary=_summary(scores),
        tables=[
            Table(
                caption="Means over patients, with 95 % intervals",
                columns=["region", *SHOWN.values()],
                rows=_rows(scores, SHOWN),
                note="Dice: overlap with the truth, 1 is perfect. FNR: share of the truth that was missed. "
                "FPR: share of all other voxels that was marked. HD95: 95 % of the surfaces are closer than this.",
            )
        ],
        figures=[
            Figure(
                png=draw_overlays(overlays, targets, slices=slices),
                alt="Slices of unseen patients: image, truth, generator, what the refiner calls missed and false, final mask.",
                caption="One row per unseen patient, from left to right: what goes in, the truth, what the generator marks, "
                "where the refiner thinks that it misses something or marks too much, and what comes out. "
                "Each is shown on the slice that holds most of the truth.",
            )
        ],
        settings={**settings, "versions": versions(["torch", "numpy"]), "date": today()},
    )


def _summary(scores: Mapping[str, Scores]) -> str:
    """What was measured, whichever way it came out."""
    sentences = []
    for region, after in scores[AFTER].summary.items():
        before = scores[BEFORE].summary[region]
        if any(means[name].mean is None for means in (before, after) for name in ("dice", "fnr")):
            sentences.append(f"{region} could not be scored.")
        else:
            sentences.append(
                f"{region}: mean Dice {before['dice'].mean:.3f} before refinement and {after['dice'].mean:.3f} after it; "
                f"share missed {before['fnr'].mean:.1%} and {after['fnr'].mean:.1%}."
            )
    caution = "So few synthetic patients and so short a training show how the method works, not how well it works on real ones."
    return "\n\n".join([" ".join(sentences), caution])


def _overlay(case: Case, dataset: Dataset, *, masks: Path) -> Overlay:
    """Everything the picture shows of one patient, as working arrays."""
    from crgan.report.overlays import Overlay, Refinement

    labels = dataset.labels
    if labels is None or case.label is None:  # phantoms are written with labels
        raise fail("The patient has no label.", where=case.case_id)

    def targets(path: Path) -> NDArray[np.bool_]:
        return labels.masks(labels.encode(to_canonical(read_labels(path))[0][0]))

    def maps(kind: str) -> NDArray[np.float32]:
        files = [masks / AFTER / "maps" / f"{case.case_id}_{target}_{kind}.nii.gz" for target in labels.targets]
        return np.stack([to_canonical(read_volume(file))[0][0] for file in files]).astype(np.float32)

    image, spacing_mm = to_canonical(read_volume(case.images[dataset.modalities.index(PICTURED_MODALITY)]))
    return Overlay(
        name=case.case_id,
        image=image[0].astype(np.float32),
        truth=targets(case.label),
        generator=targets(masks / BEFORE / f"{case.case_id}.nii.gz"),
        spacing_mm=spacing_mm,
        refinement=Refinement(
            false_negatives=maps("fn"), false_positives=maps("fp"), final=targets(masks / AFTER / f"{case.case_id}.nii.gz")
        ),
    )
