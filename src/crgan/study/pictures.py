"""Pictures of a few test patients, the same ones for every system: image, truth, generator, the refiner's maps, final masks."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crgan.cases.canonical import to_canonical
from crgan.cases.reading import read_image
from crgan.cases.volume import Volume
from crgan.evaluation.predicted import Predicted
from crgan.files import atomic_write
from crgan.report.overlays import Overlay, Refinement, draw_overlays

PICTURED = 3
_COLOURS = 256


def write_pictures(path: Path, system: Mapping[str, Predicted], generator: Mapping[str, Predicted] | None) -> None:
    """Draw the patients with the least, the median and the most truth, each on the slice that holds most of it.

    The choice looks at nothing but the truth, so that pictures of different systems show the same.

    Parameters
    ----------
    path
        The PNG file to write.
    system, generator
        The test cases by id, as the whole system and as its generator alone segment them; None without a refiner.
    """
    sizes = {case: int(found.truth.any(axis=0).sum()) for case, found in system.items()}
    present = sorted((case for case, size in sizes.items() if size), key=lambda case: (sizes[case], case)) or list(system)
    chosen = sorted({round(place) for place in np.linspace(0, len(present) - 1, min(PICTURED, len(present)))})
    overlays = [_overlay(system[case], None if generator is None else generator[case]) for case in (present[index] for index in chosen)]
    targets = next(iter(system.values())).targets
    slices = [int(overlay.truth.any(axis=0).sum(axis=(1, 2)).argmax()) for overlay in overlays]
    with atomic_write(path, suffix=".png") as temporary:
        temporary.write_bytes(_smaller(draw_overlays(overlays, targets, slices=slices)))


def _overlay(system: Predicted, generator: Predicted | None) -> Overlay:
    volume = read_image(system.imaged.case, system.imaged.modalities)
    image, spacing_mm = to_canonical(volume)
    # Rows of a picture run downwards, those of a slice of a patient upwards.
    turned = np.s_[..., :: -1 if volume.geometry.dimensions == 2 else 1, :]

    def working(array: NDArray[np.generic]) -> NDArray[np.generic]:
        return to_canonical(Volume(array, volume.geometry))[0][turned]

    first = system if generator is None else generator
    refinement = None
    if generator is not None:
        refinement = Refinement(
            false_negatives=np.asarray(working(system.maps("fn")), np.float32),
            false_positives=np.asarray(working(system.maps("fp")), np.float32),
            final=np.asarray(working(system.decided), bool),
        )
    return Overlay(
        name=system.pair.case_id,
        image=np.asarray(image[0][turned], np.float32),
        truth=np.asarray(working(system.truth), bool),
        generator=np.asarray(working(first.decided), bool),
        spacing_mm=spacing_mm,
        refinement=refinement,
    )


def _smaller(png: bytes) -> bytes:
    """The picture with a palette of its own: about half the size, and no difference to the eye."""
    from PIL import Image

    file = BytesIO()
    with Image.open(BytesIO(png)) as picture:
        # Of the methods the one that keeps colours of which there is little: a missed voxel must not turn grey.
        picture.convert("RGB").quantize(_COLOURS, method=Image.Quantize.MAXCOVERAGE).save(file, format="png", optimize=True)
    return file.getvalue()
