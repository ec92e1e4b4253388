"""Real data sets: nothing is wrong with them, and what is made wrong on purpose is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np

from crgan.cases.integrity import check_cases
from crgan.cases.layouts import open_dataset


def kinds(folder: Path) -> list[str | None]:
    return [problem.kind for problem in check_cases(open_dataset(folder), need_labels=True)[1]]


def test_masks_of_a_ct_series_paired_with_its_slices_the_wrong_way_round(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "ct/chaos_liver"
    shutil.copytree(source / "DICOM_anon", tmp_path / "liver" / "DICOM_anon", copy_function=shutil.copyfile)
    masks = sorted((source / "Ground").iterdir())
    for folder, order in (("Ground", masks), ("Reversed", masks[::-1])):
        target = tmp_path / "liver" / "Ground"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        for mask, name in zip(order, masks, strict=True):
            shutil.copyfile(mask, target / name.name)
        assert kinds(tmp_path / "liver") == ([] if folder == "Ground" else ["turned-label"])


def test_a_mirrored_mask_of_rare_lesions(shared_data: Path, tmp_path: Path) -> None:
    for folder in sorted((shared_data / "openms").iterdir()):
        shutil.copytree(folder, tmp_path / folder.name, copy_function=shutil.copyfile)
    assert kinds(tmp_path) == []
    path = tmp_path / "patient19" / "patient19_lesion.nii.gz"
    image = nib.load(path)
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj)[::-1], image.affine), path)
    assert kinds(tmp_path) == ["turned-label"]
