"""Pictures too large for a network go through it in tiles, from files to masks and to the page of the run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from crgan.cases.files import read_labels
from crgan.config import Config, read_config
from crgan.inference.predict import predict
from crgan.sweep import volumes
from crgan.training.run import train

SHAPE = (700, 1000)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Three pictures with discs of many sizes: PNG, and OME-TIFF in tiles."""
    for number in range(3):
        random = np.random.default_rng(number)
        rows, columns = np.indices(SHAPE)
        cells = np.zeros(SHAPE, bool)
        for row, column, radius in zip(random.integers(0, 700, 40), random.integers(0, 1000, 40), random.integers(4, 30, 40), strict=True):
            cells |= (rows - row) ** 2 + (columns - column) ** 2 < radius**2
        picture = (60 + 90 * cells + random.normal(0, 8, SHAPE)).clip(0, 255).astype(np.uint8)
        for kind, array in (("images", picture), ("labels", cells.astype(np.uint8))):
            folder = tmp_path / "data" / kind
            folder.mkdir(parents=True, exist_ok=True)
            if number == 0:
                tifffile.imwrite(folder / "c0.ome.tif", array, photometric="minisblack", tile=(256, 256), metadata={"axes": "YX"})
            else:
                Image.fromarray(array).save(folder / f"c{number}.png")
    return tmp_path / "data"


@pytest.mark.slow
def test_from_files_to_masks_in_tiles(
    pictures: Path, small_config: Callable[..., Config], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[tuple[int, int], int]] = []
    whole = volumes.covering_windows

    def spy(shape: tuple[int, int, int], *, length: int, tile: tuple[int, int]) -> object:
        windows = whole(shape, length=length, tile=tile)
        seen.append((tile, len(windows)))
        return windows

    monkeypatch.setattr(volumes, "covering_windows", spy)
    config = small_config("validations=1", "batch.length=null", "generator.coarseness=2", "generator.crops={axial: [48, 48]}")
    run = train(pictures, tmp_path / "run", config=config)
    assert read_config(run / "config.yaml").batch.length == 1
    assert (run / "report.html").is_file()
    seen.clear()
    masks = predict(run, pictures, tmp_path / "masks", threads=1)
    assert [mask.name for mask in masks] == ["c0.ome.tif", "c1.png", "c2.png"]
    assert all(read_labels(mask).array.shape == (1, *SHAPE, 1) for mask in masks)
    assert seen
    assert all(max(tile) <= 512 and count > 1 for tile, count in seen)
