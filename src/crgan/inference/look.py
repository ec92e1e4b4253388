"""The places to look at again, as files: a list, a label map of their ranks, and marks that 3D Slicer shows on the image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from crgan.cases.canonical import from_canonical
from crgan.cases.files import split_suffix, write_labels
from crgan.cases.labels import LabelScheme
from crgan.cases.volume import Geometry
from crgan.files import write_json
from crgan.inference.places import LEAST, Place, find_places
from crgan.model import Segmentation

FOLDER = "where_to_look"
SUFFIX = "_look"
"""Of the map of ranks, after the case id."""

_SLICER_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/Schema/markups-schema-v1.0.3.json#"
)


def write_places(out: Path, case_id: str, found: Segmentation, labels: LabelScheme, geometry: Geometry, *, mask: Path) -> list[Place]:
    """Write ``CASE_ID.json``, ``CASE_ID_look.nii.gz`` and, of volumes, ``CASE_ID.mrk.json`` into ``where_to_look/``.

    Parameters
    ----------
    out
        Folder of the masks.
    case_id
        The case.
    found
        What the model says of it, with probabilities, on the canonical grid.
    labels
        What the label values mean.
    geometry
        The image file's grid.
    mask
        The mask's file, whose format a picture's map takes on.
    """
    if found.probabilities is None:
        message = "no probabilities were kept"
        raise ValueError(message)
    chances, values = from_canonical(found.probabilities, geometry), from_canonical(found.labels[None], geometry)[0]
    targets, exclusive = labels.targets, labels.exclusive
    if labels.instances:  # an object that was missed was missed with its border
        targets, exclusive = labels.as_one().targets, True
        chances, masks = chances.max(axis=0, keepdims=True), np.asarray(values > 0)[None]
    else:
        masks = labels.masks(labels.encode(values))
    places, ranks = find_places(np.asarray(chances), masks, targets, geometry, exclusive=exclusive)
    folder, flat = out / FOLDER, geometry.dimensions == 2
    write_labels(folder / f"{case_id}{SUFFIX}{split_suffix(mask)[1] if flat else '.nii.gz'}", ranks, geometry)
    if not flat:
        write_json(folder / f"{case_id}.mrk.json", _slicer_markups(places))
    write_json(folder / f"{case_id}.json", {"case": case_id, "least_probability": LEAST, "places": [place.to_json() for place in places]})
    return places


def _slicer_markups(places: Sequence[Place]) -> dict[str, object]:
    """A list of points as 3D Slicer reads it, in RAS millimetres like ours."""
    points = [
        {
            "id": str(place.rank),
            "label": f"{place.rank} {place.target} {place.probability:.0%}",
            "description": f"{place.volume_mm3:.0f} mm³" + (", at the border of a mark" if place.at_border else ""),
            "position": [round(value, 3) for value in place.position_mm],
            "selected": True,
            "locked": True,
            "visibility": True,
            "positionStatus": "defined",
        }
        for place in places
    ]
    return {"@schema": _SLICER_SCHEMA, "markups": [{"type": "Fiducial", "coordinateSystem": "RAS", "controlPoints": points}]}
