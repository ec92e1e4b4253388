"""A CT with one picture of the liver for each slice, whose names run against the slices' positions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from crgan.cases.files import read_volume
from crgan.cases.integrity import check_cases
from crgan.cases.label_formats import read_label
from crgan.cases.layouts import open_dataset


@pytest.fixture(scope="module")
def liver(shared_data: Path) -> Path:
    folder = shared_data / "ct" / "chaos_liver"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/ct/chaos_liver, which is not there")
    return folder


def test_the_liver_has_the_density_of_a_liver(liver: Path) -> None:
    dataset = open_dataset(liver, need_labels=True)
    (case,) = dataset.cases
    assert (dataset.layout, case.case_id, case.label_format) == ("dicom", "chaos_liver", "slices")
    image = read_volume(case.images[0])
    assert case.label is not None
    mask = read_label(case.label, case.label_format, image=image.geometry).array[0] != 0
    inside = image.array[0][mask]
    assert inside.mean() == pytest.approx(141, abs=5)
    assert inside.std() == pytest.approx(34, abs=3)
    assert not check_cases(dataset, need_labels=True)[1]


def test_the_series_is_where_itk_puts_it(liver: Path) -> None:
    volume = read_volume(liver / "DICOM_anon")
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(liver / "DICOM_anon")))
    assert np.array_equal(volume.array[0], sitk.GetArrayViewFromImage(image).transpose(2, 1, 0))
    lps = np.array(image.TransformIndexToPhysicalPoint((511, 511, 77)))
    assert volume.geometry.affine @ [511, 511, 77, 1] == pytest.approx([-lps[0], -lps[1], lps[2], 1])
