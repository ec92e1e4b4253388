"""What all tests share."""

from __future__ import annotations

import locale
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import settings

from crgan.config import Config, load_config
from crgan.files import write_json

# The same examples on every machine and in every run: a failure is never a matter of luck, and slow machines are no failure.
settings.register_profile("crgan", derandomize=True, deadline=None)
settings.load_profile("crgan")


_LOCALE = locale.setlocale(locale.LC_ALL)


@pytest.fixture(autouse=True)
def _same_locale() -> Iterator[None]:
    """Decoders of DICOM pixels put the process into the C locale, and text files of later tests would be read as ASCII."""
    locale.setlocale(locale.LC_ALL, _LOCALE)
    yield
    locale.setlocale(locale.LC_ALL, _LOCALE)


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data(repository: Path) -> Path:
    """Real images beside the repository; tests that ask for them are skipped where there are none."""
    folder = repository.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs real images in ../shared/data, which is not there")
    return folder


@pytest.fixture
def largest_file() -> Callable[[int], AbstractContextManager[None]]:
    """Let no file grow beyond so many bytes: the system then refuses in the middle of writing, as it does when a disk is full.

    Only within a block, since what the tests print may go to a larger file.
    """
    resource = pytest.importorskip("resource", reason="this system has no such limits")

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limit


PLANTED = "Nightingale"
"""A patient's name that the DICOM files of tests carry, which must turn up nowhere else."""


@pytest.fixture(scope="session")
def write_series() -> Callable[..., Path]:
    """Write a DICOM series of voxels ``(slices, rows, columns)`` and give its folder.

    File names run against the order of positions, like those of many scanners. ``change`` may change the data set of a
    slice, given its number, before it is written, or return False to leave it out.
    """
    import pydicom
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    def write(
        folder: Path,
        voxels: np.ndarray,
        *,
        spacing: tuple[float, float, float] = (2.5, 0.7, 0.8),
        origin: tuple[float, float, float] = (-10.0, 20.0, 30.0),
        directions: np.ndarray | None = None,
        step: tuple[float, float, float] | None = None,
        slope: float = 1.0,
        intercept: float = -1024.0,
        series: str = "1.2.826.0.1.3680043.8.498.7",
        change: Callable[[pydicom.Dataset, int], bool | None] | None = None,
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        axes = np.eye(3)[:2] if directions is None else directions
        along = np.cross(*axes) * spacing[0] if step is None else np.array(step)
        for number, slice_ in enumerate(voxels):
            data = pydicom.Dataset()
            data.file_meta = pydicom.dataset.FileMetaDataset()
            data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
            data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(number)])
            data.PatientName, data.PatientID = f"{PLANTED}^Florence", f"{PLANTED}-1820"
            data.PatientBirthDate, data.PatientSex, data.StudyDate, data.StudyTime = "18200512", "F", "20200101", "120000"
            data.AccessionNumber, data.StudyID, data.ReferringPhysicianName = f"{PLANTED}-A", "1", f"{PLANTED}^Dr"
            data.StudyInstanceUID, data.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.1", series
            data.FrameOfReferenceUID, data.PositionReferenceIndicator = "1.2.826.0.1.3680043.8.498.2", ""
            data.Modality, data.SeriesNumber, data.InstanceNumber = "CT", 4, len(voxels) - number
            data.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
            data.Manufacturer, data.SliceThickness = "none", spacing[0]
            data.ImagePositionPatient = [f"{value:.10g}" for value in np.array(origin) + number * along]
            data.ImageOrientationPatient = [f"{value:.12g}" for value in np.ravel(axes)]
            data.PixelSpacing = [spacing[1], spacing[2]]
            data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = *slice_.shape, 1, "MONOCHROME2"
            data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
            data.RescaleSlope, data.RescaleIntercept, data.RescaleType = slope, intercept, "HU"
            data.PixelData = slice_.astype("<i2").tobytes()
            if change is None or change(data, number) is not False:
                data.save_as(folder / f"IM{len(voxels) - number:04d}", enforce_file_format=True)
        return folder

    return write


NESTED = {"classes": {1: "rim", 2: "core"}, "regions": {"whole": [1, 2], "core": [2]}}
EXCLUSIVE = {"classes": {1: "rim", 2: "core"}}


def draw_patient(index: int, shape: tuple[int, int, int], *, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """A head in two modalities with a ball that is bright in the first and, in its core, in the second: (2, Z, Y, X) and (Z, Y, X)."""
    random = np.random.default_rng([7, index])
    grid = np.indices(shape) - (np.array(shape).reshape(3, 1, 1, 1) - 1) / 2
    half = np.maximum(np.array(shape).reshape(3, 1, 1, 1) / 2, 1)
    head = ((grid / half) ** 2).sum(0) < 1
    # Off centre and away from every symmetry, so that a mirrored or turned mask is another mask.
    centre = np.array([0.1, 0.25, -0.2]).reshape(3, 1, 1, 1) * half + random.uniform(-1, 1, (3, 1, 1, 1))
    distance = np.sqrt(((grid - centre) ** 2).sum(0))
    labels = ((distance < 4.5) & head).astype(np.uint8)
    labels[(distance < 2.5) & head] = classes
    images = np.stack([100 + 90 * (labels > 0), 100 + 90 * (labels > 1)]) + random.normal(0, 6, (2, *shape))
    return np.where(head, images, 0).astype(np.int16), labels


@pytest.fixture(scope="session")
def write_patients() -> Callable[..., Path]:
    """Write a folder of patients, ``p0/p0_flair.nii.gz`` and so on, their axes to R, A and S; gives the folder.

    ``classes`` has a number for each patient: 2 for a ball with a core, 1 for one without.
    """

    def write(
        folder: Path,
        *,
        count: int = 4,
        shape: tuple[int, int, int] = (10, 18, 20),
        spacing_mm: tuple[float, float, float] = (1.1, 1.0, 1.0),
        modalities: tuple[str, ...] = ("flair", "t1"),
        classes: tuple[int, ...] = (2,),
        scheme: dict[str, Any] | None = NESTED,
        labelled: bool = True,
    ) -> Path:
        affine = np.diag([*reversed(spacing_mm), 1.0])
        for index in range(count):
            images, labels = draw_patient(index, shape, classes=classes[index % len(classes)])
            name = f"p{index}"
            files = {f"{name}_{modality}": image for modality, image in zip(modalities, images, strict=False)}
            for stem, array in {**files, **({f"{name}_seg": labels} if labelled else {})}.items():
                path = folder / name / f"{stem}.nii.gz"
                path.parent.mkdir(parents=True, exist_ok=True)
                nib.save(nib.Nifti1Image(np.ascontiguousarray(array.transpose()), affine), path)
        if scheme is not None:
            write_json(folder / "labels.json", scheme)
        return folder

    return write


@pytest.fixture(scope="session")
def small_config(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Config]:
    """Settings of a run that takes a second: networks of a few hundred weights, and a cache of the tests' own."""
    cache = tmp_path_factory.mktemp("prepared")
    small = ("generator.widths=[4,8,8]", "refiner.widths=[4,8,8]", "generator.groups=2", "refiner.groups=2", "validations=2")

    def make(*overrides: str, recipe: str = "default", steps: int | None = 4, **named: Any) -> Config:
        named = {"data.cache": cache, "generator_share": 0.4, **named}
        return load_config(recipe=recipe, overrides=[*small, "batch.length=3", *overrides], threads=1, steps=steps, **named)

    return make


@pytest.fixture(scope="session")
def patients(write_patients: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four patients with nested regions, one of them without a core."""
    return write_patients(tmp_path_factory.mktemp("patients"), classes=(2, 2, 1, 2))


@pytest.fixture(scope="session")
def trained(patients: Path, small_config: Callable[..., Config], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the default system, trained long enough to find the balls of :func:`patients`."""
    from crgan.training.run import train

    # AdamW learns faster in networks as narrow as these; and they are to be the same on every machine, good and not perfect.
    optimisation = [
        f"{stage}_optimisation.{key}"
        for stage, rate in (("generator", 0.02), ("refiner", 0.01))
        for key in ("optimiser=adamw", f"learning_rate={rate}")
    ]
    config = small_config(*optimisation, "refinement.on_doubts=false", precision="32-true", steps=200)
    return train(patients, tmp_path_factory.mktemp("trained") / "run", config=config)
