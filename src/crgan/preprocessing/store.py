"""The store of prepared cases: made once, kept on disk, shared by every run that asks for the same thing."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from crgan.arrays import forget_mapped, save_array
from crgan.cases.case import Case, Dataset
from crgan.cases.labels import IGNORED
from crgan.cases.reading import read_case
from crgan.errors import CrganError, fail
from crgan.executors import open_executor, work_through
from crgan.files import sync_folder, write_json
from crgan.preprocessing.contents import content_key
from crgan.preprocessing.label_facts import CodeFacts, take_facts
from crgan.preprocessing.pipeline import Pipeline
from crgan.preprocessing.stored import (
    COORDINATES,
    DESCRIPTION,
    IMAGE,
    LABEL,
    STORE_VERSION,
    StoredCase,
    describe,
    open_stored,
)
from crgan.progress import Progress, Silent

# Of a folder under construction; what a killed run left is taken away after a day.
_UNFINISHED = ".part"
_ABANDONED_SECONDS = 24 * 3600.0


def prepare(
    cases: Sequence[Case],
    dataset: Dataset,
    pipeline: Pipeline,
    *,
    cache: Path,
    workers: int | None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> tuple[StoredCase, ...]:
    """Prepare cases, or find them prepared already.

    Each case has a folder in the cache, named by the content of its files and everything else its arrays depend
    on. It is written under another name and renamed when complete: an interrupted run leaves nothing half-made,
    two runs may share a cache and even prepare the same case at once, and a damaged folder is made again.

    Parameters
    ----------
    cases
        The cases wanted; those without a label are prepared without one.
    dataset
        The data set they belong to: its modalities and label scheme.
    pipeline
        Fitted preprocessing.
    cache
        Folder of the store; made if absent.
    workers
        Cases prepared at once, in threads: almost all of the work is done outside Python's lock, so that threads
        are as fast as processes here, start at once and can neither die alone nor need a main guard in the
        user's script. Each takes some five times the memory of a case's float32 image.
    scheduler
        Address of a Dask scheduler, to prepare on its workers instead; paths must then be absolute, and ``workers`` None.
    progress
        Follows the cases.

    Returns
    -------
    tuple[StoredCase, ...]
        In the order of ``cases``; empty if there are none.

    Raises
    ------
    CrganError
        If a file cannot be read or does not fit the pipeline, the cache cannot be written to, the disk is full or
        memory runs out.
    """
    description = {
        "store": STORE_VERSION,
        "pipeline": pipeline.to_json(),
        "labels": None if dataset.labels is None else dataset.labels.to_json(),
    }

    _make_cache(cache)
    # What each is sent is all that it needs of the data set: very many cases are sent very many times.
    work = partial(_find_or_make, dataset=replace(dataset, cases=()), pipeline=pipeline, cache=cache, description=description)
    found: dict[str, StoredCase] = {}
    pool = ThreadPoolExecutor(max(1, workers or 1)) if scheduler is None else open_executor(workers, scheduler)
    with (progress or Silent()).task("Preparing cases", len(cases)) as task, pool as executor:
        for case_id, stored in work_through(executor, work, {case.case_id: case for case in cases}):
            found[case_id] = stored
            task.advance()
    return tuple(found[case.case_id] for case in cases)


def _find_or_make(case: Case, *, dataset: Dataset, pipeline: Pipeline, cache: Path, description: Any) -> StoredCase:
    key = content_key(case, description)
    found = open_stored(cache / key, case_id=case.case_id, patient_id=case.patient_id)
    return found or _make(case, dataset, pipeline, folder=cache / key)


def _make(case: Case, dataset: Dataset, pipeline: Pipeline, *, folder: Path) -> StoredCase:
    """Prepare one case under a temporary name, then give the folder its name."""
    part = folder.with_name(f".{folder.name[:16]}.{secrets.token_hex(8)}{_UNFINISHED}")
    try:
        _write(case, dataset, pipeline, part=part, seed=int(folder.name, 16))
        _publish(part, folder)
    except MemoryError as error:
        raise fail(
            "Memory ran out while a case was being prepared.",
            where=f"case {case.case_id}",
            fix="use fewer workers, or a coarser spacing",
        ) from error
    except OSError as error:
        raise fail(
            "A prepared case could not be written.",
            where=folder,
            got=error.strerror or str(error),
            fix="check that the folder may be written to and that the disk has room, then run the command again",
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    forget_mapped()
    made = open_stored(folder, case_id=case.case_id, patient_id=case.patient_id)
    if made is None:
        raise fail(
            "A prepared case was damaged as soon as it was written.",
            where=folder,
            fix="check the disk, and that no other program changes the cache, then run the command again",
        )
    return made


def _write(case: Case, dataset: Dataset, pipeline: Pipeline, *, part: Path, seed: int) -> None:
    """Write arrays and description of one case into a new folder, the description last."""
    working = read_case(case, dataset)
    try:
        prepared = pipeline.apply(working.image, working.spacing_mm, label=working.label, compact=True)
    except CrganError as error:
        raise CrganError([replace(problem, where=problem.where or f"case {case.case_id}") for problem in error.problems]) from error
    part.mkdir(parents=True)
    codes: tuple[CodeFacts, ...] | None = None
    ignored = 0
    save_array(part / IMAGE, prepared.image)
    if prepared.label is not None and dataset.labels is not None:
        codes, coordinates = take_facts(prepared.label, len(dataset.labels.values), seed=seed)
        ignored = int(np.count_nonzero(prepared.label == IGNORED))
        save_array(part / LABEL, prepared.label)
        save_array(part / COORDINATES, coordinates)
    stored = StoredCase(
        case_id=case.case_id,
        patient_id=case.patient_id,
        folder=part,
        geometry=prepared.geometry,
        source=working.geometry,
        codes=codes,
        ignored=ignored,
        modalities=pipeline.modalities,
    )
    write_json(part / DESCRIPTION, describe(stored))


def _publish(part: Path, folder: Path) -> None:
    """Rename a complete folder, unless another run was quicker; what is damaged there makes way."""
    attempts = 3
    for attempt in range(1, attempts + 1):
        try:
            part.rename(folder)  # refused where a folder of files is: whoever comes second leaves the first one's alone
            sync_folder(folder.parent)
        except OSError:
            if open_stored(folder, case_id="", patient_id="") is not None:
                return
            if attempt == attempts:
                raise
        else:
            return
        aside = part.with_name(f".{secrets.token_hex(8)}{_UNFINISHED}")
        with contextlib.suppress(FileNotFoundError):
            folder.rename(aside)
            if aside.is_dir():
                shutil.rmtree(aside, ignore_errors=True)
            else:
                aside.unlink()


def _make_cache(cache: Path) -> None:
    """Make the folder of the store, and take away what killed runs left unfinished long ago."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for path in cache.glob(f".*{_UNFINISHED}"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_SECONDS:
                    shutil.rmtree(path, ignore_errors=True)
    except OSError as error:
        raise fail(
            "The cache for prepared cases cannot be used.",
            where=cache,
            expected="a folder that may be written to",
            got=error.strerror or str(error),
            fix="choose another folder for the cache",
        ) from error
