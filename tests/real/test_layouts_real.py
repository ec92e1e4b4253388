"""Real data sets are opened without a word about their layout, and every file of them is sound."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from crgan.cases.canonical import from_canonical, to_canonical
from crgan.cases.files import read_volume, write_labels
from crgan.cases.integrity import check_cases
from crgan.cases.labels import LabelScheme
from crgan.cases.layouts import open_dataset, open_labels
from crgan.cases.reading import read_case
from crgan.cases.splits import read_split

# Folder: layout, cases, patients, modalities, label values (None: instance ids), folds in the split file.
SETS = {
    "msd/Task04_Hippocampus": ("msd", 160, 160, ("MRI",), (0, 1, 2), None),
    "acdc": ("patient_folders", 140, 70, ("image",), (0, 1, 2, 3), None),
    "brats2015": ("brats", 6, 6, ("flair", "t1ce"), (0, 1, 2, 3, 4), 6),
    "openms": ("patient_folders", 3, 3, ("FLAIR", "T1", "T1POST", "T2"), (0, 1), 3),
    "subcortical": ("patient_folders", 7, 7, ("T1",), tuple(range(9)), 7),
    "spinalcord": ("patient_folders", 3, 3, ("image",), (0, 1), None),
    "cells/dsb2018": ("paired", 240, 240, ("red", "green", "blue"), None, None),
    "cells/nih3t3": ("paired", 15, 15, ("image",), None, 5),
}


@pytest.mark.parametrize("name", SETS)
def test_real_data_sets_open_without_options(shared_data: Path, name: str) -> None:
    layout, cases, patients, modalities, values, _ = SETS[name]
    dataset = open_dataset(shared_data / name, need_labels=True)
    assert dataset.layout == layout
    assert len(dataset.cases) == len(dataset.labelled) == len({case.case_id for case in dataset.cases}) == cases
    assert len({case.patient_id for case in dataset.cases}) == patients
    assert dataset.modalities == modalities
    assert dataset.labels is not None
    if values is None:
        assert dataset.labels == LabelScheme(classes={1: "object"}, instances=True)
    else:
        assert dataset.labels.values == values


# Two of the larger sets are read in part: what is wrong with one of their files would be wrong with most.
@pytest.mark.parametrize(("name", "every"), [(name, {"cells/dsb2018": 8, "acdc": 4, "subcortical": 3}.get(name, 1)) for name in SETS])
def test_real_files_are_sound(shared_data: Path, name: str, every: int) -> None:
    dataset = open_dataset(shared_data / name)
    summaries, problems = check_cases(dataset, cases=dataset.cases[::every], need_labels=True)
    assert problems == []
    assert len(summaries) == len(dataset.cases[::every])


def test_the_names_of_a_task_are_those_it_declares(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "msd/Task04_Hippocampus")
    assert dataset.labels == LabelScheme(classes={1: "Anterior", 2: "Posterior"})


def test_single_contrasts_of_the_spinal_cord_are_cases_of_their_own(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "spinalcord")
    assert [(case.case_id, case.patient_id) for case in dataset.cases] == [("t1w", "t1"), ("t2", "t2"), ("t2s_uncropped", "t2s")]


@pytest.mark.parametrize(("part", "count"), [("imagesTr", 160), ("imagesTs", 50)])
def test_image_folders_of_a_task_open_alone(shared_data: Path, part: str, count: int) -> None:
    dataset = open_dataset(shared_data / "msd/Task04_Hippocampus" / part)
    assert (len(dataset.cases), dataset.labelled, dataset.modalities) == (count, (), ("MRI",))


@pytest.mark.parametrize(
    ("folder", "count", "named"), [("msd/Task04_Hippocampus/labelsTs", 50, True), ("cells/nih3t3/labels", 15, False), ("openms", 3, True)]
)
def test_labels_open_alone(shared_data: Path, folder: str, count: int, named: bool) -> None:
    files, scheme, _ = open_labels(shared_data / folder)
    assert len(files) == count
    assert (scheme is not None) is named


@pytest.mark.parametrize("name", [name for name in SETS if name != "spinalcord"])
def test_the_splits_fit_the_data_sets(shared_data: Path, name: str) -> None:
    folds = SETS[name][-1]
    dataset = open_dataset(shared_data / name, labels=LabelScheme(classes={1: "any"}))
    splits = [read_split(shared_data / "splits.json", dataset, fold=fold) for fold in (range(folds) if folds else [None])]
    for split in splits:
        assert split.train
        assert not set(split.train) & set(split.test)
    if folds:
        assert sorted(name for split in splits for name in split.test) == [case.case_id for case in dataset.cases]
    sizes = {"msd/Task04_Hippocampus": (160, 0), "acdc": (112, 28), "cells/dsb2018": (180, 60)}
    if name in sizes:
        assert (len(splits[0].train), len(splits[0].test)) == sizes[name]


@pytest.mark.parametrize(
    "file",
    [
        "acdc/patient001/patient001_frame01.nii.gz",
        "brats2015/brats_2013_pat0001_1/brats_2013_pat0001_1_flair.nii.gz",
        "openms/patient07/patient07_T1.nii.gz",
        "spinalcord/t2/t2.nii.gz",
        "spinalcord/t2s/t2s_uncropped.nii.gz",
        "spinalcord/t1/t1w_seg-manual.nii.gz",
        "ct/spleen_bids/sub-spleen2/ct/sub-spleen2_ct.nii.gz",
        "isles22_bids/rawdata/sub-strokecase0009/ses-0001/sub-strokecase0009_ses-0001_adc.nii.gz",
        "msd/Task04_Hippocampus/imagesTr/hippocampus_001.nii.gz",
    ],
)
def test_masks_land_on_the_grid_of_real_images(shared_data: Path, tmp_path: Path, file: str) -> None:
    source = nib.load(shared_data / file)
    volume = read_volume(shared_data / file)
    assert np.array_equal(volume.geometry.affine, source.affine)
    assert np.allclose(volume.array[0], source.get_fdata(dtype=np.float32), rtol=1e-5, atol=1e-3)
    working, _ = to_canonical(volume)
    mask = (working > np.median(working)).astype(np.uint8)
    write_labels(tmp_path / "mask.nii.gz", from_canonical(mask, volume.geometry)[0], volume.geometry)
    written = nib.load(tmp_path / "mask.nii.gz")
    assert np.array_equal(written.affine, source.affine)
    assert np.array_equal(np.asarray(written.dataobj), volume.array[0] > np.median(volume.array))


def test_the_names_of_brats_2015_tell_its_regions(shared_data: Path) -> None:
    labels = open_dataset(shared_data / "brats2015").labels
    assert labels is not None
    assert labels.regions == {"WT": (1, 2, 3, 4), "TC": (1, 3, 4), "ET": (4,)}


@pytest.mark.parametrize(
    ("folder", "case_id", "modalities", "warnings"),
    [("ct/spleen_bids", "sub-spleen2", ("ct",), 0), ("isles22_bids", "sub-strokecase0009_ses-0001", ("adc", "dwi", "flair"), 1)],
)
def test_bids(shared_data: Path, folder: str, case_id: str, modalities: tuple[str, ...], warnings: int) -> None:
    dataset = open_dataset(shared_data / folder, need_labels=True)
    assert (dataset.layout, dataset.modalities) == ("bids", modalities)
    assert [(case.case_id, case.patient_id) for case in dataset.cases] == [(case_id, case_id.split("_", maxsplit=1)[0])]
    _, problems = check_cases(dataset, need_labels=True)
    assert [problem.severity for problem in problems] == ["warning"] * warnings


def test_flair_is_brought_onto_the_grid_of_the_diffusion_images(shared_data: Path) -> None:
    dataset = open_dataset(shared_data / "isles22_bids")
    read = read_case(dataset.cases[0], dataset)
    assert read.image.shape == (3, 73, 112, 112)
    # Where the diffusion image shows the head the FLAIR does too: they lie on each other.
    head, flair = read.image[1] > np.percentile(read.image[1], 70), read.image[2]
    assert 2 * (head & (flair > np.percentile(flair, 70))).sum() / (2 * head.sum()) > 0.8
