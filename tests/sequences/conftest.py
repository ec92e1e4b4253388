"""Prepared cases that lie on disk as the store leaves them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from crgan.arrays import save_array
from crgan.cases.labels import IGNORED
from crgan.cases.volume import Geometry
from crgan.preprocessing.label_facts import take_facts
from crgan.preprocessing.prepared import PreparedGeometry
from crgan.preprocessing.stored import StoredCase

MakeStored = Callable[..., StoredCase]


@pytest.fixture
def make_stored(tmp_path: Path) -> MakeStored:
    """Write a case of an image ``(M, Z, Y, X)`` and label codes ``(Z, Y, X)``, below 3 or to be ignored."""

    def make(image: np.ndarray, codes: np.ndarray | None = None, *, case: str = "c0", patient: str | None = None) -> StoredCase:
        folder = tmp_path / case
        folder.mkdir()
        save_array(folder / "image.npy", image)
        shape = image.shape[1:]
        facts = None
        if codes is not None:
            facts, coordinates = take_facts(codes.astype(np.uint8), 3, seed=0)
            save_array(folder / "label.npy", codes.astype(np.uint8))
            save_array(folder / "coordinates.npy", coordinates)
        z, y, x = (slice(0, side) for side in shape)
        return StoredCase(
            case_id=case,
            patient_id=patient or case,
            folder=folder,
            geometry=PreparedGeometry(
                shape=shape, spacing_mm=(1, 1, 1), box=(z, y, x), original_shape=shape, original_spacing_mm=(1, 1, 1)
            ),
            source=Geometry(shape=shape, affine=np.eye(4)),
            codes=facts,
            modalities=tuple(f"m{number}" for number in range(len(image))),
            ignored=0 if codes is None else int((codes == IGNORED).sum()),
        )

    return make
