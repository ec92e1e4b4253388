"""One case of a prediction: image files in, a mask and maps on the image's own grid out; here or in a worker process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from crgan.cases.canonical import from_canonical, to_canonical
from crgan.cases.case import Case
from crgan.cases.files import write_labels, write_map
from crgan.cases.formats.dicom_seg import write_segmentation
from crgan.cases.formats.pictures import picture_geometry
from crgan.cases.labels import LabelScheme
from crgan.cases.reading import read_image
from crgan.cases.volume import Geometry
from crgan.conformal import Promise, promised_set
from crgan.dial import Dial
from crgan.ensemble import digest, load_model
from crgan.errors import fail
from crgan.machine import Precision, computing_in, prepare_machine
from crgan.model import Model, Segmentation
from crgan.preprocessing.prepared import Prepared


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of every case of a prediction: where the dial stands; the other settings are those of :func:`crgan.predict`."""

    dial: Dial
    generator_only: bool
    probabilities: bool
    errors: bool
    where_to_look: bool
    promise: Promise | None
    naming: str | None
    tta: int
    dicom_seg: bool
    precision: Precision

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        dial = replace(self.dial, curves={}).to_json()
        return {**asdict(self), "dial": dial, "promise": None if self.promise is None else self.promise.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseJob:
    """A case to be segmented anywhere; small, and cheap to send.

    Parameters
    ----------
    case
        Its image files, by absolute paths.
    masks
        The file to write; or one for each frame of a movie, where a challenge wants that.
    scheme
        Label values to write.
    out
        Folder of the prediction, below which maps are written.
    request
        What is asked of every case.
    """

    case: Case
    masks: tuple[Path, ...]
    scheme: LabelScheme
    out: Path
    request: Request

    def absolute(self) -> CaseJob:
        """Make the same job for a process that works in another folder."""
        case = replace(self.case, images=tuple(path.absolute() for path in self.case.images))
        return replace(self, case=case, masks=tuple(path.absolute() for path in self.masks), out=self.out.absolute())


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """How a worker process segments: the model, which it reads once, the device, the threads, and whether networks are compiled."""

    models: tuple[Path, ...]
    digest: str
    device: str
    threads: int | None
    compiled: bool = False

    def __call__(self, job: CaseJob) -> None:
        """Segment one case, and no other at the same time: a network holds the statistics of the patient it works on."""
        with _ONE_AT_A_TIME:
            prepare_machine(self.threads)
            segment_case(_read_once(self), job)


_ONE_AT_A_TIME = Lock()


@lru_cache(maxsize=1)
def _read_once(worker: Worker) -> Model:
    if digest(worker.models) != worker.digest:
        raise fail(
            "A worker finds another model in this place.",
            where=worker.models[0],
            fix="put the model on a file system that all workers see under the same path",
        )
    model = load_model(worker.models, device=worker.device)
    if worker.compiled:
        model.compile()
    return model


def segment_case(model: Model, job: CaseJob) -> None:
    """Segment one case and write its files, the mask last: where there is a mask, the case is complete.

    Raises
    ------
    CrganError
        If a file cannot be read or written.
    """
    case, request, labels = job.case, job.request, model.labels
    geometry, prepared = _prepare(case, model)
    with computing_in(request.precision, next(model.generator.parameters()).device):
        found = model.segment(
            prepared,
            case_id=case.case_id,
            fn_threshold=request.dial.by_target("p"),
            fp_threshold=request.dial.by_target("q"),
            smallest=request.dial.smallest,
            generator_only=request.generator_only,
            maps=request.probabilities or request.errors or request.where_to_look or request.promise is not None,
            tta=request.tta,
            movie=geometry.is_movie,
        )
    for name, values in _maps(found, labels.targets, probabilities=request.probabilities, errors=request.errors).items():
        turned = from_canonical(values[None], geometry)[0]
        write_map(job.out / "maps" / f"{case.case_id}_{name}.nii.gz", turned, geometry)
    for name, mask in _promised_sets(found, request.promise).items():
        marked = from_canonical(mask[None].astype(np.uint8), geometry)[0]
        write_labels(job.out / "maps" / f"{case.case_id}_{name}.nii.gz", marked, geometry)
    if request.where_to_look:
        from crgan.inference.look import write_places  # with SciPy, which is slow to load

        write_places(job.out, case.case_id, found, labels, geometry, mask=job.masks[0])
    if request.dicom_seg:
        found_labels = from_canonical(found.labels[None], geometry)[0]
        place = job.out / "dicom-seg" / f"{case.case_id}.dcm"
        write_segmentation(place, found_labels, geometry, series=case.images[0], classes=labels.classes, version=version("crgan"))
    on_grid = from_canonical(_translated(found.labels, labels, job.scheme)[None], geometry)[0]
    _write_masks(job.masks, on_grid, geometry, instances=labels.instances)


def _prepare(case: Case, model: Model) -> tuple[Geometry, Prepared]:
    """The grid of a case's files, and its image as the networks take it; nothing else of the image is kept."""
    volume = read_image(case, model.pipeline.modalities)
    return volume.geometry, model.prepare(*to_canonical(volume))


def _write_masks(paths: Sequence[Path], labels: NDArray[np.integer], geometry: Geometry, *, instances: bool) -> None:
    """Write one mask, or one for each frame, in which ids begin with 1 again."""
    bits: Literal[8, 16] = 16 if instances else 8
    if len(paths) == 1:
        write_labels(paths[0], labels, geometry, least_bits=bits)
        return
    for number, path in enumerate(paths):
        frame = labels[..., number, None]
        if instances and frame.any():
            frame = np.where(frame > 0, frame.astype(np.int64) - (frame[frame > 0].min() - 1), 0)
        write_labels(path, frame, picture_geometry(*geometry.shape[:2]), least_bits=bits)


def _translated(labels: NDArray[np.integer], own: LabelScheme, wanted: LabelScheme) -> NDArray[np.integer]:
    """Write the same targets with other label values."""
    return labels if wanted == own else wanted.decode(own.masks(own.encode(labels)))


def _promised_sets(found: Segmentation, promise: Promise | None) -> dict[str, NDArray[np.bool_]]:
    """The set that was promised of each target, by file name ending."""
    if promise is None or found.probabilities is None:
        return {}
    return {
        f"{target.replace(' ', '-')}_promise": promised_set(values, guarantee.sensitivity)
        for (target, guarantee), values in zip(promise.targets.items(), found.probabilities, strict=True)
    }


def _maps(found: Segmentation, targets: Sequence[str], *, probabilities: bool, errors: bool) -> dict[str, NDArray[np.float32]]:
    """The maps asked for, by file name ending."""
    maps: dict[str, NDArray[np.float32]] = {}
    kinds = [("probability", found.probabilities, probabilities), ("fn", found.missed, errors), ("fp", found.added, errors)]
    for kind, values, asked in kinds:
        if asked and values is not None:
            for target, value in zip(targets, values, strict=True):
                maps[f"{target.replace(' ', '-')}_{kind}"] = value
    return maps
