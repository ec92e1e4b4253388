"""The command line: a command is one call of the library plus how it prints.

Whatever is heavy is imported inside the commands, so that ``crgan --help`` answers at once.
"""

from __future__ import annotations

import errno
import faulthandler
import gc
import shlex
import signal
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from crgan.errors import CrganError, fail
from crgan.interruption import SIGNALLED, on_request, stop

if TYPE_CHECKING:
    from rich.console import Console

USER_MISTAKE = 2
# What the system says when a disk, a network folder or a permission is in the way: no fault of ours.
_SYSTEM = {
    getattr(errno, name)
    for name in ("EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "EIO", "ESTALE", "ENODEV", "ENOTCONN", "ETIMEDOUT", "EHOSTDOWN", "EMFILE")
    if hasattr(errno, name)
}


class _Commands(TyperGroup):
    """Turns what stops a command into a message and an exit code; a traceback is left to real faults."""

    def invoke(self, ctx: Any) -> Any:
        try:
            with on_request(stop):
                return super().invoke(ctx)
        except CrganError as error:
            from crgan.console import print_problems

            print_problems(_console(stderr=True), error.problems)
            raise typer.Exit(USER_MISTAKE) from None
        except KeyboardInterrupt as stopped:
            _console(stderr=True).print("Stopped.")
            raise typer.Exit(SIGNALLED + getattr(stopped, "number", signal.SIGINT)) from None
        except OSError as error:
            if error.errno not in _SYSTEM:
                raise
            from crgan.console import print_problems

            print_problems(_console(stderr=True), _refused(error).problems)
            raise typer.Exit(USER_MISTAKE) from None


# Plain help: drawing it with rich would take longer than everything else `crgan --help` does.
app = typer.Typer(cls=_Commands, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
phantom = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Make data sets of synthetic patients.")
app.add_typer(phantom, name="phantom")

Layout = Annotated[str | None, typer.Option(help="How the folder is laid out; found out by itself if not given.")]
Pattern = Annotated[str | None, typer.Option(help="File name pattern that tells modalities and labels apart, where detection needs help.")]
Group = Annotated[str | None, typer.Option(metavar="REGEX", help="Regular expression whose first group is the patient in a file name.")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, mps or auto.  [default: auto]")]
Threads = Annotated[int | None, typer.Option(min=1, help="Processor threads to use.  [default: all cores]")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what an earlier run left in the output folder.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Cases to work on at a time, a process each.  [default: 1]")]
Scheduler = Annotated[str | None, typer.Option(metavar="ADDRESS", help="Work on the Dask cluster with this scheduler.")]
CaseList = Annotated[str | None, typer.Option("--cases", metavar="A,B,C", help="Only these cases.")]
Per = Annotated[Literal["voxel", "lesion"], typer.Option(help="What the promise counts.")]
SplitFile = Annotated[Path | None, typer.Option("--split", metavar="FILE", help="Split file; --part says which side of it is taken.")]
SplitPart = Annotated[Literal["train", "test"], typer.Option("--part", help="Side of the split file.")]
PhantomLayout = Annotated[str, typer.Option("--layout", help="How the files are laid out and named: any that `crgan` reads.")]
SplitFold = Annotated[int | None, typer.Option("--fold", min=0, help="Fold of the split file.")]


def main() -> None:
    """Run the command line (entry point of the ``crgan`` command)."""
    faulthandler.enable()  # a network folder that goes away under a mapped file ends the process: then at least say where
    try:
        app()
    finally:
        gc.freeze()  # or the interpreter looks through all that PyTorch made before it ends, which takes half a second


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def _refused(error: OSError) -> CrganError:
    return fail(
        "The system refused what was asked of it.",
        where=error.filename,
        got=error.strerror,
        fix="see that the disk or network folder is there, has room and may be used, then run the command again, a training with --resume",
    )


def _print_version(wanted: bool) -> None:
    if wanted:
        from crgan import __version__

        typer.echo(f"crgan {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")] = False,
) -> None:
    """Segment what is rare in medical images: a generator, a discriminator, and a refiner of the generator's errors."""
    del version


@app.command()
def check(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of patients, in any layout.")],
    layout: Layout = None,
    pattern: Pattern = None,
    group: Group = None,
    split: Annotated[Path | None, typer.Option(metavar="FILE", help="Split file: also look for images on both of its sides.")] = None,
    fold: SplitFold = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write everything that was found as JSON.")] = None,
    manifest: Annotated[
        Path | None, typer.Option("--write-manifest", metavar="FILE", help="Also list the cases, as .csv or .json.")
    ] = None,
) -> None:
    """Tell what is in a folder and what is wrong with it.

    Exits with 1 if a training on it could not be trusted.
    """
    from crgan.cases.integrity import check_cases
    from crgan.cases.layouts import open_dataset
    from crgan.cases.layouts.manifest import write_manifest
    from crgan.cases.overview import overview, to_json
    from crgan.cases.schemes import SCHEME_FILES
    from crgan.cases.splits import read_split
    from crgan.console import print_problems, print_table, terminal_progress
    from crgan.files import write_json

    console = _console()
    dataset = open_dataset(data, layout=layout, pattern=pattern, group=group)
    summaries, problems = check_cases(
        dataset,
        # Labels that a file in the folder declares are meant to be there; images alone are there to be segmented.
        need_labels=bool(dataset.labelled) or any((data / name).is_file() for name in (*SCHEME_FILES, "dataset.json")),
        split=None if split is None else read_split(split, dataset, fold=fold),
        progress=terminal_progress(console),
    )
    for sheet in overview(dataset, summaries):
        print_table(console, sheet.columns, sheet.rows, words=sheet.words)
    print_problems(console, problems)
    if not dataset.labelled:
        console.print("No case has a label: enough to predict, not to train.")
    errors = sum(problem.severity == "error" for problem in problems)
    console.print(f"{errors} errors, {len(problems) - errors} warnings")
    if json_file is not None:
        write_json(json_file, to_json(dataset, summaries, problems))
    if manifest is not None:
        write_manifest(manifest, dataset)
        if manifest.suffix.lower() == ".csv" and dataset.labels is not None:
            console.print("A CSV file has no place for what label values mean; a JSON file has.")
    if errors:
        raise typer.Exit(1)


@app.command()
def train(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of labelled patients, in any layout.")],
    out: Annotated[Path, typer.Option(help="Run folder to make.")],
    recipe: Annotated[str, typer.Option(help="Set of settings: default, paper, one of the paper's data sets, or a YAML file.")] = "default",
    system: Annotated[str | None, typer.Option(help="[rnn-](unet|cgan)[+refinement].  [default: rnn-cgan+refinement]")] = None,
    minutes: Annotated[float | None, typer.Option(min=0, help="Train for about this long: the steps are measured, then fixed.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Train for exactly this many steps in all; repeatable to the bit.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Where all randomness comes from.  [default: 0]")] = None,
    split: Annotated[Path | None, typer.Option(metavar="FILE", help="Split file; its training side is used.")] = None,
    fold: Annotated[int | None, typer.Option(min=0, help="Fold of the split file.")] = None,
    init: Annotated[Path | None, typer.Option(metavar="RUN", help="Start from the weights of this run.")] = None,
    ensemble: Annotated[int | None, typer.Option(min=2, metavar="K", help="Train K members, which share --minutes or --steps.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in --out.")] = False,
    overwrite: Overwrite = False,
    device: Device = None,
    precision: Annotated[str | None, typer.Option(help="32-true, bf16-mixed, 16-mixed or auto.  [default: auto]")] = None,
    threads: Threads = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Prepare the patients on the Dask cluster with this scheduler.")
    ] = None,
    layout: Layout = None,
    pattern: Pattern = None,
    group: Group = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any other setting; may repeat.")] = None,
) -> None:
    """Train the networks on a folder of labelled patients."""
    from crgan.config import load_config
    from crgan.console import terminal_progress
    from crgan.training.ensemble import train_ensemble
    from crgan.training.run import train as train_run

    if resume and overwrite:
        raise fail("Both --resume and --overwrite were given.", fix="--resume goes on with the run, --overwrite throws it away: give one")
    settings = {
        "system": system,
        "minutes": minutes,
        "steps": steps,
        "seed": seed,
        "device": device,
        "precision": precision,
        "threads": threads,
        "data.split": split,
        "data.fold": fold,
        "data.layout": layout,
        "data.pattern": pattern,
        "data.group": group,
    }
    config = load_config(recipe=recipe, overrides=overrides or (), **settings)
    console = _console()
    train_all = train_run if ensemble is None else partial(train_ensemble, members=ensemble)
    try:
        run = train_all(
            data,
            out,
            config=config,
            resume=resume,
            overwrite=overwrite,
            init=init,
            scheduler=scheduler,
            progress=terminal_progress(console),
        )
    except KeyboardInterrupt as stopped:
        words = [word for word in sys.argv[1:] if word not in {"--resume", "--overwrite"}]
        _console(stderr=True).print(f"Stopped; `{shlex.join(['crgan', *words, '--resume'])}` goes on.", markup=False, soft_wrap=True)
        raise typer.Exit(SIGNALLED + getattr(stopped, "number", signal.SIGINT)) from None
    console.print(f"Trained: {run}", markup=False, soft_wrap=True)


@app.command()
def predict(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Run folder of `crgan train`; of several the average is taken.")],
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="Folder of patients in any layout, or one image file.")],
    out: Annotated[Path, typer.Option(help="Folder for the masks.")],
    aim: Annotated[str | None, typer.Option(help="Turn the dial by validation: dice, max-fnr=0.1 or max-false-lesions=2.")] = None,
    fn_threshold: Annotated[
        list[str] | None, typer.Option(metavar="P", help="p: add what R calls missed this surely; TARGET=P for one target, may repeat.")
    ] = None,
    fp_threshold: Annotated[
        list[str] | None, typer.Option(metavar="Q", help="q: remove what R calls false more surely; TARGET=Q for one target, may repeat.")
    ] = None,
    generator_only: Annotated[bool, typer.Option("--generator-only", help="Leave the refiner out.")] = False,
    probabilities: Annotated[bool, typer.Option("--probabilities", help="Also write probability maps, under maps/.")] = False,
    errors: Annotated[bool, typer.Option("--errors", help="Also write R's false negative and false positive maps, under maps/.")] = False,
    where_to_look: Annotated[
        bool, typer.Option("--where-to-look", help="Also list what may have been missed, place by place, under where_to_look/.")
    ] = False,
    dicom_seg: Annotated[
        bool, typer.Option("--dicom-seg", help="Also write masks of DICOM series as DICOM-SEG, under dicom-seg/.")
    ] = False,
    max_fnr: Annotated[float | None, typer.Option(help="Also write the sets that keep to this promise of `crgan calibrate`.")] = None,
    per: Per = "voxel",
    naming: Annotated[str | None, typer.Option(help="Names and label values for upload: brats, ctc, lits, msd or nnunet.")] = None,
    tta: Annotated[int, typer.Option(min=0, help="Average over each image and so many turned and resized ones.")] = 0,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the prediction in --out.")] = False,
    cases: CaseList = None,
    split: SplitFile = None,
    part: SplitPart = "test",
    fold: SplitFold = None,
    device: Device = None,
    threads: Threads = None,
    precision: Annotated[
        Literal["auto", "32-true", "bf16-mixed", "16-mixed"],
        typer.Option(help="Number format of the networks; auto: bf16-mixed where that is faster."),
    ] = "32-true",
    compiled: Annotated[bool, typer.Option("--compile", help="Compile the networks first; pays on many patients, if at all.")] = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    layout: Layout = None,
    pattern: Pattern = None,
    group: Group = None,
) -> None:
    """Segment new patients.

    Writes one mask per case, on the image's own grid.
    """
    from crgan.console import terminal_progress
    from crgan.dial import parse_thresholds
    from crgan.inference.predict import predict as predict_masks

    console = _console()
    masks = predict_masks(
        runs[0] if len(runs) == 1 else runs,
        images,
        out,
        aim=aim,
        fn_threshold=parse_thresholds(fn_threshold or (), option="--fn-threshold"),
        fp_threshold=parse_thresholds(fp_threshold or (), option="--fp-threshold"),
        generator_only=generator_only,
        probabilities=probabilities,
        errors=errors,
        where_to_look=where_to_look,
        dicom_seg=dicom_seg,
        max_fnr=max_fnr,
        per=per,
        naming=naming,
        tta=tta,
        overwrite=overwrite,
        resume=resume,
        cases=_chosen_cases(images, cases, split, part=part, fold=fold, layout=layout, pattern=pattern, group=group),
        device=device or "auto",
        threads=threads,
        precision=precision,
        compiled=compiled,
        workers=workers,
        scheduler=scheduler,
        layout=layout,
        pattern=pattern,
        group=group,
        progress=terminal_progress(console),
    )
    console.print(f"{len(masks)} masks written to {out}", markup=False, soft_wrap=True)


@app.command()
def calibrate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run folder of `crgan train`.")],
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Labelled patients that training has not read, in any layout.")],
    max_fnr: Annotated[float, typer.Option(help="Largest share that may be missed on average, for example 0.1.")],
    per: Per = "voxel",
    cases: CaseList = None,
    split: SplitFile = None,
    part: SplitPart = "test",
    fold: SplitFold = None,
    device: Device = None,
    threads: Threads = None,
    layout: Layout = None,
    pattern: Pattern = None,
    group: Group = None,
) -> None:
    """Promise how little will be missed.

    Finds the sensitivity at which new patients' misses stay below a limit on average, and stores it with the model.
    """
    from crgan.console import print_table, terminal_progress
    from crgan.inference.calibrate import calibrate as make_promise

    console = _console()
    promise = make_promise(
        run,
        data,
        max_fnr=max_fnr,
        per=per,
        cases=_chosen_cases(data, cases, split, part=part, fold=fold, layout=layout, pattern=pattern, group=group),
        device=device or "auto",
        threads=threads,
        layout=layout,
        pattern=pattern,
        group=group,
        progress=terminal_progress(console),
    )
    columns = ["target", "patients", "lambda", "missed", "marked"]
    rows = [
        [target, str(found.patients), f"{found.sensitivity:.3f}", f"{found.missed:.3f}", f"{found.marked:.4f}"]
        for target, found in promise.targets.items()
    ]
    print_table(console, columns, rows)
    for target in promise.targets:
        console.print(promise.statement(target), markup=False)
    command = f"crgan predict {shlex.quote(str(run))} IMAGES --out MASKS --max-fnr {max_fnr:g} --per {per}"
    console.print(f"`{command}` writes the sets.", markup=False, soft_wrap=True)


@app.command()
def evaluate(
    masks: Annotated[Path, typer.Argument(metavar="MASKS", help="Folder of predicted masks.")],
    labels: Annotated[Path, typer.Argument(metavar="LABELS", help="The experts' labels, in any layout.")],
    out: Annotated[Path, typer.Option(help="Folder for scores.json, scores.csv, lesions.csv and report.html.")],
    cases: CaseList = None,
    split: SplitFile = None,
    part: SplitPart = "test",
    fold: SplitFold = None,
    images: Annotated[Path | None, typer.Option(metavar="DIR", help="Images, for pictures and the rates within the body.")] = None,
    empty: Annotated[Literal["null", "brats"], typer.Option(help="What an empty truth scores: nothing, or BraTS values.")] = "null",
    tolerance: Annotated[float, typer.Option(metavar="MM", help="Surfaces closer than this count as one (NSD).")] = 1.0,
    lesion_splits: Annotated[
        list[float] | None,
        typer.Option("--lesion-split", metavar="MM", help="Diameter that divides lesions by size; may repeat.  [default: 10]"),
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="GROUP", help="Leave out distances or lesions, to save time; may repeat.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Cases to score at a time.  [default: all cores]")] = None,
    scheduler: Scheduler = None,
    overwrite: Overwrite = False,
    layout: Layout = None,
    pattern: Pattern = None,
    group: Group = None,
) -> None:
    """Score masks against the experts' labels.

    Prints a table; every figure is in the files.
    """
    from crgan.console import print_table, terminal_progress
    from crgan.evaluation.evaluate import evaluate as evaluate_masks
    from crgan.evaluation.metrics import DEFAULT
    from crgan.evaluation.tables import score_rows, shown

    console = _console()
    scores = evaluate_masks(
        masks,
        labels,
        out=out,
        cases=_chosen_cases(labels, cases, split, part=part, fold=fold, layout=layout, pattern=pattern, group=group),
        images=images,
        empty=empty,
        tolerance_mm=tolerance,
        lesion_splits_mm=lesion_splits or DEFAULT.lesion_splits_mm,
        without=without or (),
        workers=workers,
        scheduler=scheduler,
        overwrite=overwrite,
        layout=layout,
        pattern=pattern,
        group=group,
        command=shlex.join(["crgan", *sys.argv[1:]]),
        progress=terminal_progress(console),
    )
    columns = shown(scores.summary)
    print_table(console, ["target", *columns.values(), "n"], score_rows(scores.summary, metrics=tuple(columns)))
    console.print(f"Written to {out}", markup=False, soft_wrap=True)


@app.command()
def compare(
    scores: Annotated[list[str], typer.Argument(metavar="[NAME=]SCORES...", help="Folders (or scores.json files) of `crgan evaluate`.")],
    metrics: Annotated[
        list[str] | None, typer.Option("--metric", help="Metric to compare, by its name in scores.json; may repeat.")
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Also write everything as JSON.")] = None,
    html_file: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also write a page, with a line per patient.")] = None,
) -> None:
    """Compare systems that were scored on the same patients.

    Prints differences with intervals and tests, and ranks.
    """
    from crgan.console import print_table
    from crgan.evaluation.compare import (
        DIFFERENCE_COLUMNS,
        RANK_COLUMNS,
        compare_scores,
        difference_rows,
        notes,
        rank_rows,
        read_systems,
    )
    from crgan.files import write_json

    console, named = _console(), _named(scores)
    systems = read_systems(named)
    comparison = compare_scores(systems, metrics=metrics)
    print_table(console, DIFFERENCE_COLUMNS, difference_rows(comparison), words=3)
    print_table(console, RANK_COLUMNS, rank_rows(comparison), words=2)
    for note in notes(comparison):
        console.print(note, markup=False, soft_wrap=True)
    if json_file is not None:
        write_json(json_file, comparison.to_json())
        console.print(f"Written to {json_file}", markup=False, soft_wrap=True)
    if html_file is not None:
        from crgan.evaluation.compare_page import write_comparison

        settings: dict[str, object] = {"command": shlex.join(["crgan", *sys.argv[1:]]), **named}
        write_comparison(html_file, systems, comparison, settings=settings)
        console.print(f"Written to {html_file}", markup=False, soft_wrap=True)


@app.command()
def study(
    plan: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="Data sets, systems, seeds and folds.")],
    out: Annotated[Path, typer.Option(help="Folder of the study; one that was begun is gone on with.")],
    jobs: Annotated[int | None, typer.Option(min=1, help="Trainings side by side, a process each.  [default: 1]")] = None,
    scheduler: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Train on the workers of this Dask cluster instead.")] = None,
    finished: Annotated[bool, typer.Option("--finished", help="Train nothing; compare what is over.")] = False,
) -> None:
    """Train systems side by side and compare them.

    Every system gets the same patients and the same time; the tables say how sure a difference is.
    """
    from crgan.console import terminal_progress
    from crgan.executors import open_executor
    from crgan.study.finished import compare_finished
    from crgan.study.plan import read_study
    from crgan.study.run import run_study

    console = _console()
    if jobs is not None and scheduler is not None:
        raise fail("Both --jobs and --scheduler were given.", fix="leave --jobs out: a cluster has the workers it has")
    if finished and (jobs or scheduler):
        raise fail("--finished trains nothing.", got="--jobs or --scheduler beside it", fix="leave one of them out")
    read, progress = read_study(plan), terminal_progress(console)
    if finished:
        _, left_out = compare_finished(read, out)
        console.print(f"Not finished and left out: {len(left_out)} of {len(list(read.jobs()))} trainings", markup=False, soft_wrap=True)
    elif scheduler is None and jobs in {None, 1}:
        run_study(read, out, progress=progress)
    else:
        with open_executor(jobs, scheduler) as executor:
            run_study(read, out, executor=executor, progress=progress)
    console.print(f"Written to {out}: report.html, tables, figures/, comparison.json", markup=False, soft_wrap=True)


@app.command()
def download(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Data set; without one, all are listed.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder to make.  [default: NAME]")] = None,
    accept_licence: Annotated[bool, typer.Option("--accept-licence", help="The licence that was shown is accepted.")] = False,
) -> None:
    """Download an open data set.

    Shows the licence first. What was interrupted goes on where it stopped; checksums are compared, archives unpacked with care.
    """
    from crgan.cases.download import catalogue, find
    from crgan.cases.download import download as download_set
    from crgan.console import print_table, terminal_progress

    console = _console()
    if name is None:
        rows = [[entry.name, entry.title, entry.licence.name, entry.size or "–"] for entry in catalogue().values()]
        print_table(console, ["name", "data set", "licence", "size"], rows, words=3)
        return
    entry = find(name)
    for line in (f"{entry.name}: {entry.title}, {entry.home}", f"Licence: {entry.licence.name}, {entry.licence.url}", entry.licence.terms):
        console.print(line, markup=False, soft_wrap=True)
    folder = download_set(entry, out or Path(entry.name), accept_licence=accept_licence, progress=terminal_progress(console))
    console.print(f"{entry.name} is in {folder}; `crgan check {shlex.quote(str(folder))}` looks at it", markup=False, soft_wrap=True)


@phantom.command("brain")
def phantom_brain(
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Number of patients.")] = 20,
    shape: Annotated[tuple[int, int, int], typer.Option(metavar="Z Y X", help="Voxels up, to the front, to the right.")] = (155, 240, 240),
    layout: PhantomLayout = "patient_folders",
    seed: Annotated[int, typer.Option(min=0, help="Where all randomness comes from.")] = 0,
) -> None:
    """Make synthetic brain patients.

    Four MR modalities, a bias field, noise, and nested lesions of very different sizes.
    """
    from crgan.cases.phantom import write_brains
    from crgan.console import terminal_progress

    console = _console()
    write_brains(out, count=count, shape=shape, seed=seed, layout=layout, progress=terminal_progress(console))
    console.print(f"{count} patients written to {out}", markup=False, soft_wrap=True)


@phantom.command("liver")
def phantom_liver(
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Number of patients.")] = 20,
    shape: Annotated[tuple[int, int, int], typer.Option(metavar="Z Y X", help="Voxels up, to the front, to the right.")] = (100, 512, 512),
    layout: PhantomLayout = "patient_folders",
    seed: Annotated[int, typer.Option(min=0, help="Where all randomness comes from.")] = 0,
) -> None:
    """Make synthetic CT of the abdomen.

    Hounsfield units, a liver among its neighbours, and lesions in it from three voxels to a fist.
    """
    from crgan.cases.phantom import write_livers
    from crgan.console import terminal_progress

    console = _console()
    write_livers(out, count=count, shape=shape, seed=seed, layout=layout, progress=terminal_progress(console))
    console.print(f"{count} patients written to {out}", markup=False, soft_wrap=True)


@phantom.command("cells")
def phantom_cells(
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    count: Annotated[int, typer.Option("-n", "--count", min=1, help="Number of pictures, or of movies.")] = 20,
    shape: Annotated[tuple[int, int], typer.Option(metavar="Y X", help="Rows and columns.")] = (512, 512),
    slices: Annotated[int, typer.Option(min=1, help="More than 1 makes stacks, in fluorescence.")] = 1,
    frames: Annotated[int, typer.Option(min=1, help="More than 1 makes movies.")] = 1,
    layout: PhantomLayout = "paired",
    seed: Annotated[int, typer.Option(min=0, help="Where all randomness comes from.")] = 0,
) -> None:
    """Make synthetic pictures of cells that touch.

    Phase contrast, with an id for each cell; in movies cells wander and divide.
    """
    from crgan.cases.phantom import write_cells
    from crgan.console import terminal_progress

    console = _console()
    progress = terminal_progress(console)
    write_cells(out, count=count, shape=shape, slices=slices, frames=frames, seed=seed, layout=layout, progress=progress)
    console.print(f"{count} {'pictures' if frames == 1 else 'movies'} written to {out}", markup=False, soft_wrap=True)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to make.")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Where all randomness comes from.")] = 0,
    threads: Threads = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier demo in the output folder.")] = False,
) -> None:
    """Show the whole way once, on phantom patients.

    Trains, segments patients it has not seen, scores them before and after refinement, and writes a report to look at.
    """
    from crgan.console import print_table, terminal_progress
    from crgan.demo import run_demo

    console = _console()
    result = run_demo(out, seed=seed, threads=threads, overwrite=overwrite, progress=terminal_progress(console))
    print_table(console, result.columns, result.rows, title=result.title)
    console.print(f"Look at {result.report}", markup=False, soft_wrap=True)


def _named(scores: list[str]) -> dict[str, Path]:
    """Path by name of ``NAME=PATH`` or ``PATH``, whose name is that of its folder."""
    named: dict[str, Path] = {}
    for text in scores:
        name, equals, path = text.partition("=")
        if not equals or Path(text).exists():
            path = text
            place = Path(text).resolve()
            name = place.parent.name if place.suffix == ".json" else place.name
        if name in named:
            raise fail("Two systems have the same name.", where=text, got=name, fix=f"name them: {name}-a={named[name]} {name}-b={path}")
        named[name] = Path(path)
    return named


def _chosen_cases(
    data: Path,
    cases: str | None,
    split: Path | None,
    *,
    part: Literal["train", "test"],
    fold: int | None,
    layout: str | None,
    pattern: str | None,
    group: str | None,
) -> tuple[str, ...] | None:
    """Case ids that --cases, or --split and --part, name; None if neither was given."""
    if cases is not None and split is not None:
        raise fail("Both --cases and --split were given.", fix="give one of them")
    if cases is not None:
        return tuple(case.strip() for case in cases.split(",") if case.strip())
    if split is None:
        return None
    from crgan.cases.layouts import open_dataset
    from crgan.cases.splits import read_split

    dataset = open_dataset(data, layout=layout, pattern=pattern, group=group)
    sides = read_split(split, dataset, fold=fold)
    return tuple(sides.train if part == "train" else sides.test)
