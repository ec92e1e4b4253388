"""Folders made by code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Fill ``tmp_path/data`` with small image files of the given names and give the folder.

    Names of labels (by their folder or last word) hold the values 0, 1 and 2, others a ramp.
    """
    root = tmp_path / "data"
    root.mkdir()

    def make(*names: str) -> Path:
        for name in names:
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            is_label = any(word in name.lower() for word in ("label", "seg", "_gt", "mask", "lesion"))
            array = np.arange(8, dtype=np.uint8).reshape(2, 2, 2) % (3 if is_label else 8)
            if path.suffix == ".png":
                Image.fromarray(array.reshape(2, 4)).save(path)
            elif path.name.endswith((".nii", ".nii.gz")):
                nib.save(nib.Nifti1Image(array, np.eye(4)), path)
            else:
                path.touch()
        return root

    return make
