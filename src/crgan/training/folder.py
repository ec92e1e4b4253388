"""The folder of a run: begun, gone on with, or thrown away; never lost by mistake."""

from __future__ import annotations

import shutil
from pathlib import Path

from crgan.config import Config, read_config
from crgan.errors import fail
from crgan.files import remove_unfinished

SETTINGS, DATA = "config.yaml", "data.json"


def open_folder(out: Path, *, resume: bool, overwrite: bool, first: bool = True) -> Config | None:
    """Make sure of the run folder; gives the settings of the run to go on with, if there is one.

    Where several processes train, the ``first`` makes sure, and the others find what it has begun.
    """
    settings = out / SETTINGS
    if resume and settings.exists():
        if first:
            remove_unfinished(out)
        return read_config(settings)
    harmless = {DATA} if resume else set()  # what a run that was stopped before it had begun may have left
    if not first or (out.is_dir() and all(path.name in harmless or path.name.startswith(".") for path in out.iterdir())):
        return None
    if out.exists() and not settings.exists() and (resume or overwrite):
        raise fail(
            f"The folder to {'go on with' if resume else 'overwrite'} is not a run.",
            where=out,
            expected=f"{SETTINGS} in it",
            fix="choose another --out, or remove it yourself if nothing in it is needed",
        )
    if out.exists() and not overwrite:
        fix = "choose another --out, go on with --resume, or add --overwrite"
        raise fail("The run folder already holds something.", where=out, fix=fix)
    return None


def remove_run(out: Path) -> None:
    """Throw an earlier run away; one that is stopped in this can be thrown away again."""
    try:
        for path in list(out.iterdir()) if out.exists() else ():
            if path.name != SETTINGS:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        (out / SETTINGS).unlink(missing_ok=True)
    except OSError as error:
        raise fail("The earlier run could not be removed.", where=error.filename or out, got=error.strerror or str(error)) from error
