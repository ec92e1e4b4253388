"""The figures of a run, in ``metrics.csv`` and wherever the user's logger sends them."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from lightning_fabric import Fabric

from crgan.errors import fail
from crgan.files import atomic_write

_COLUMNS = ("stage", "step", "seconds", "loss", "judge", "deceive", "dice", "fnr")


class Journal:
    """Takes down the figures of every validation.

    Parameters
    ----------
    path
        The CSV file; rows that are already there stay.
    fabric
        Whose loggers are told as well.

    Raises
    ------
    CrganError
        If there is a file that another program has changed.
    """

    def __init__(self, path: Path, fabric: Fabric) -> None:
        self._path = path
        self._fabric = fabric
        self.rows: list[dict[str, str]] = []
        if path.exists():
            self.rows = _read(path)

    def rewind(self, stage: str, step: int) -> None:
        """Forget what was taken down of a stage after ``step``: it is going to happen again."""
        self.rows = [row for row in self.rows if row["stage"] != stage or int(row["step"]) <= step]

    def add(self, stage: str, step: int, seconds: float, figures: dict[str, float]) -> None:
        """Take down the figures of a step; figures without a column go to the loggers alone."""
        values = {name: f"{value:.6g}" for name, value in figures.items() if name in _COLUMNS}
        self.rows.append({"stage": stage, "step": str(step), "seconds": f"{seconds:.1f}", **values})
        self._fabric.log_dict({f"{stage}/{name}": value for name, value in figures.items()}, step=step)
        if not self._fabric.is_global_zero:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, _COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        with atomic_write(self._path) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")


def _read(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        if all(tuple(row) == _COLUMNS and None not in row.values() and row["step"].isdigit() for row in rows):
            return rows
        reason = f"a row that has not the columns {', '.join(_COLUMNS)}"
    except (OSError, UnicodeDecodeError, csv.Error, AttributeError) as error:
        reason = str(error)
    raise fail("The figures of the run cannot be read.", where=path, got=reason, fix="restore the file, or move it away to begin a new one")
