"""What is learnt from the training cases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crgan.cases.case import Case, Dataset
from crgan.cases.reading import read_case
from crgan.errors import CrganError
from crgan.preprocessing.fitting import common_spacing, fit_reference, fit_spacing
from crgan.preprocessing.landmarks import find_landmarks, fit_landmarks
from crgan.preprocessing.pipeline import Pipeline
from crgan.preprocessing.settings import PreprocessingSettings

MakeDataset = Callable[..., Dataset]
WriteNifti = Callable[[Path, np.ndarray, tuple[float, float, float]], Path]


@pytest.mark.parametrize(
    ("spacings", "expected"),
    [
        ([(1, 1, 1)], (1, 1, 1)),
        ([(10, 1.5, 1.4), (8, 1.5, 1.4), (9, 1.2, 1.8)], (9, 1.5, 1.4)),  # thick slices: the median of each axis
        ([(2, 1, 1)], (1, 1, 1)),  # three planes: cubes
        ([(3, 1, 1)], (1, 1, 1)),
        ([(3.01, 1, 1)], (3.01, 1, 1)),
        ([(1, 1, 1.0005)], (1, 1, 1.0005)),  # the same within 0.1 %
        ([(1, 1, 1), (2, 2, 2), (9, 9, 9)], (2, 2, 2)),
    ],
)
def test_common_spacing(spacings: list[tuple[float, float, float]], expected: tuple[float, float, float]) -> None:
    assert common_spacing(spacings) == expected


def test_takes_the_median_of_the_given_cases_alone(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(4, spacings=((10, 1, 1), (10, 1, 2), (10, 2, 2), (50, 9, 9)))
    fitted = Pipeline.fit(dataset.cases[:3], dataset)
    assert fitted.spacing_mm == (10, 1, 2)
    assert fitted.modalities == ("T1", "FLAIR")
    assert fitted.kinds == ("mr", "mr")
    assert fitted.intensities == (None, None)


def test_equal_spacings_are_not_resampled(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(3, spacings=((1, 1, 1), (1.0004, 1, 1), (1, 1, 0.9996)))
    fitted = Pipeline.fit(dataset.cases, dataset)
    image = np.random.default_rng(0).random((2, 700, 8, 8))  # long enough for 0.04 % to matter
    for spacing in ((1, 1, 1), (1.0004, 1, 1), (1, 1, 0.9996)):
        assert fitted.apply(image, spacing).image.shape == image.shape


@pytest.mark.parametrize(("wanted", "expected"), [("native", None), ((1.0, 2.0, 3.0), (1.0, 2.0, 3.0))])
def test_spacing_as_wished(make_dataset: MakeDataset, wanted: str, expected: tuple[float, float, float] | None) -> None:
    dataset = make_dataset(1)
    assert Pipeline.fit(dataset.cases, dataset, settings=PreprocessingSettings(spacing_mm=wanted)).spacing_mm == expected


def test_pixels_of_2d_images_are_kept(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "a.png")
    case = Case(case_id="a", patient_id="a", images=(tmp_path / "a.png",))
    dataset = Dataset(root=tmp_path, layout="test", cases=(case,), modalities=("grey",), labels=None)
    assert Pipeline.fit(dataset.cases, dataset).spacing_mm is None


def test_ct_is_fitted_within_the_labels(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(2, modalities=("CT",))
    (statistics,) = Pipeline.fit(dataset.cases, dataset).intensities
    assert statistics is not None
    assert 90 < statistics.mean < 110  # the noise around 100, without the background of -1
    assert 50 > statistics.low > 0


def test_ct_without_labels_is_fitted_to_the_body(make_dataset: MakeDataset, write_nifti: WriteNifti) -> None:
    dataset = make_dataset(1, modalities=("CT",), labelled=False)
    image = np.full((12, 16, 20), -1000, np.float32)
    image[2:9, 2:9, 2:9] = np.random.default_rng(0).normal(40, 10, (7, 7, 7))
    write_nifti(dataset.cases[0].images[0], image, (1, 1, 1))
    (statistics,) = Pipeline.fit(dataset.cases, dataset).intensities
    assert statistics is not None
    assert statistics.mean == pytest.approx(40, abs=2)


def test_ct_of_nothing_but_air_is_refused(make_dataset: MakeDataset, write_nifti: WriteNifti) -> None:
    dataset = make_dataset(1, modalities=("CT",), labelled=False)
    write_nifti(dataset.cases[0].images[0], np.full((12, 16, 20), -1000, np.float32), (1, 1, 1))
    with pytest.raises(CrganError, match="nothing but air"):
        Pipeline.fit(dataset.cases, dataset)


def test_the_kind_can_be_set(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(1, modalities=("CT",))
    fitted = Pipeline.fit(dataset.cases, dataset, settings=PreprocessingSettings(kind="mr"))
    assert fitted.kinds == ("mr",)
    assert fitted.intensities == (None,)


def test_the_same_cases_give_the_same_fit(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(2, modalities=("CT",), shape=(40, 60, 60), labelled=False)
    assert Pipeline.fit(dataset.cases, dataset) == Pipeline.fit(dataset.cases, dataset)


def test_no_case_is_told(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(1)
    with pytest.raises(CrganError, match="at least one training case"):
        Pipeline.fit([], dataset)


def test_ct_is_not_fitted_to_what_nobody_annotated(make_dataset: MakeDataset, write_nifti: WriteNifti) -> None:
    dataset = make_dataset(1, modalities=("CT",))
    case, labels = dataset.cases[0], np.full((12, 16, 20), 9, np.uint8)  # mostly the background of -1
    labels[5:7, 7:9, 8:12] = 4
    assert case.label is not None
    assert dataset.labels is not None
    write_nifti(case.label, labels, (1, 1, 1))
    (statistics,) = Pipeline.fit(dataset.cases, replace(dataset, labels=replace(dataset.labels, ignore=9))).intensities
    assert statistics is not None
    assert statistics.mean == pytest.approx(100, abs=20)


def test_landmarks_are_those_of_the_training_cases_foreground(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(3)
    fitted = Pipeline.fit(dataset.cases[:2], dataset, settings=PreprocessingSettings(landmarks=True))
    # As the fixture draws them: noise in a box, on a background of -1.
    found = []
    for case in dataset.cases[:2]:
        image = read_case(case, dataset).image[1]
        found.append(find_landmarks(image[image != -1]))
    assert fitted.landmarks[1] == fit_landmarks([own for own in found if own is not None])
    assert fitted.landmarks[0] != fitted.landmarks[1]
    assert Pipeline.fit(dataset.cases[:2], dataset).landmarks == (None, None)


def test_landmarks_are_fitted_to_corrected_images(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(1)
    plain, corrected = (
        Pipeline.fit(dataset.cases, dataset, settings=PreprocessingSettings(landmarks=True, bias_field=bias_field)).landmarks
        for bias_field in (False, True)
    )
    assert plain != corrected


def test_images_without_contrast_give_no_landmarks(make_dataset: MakeDataset, write_nifti: WriteNifti) -> None:
    dataset = make_dataset(1)
    write_nifti(dataset.cases[0].images[0], np.full((12, 16, 20), 7, np.float32), (1, 1, 1))
    fitted = Pipeline.fit(dataset.cases, dataset, settings=PreprocessingSettings(landmarks=True))
    assert fitted.landmarks[0] is None
    assert fitted.landmarks[1] is not None


def test_ct_is_fitted_to_what_the_steps_before_leave(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(2, modalities=("CT",))
    (windowed,) = Pipeline.fit(dataset.cases, dataset, settings=PreprocessingSettings(window_hu=(95, 105))).intensities
    assert windowed is not None
    assert (windowed.low, windowed.high) == (95, 105)
    assert 98 < windowed.mean < 102
    assert windowed.std < 5.1
    settings = PreprocessingSettings(window_hu=(0, 200), equalisation="histogram")
    (equalised,) = Pipeline.fit(dataset.cases, dataset, settings=settings).intensities
    assert equalised is not None
    assert (equalised.low, equalised.high) == (0, 1)
    assert 0.3 < equalised.mean < 0.7


@pytest.mark.parametrize(
    ("modality", "settings", "step"),
    [("CT", {"bias_field": True}, "bias_field"), ("CT", {"landmarks": True}, "landmarks"), ("T1", {"window_hu": (-100, 400)}, "window_hu")],
)
def test_a_step_that_no_channel_is_for_is_refused(make_dataset: MakeDataset, modality: str, settings: dict[str, Any], step: str) -> None:
    dataset = make_dataset(1, modalities=(modality,))
    with pytest.raises(CrganError, match=step):
        Pipeline.fit(dataset.cases, dataset, settings=PreprocessingSettings(**settings))


def test_the_grid_that_most_labels_were_drawn_on_is_the_reference(write_nifti: WriteNifti, tmp_path: Path) -> None:
    fine, coarse, label = (tmp_path / f"{name}.nii.gz" for name in ("fine", "coarse", "label"))
    write_nifti(fine, np.zeros((8, 4, 4), np.uint8), (1.0, 1.0, 1.0))
    write_nifti(coarse, np.zeros((2, 4, 4), np.uint8), (4.0, 1.0, 1.0))
    write_nifti(label, np.zeros((2, 4, 4), np.uint8), (4.0, 1.0, 1.0))
    drawn = Case(case_id="a", patient_id="a", images=(fine, coarse), label=label)
    assert fit_reference([drawn, drawn, replace(drawn, label=None)]) == 1
    assert fit_reference([replace(drawn, label=None)]) == fit_reference([replace(drawn, images=(fine,))]) == fit_reference([]) == 0
    assert fit_spacing([drawn]) == (4.0, 1.0, 1.0)
