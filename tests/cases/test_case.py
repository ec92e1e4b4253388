from __future__ import annotations

from pathlib import Path

from crgan.cases.case import Case, Dataset


def test_labelled_cases_are_those_with_a_label_file() -> None:
    cases = (
        Case(case_id="a", patient_id="p", images=(Path("a.nii.gz"),), label=Path("a_seg.nii.gz")),
        Case(case_id="b", patient_id="p", images=(Path("b.nii.gz"),)),
    )
    dataset = Dataset(root=Path(), layout="plain", cases=cases, modalities=("T1",), labels=None)
    assert [case.case_id for case in dataset.labelled] == ["a"]
