"""Real data sets: nothing is wrong with them, and what is made wrong on purpose is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from crgan.cases.integrity import check_cases
from crgan.cases.layouts import open_dataset


def kinds(folder: Path) -> list[str | None]:
    return [problem.kind for problem in check_cases(open_dataset(folder), need_labels=True)[1]]


def test_masks_of_a_ct_series_paired_with_its_slices_the_wrong_way_round(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "ct/chaos_liver"
    (tmp_path / "liver").mkdir()
    (tmp_path / "liver" / "DICOM_anon").symlink_to(source.resolve() / "DICOM_anon")
    masks = sorted((source / "Ground").iterdir())
    for folder, order in (("Ground", masks), ("Reversed", masks[::-1])):
        target = tmp_path / "liver" / "Ground"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for mask, name in zip(order, masks, strict=True):
            shutil.copyfile(mask, target / name.name)
        assert kinds(tmp_path / "liver") == ([] if folder == "Ground" else ["turned-label"])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_mask_turned_in_one_of_many_cases(shared_data: Path, tmp_path: Path, axis: int) -> None:
    for patient in range(1, 7):
        shutil.copytree(shared_data / "acdc" / f"patient{patient:03d}", tmp_path / f"patient{patient:03d}", copy_function=shutil.copyfile)
    assert kinds(tmp_path) == []
    path = min(tmp_path.glob("patient003/*_gt.nii.gz"))
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.flip(np.asarray(image.dataobj), axis), image.affine), path)
    found = kinds(tmp_path)
    # The heart lies near the middle: turned along an axis it may still overlap with itself, but not with nothing.
    assert found in (["turned-label"], []) if axis == 2 else found == ["turned-label"]
