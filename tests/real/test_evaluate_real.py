from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from medpy.metric import binary as medpy

from crgan.evaluation.evaluate import evaluate


def shifted(source: Path, target: Path, voxels: int) -> None:
    image = nib.load(source)
    labels = np.roll(np.asarray(image.dataobj), voxels, axis=1).astype(np.uint8)
    nib.save(nib.Nifti1Image(labels, image.affine, image.header), target)


def test_hippocampi_against_themselves_and_against_medpy(shared_data: Path, tmp_path: Path) -> None:
    truth = shared_data / "msd" / "Task04_Hippocampus" / "labelsTs"
    files = sorted(truth.glob("[!.]*.nii.gz"))[:4]
    for name, voxels in (("same", 0), ("moved", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "labels.json").write_text('{"classes": {"1": "anterior", "2": "posterior"}}')
        for file in files:
            shifted(file, tmp_path / name / file.name, voxels)
    cases = [file.name.removesuffix(".nii.gz") for file in files]
    same = evaluate(tmp_path / "same", truth, out=None, cases=cases)
    for means in same.summary.values():
        assert [means[name].mean for name in ("dice", "fnr", "fpr", "hd95_mm")] == [1, 0, 0, 0]
    moved = evaluate(tmp_path / "moved", truth, out=tmp_path / "scores", cases=cases)
    for case, file in zip(cases, files, strict=True):
        prediction, label = (np.asarray(nib.load(path).dataobj) for path in (tmp_path / "moved" / file.name, file))
        spacing_mm = nib.load(file).header.get_zooms()
        for value, target in ((1, "anterior"), (2, "posterior")):
            metrics = moved.cases[case][target]
            assert metrics["dice"] == pytest.approx(medpy.dc(prediction == value, label == value))
            assert metrics["hausdorff_mm"] == pytest.approx(medpy.hd(prediction == value, label == value, spacing_mm), rel=1e-5)
    assert json.loads((tmp_path / "scores" / "scores.json").read_text())["summary"]["anterior"]["dice"]["n"] == 4


def test_regions_of_a_tumour_in_a_data_set_of_folders(shared_data: Path, tmp_path: Path) -> None:
    # BraTS 2015: necrosis 1, oedema 2, non-enhancing core 3, enhancing core 4.
    root = shared_data / "brats2015"
    folder = min(path for path in root.iterdir() if path.is_dir())
    case = folder.name
    (tmp_path / "labels.json").write_text(
        json.dumps(
            {
                "classes": {"1": "necrosis", "2": "oedema", "3": "non-enhancing", "4": "enhancing"},
                "regions": {"WT": [1, 2, 3, 4], "TC": [1, 3, 4], "ET": [4]},
            }
        )
    )
    label = folder / f"{case}_seg.nii.gz"
    shifted(label, tmp_path / f"{case}.nii.gz", 3)
    scores = evaluate(tmp_path, root, out=None, cases=[case])
    truth, prediction = (np.asarray(nib.load(path).dataobj) for path in (label, tmp_path / f"{case}.nii.gz"))
    for region, values in (("WT", (1, 2, 3, 4)), ("TC", (1, 3, 4)), ("ET", (4,))):
        masks = [np.isin(labels, values) for labels in (prediction, truth)]
        assert scores.cases[case][region]["dice"] == pytest.approx(medpy.dc(*masks))
        assert scores.cases[case][region]["fnr"] == pytest.approx(1 - medpy.recall(*masks))
        assert scores.cases[case][region]["precision"] == pytest.approx(medpy.precision(*masks))
        assert 0 < scores.cases[case][region]["assd_mm"] <= 3
        assert scores.cases[case][region]["hausdorff_mm"] == 3
