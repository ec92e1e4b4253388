from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from crgan.evaluation.objects import find_meetings

IDS = arrays.arrays(np.uint8, (4, 5), elements=st.sampled_from([0, 0, 1, 4, 200]))


@given(IDS, IDS)
def test_counts_are_those_of_every_pair(prediction: np.ndarray, truth: np.ndarray) -> None:
    meetings = find_meetings(prediction, truth)
    true, predicted = (sorted(set(ids[ids > 0].tolist())) for ids in (truth, prediction))
    assert meetings.truth_sizes.tolist() == [(truth == a).sum() for a in true]
    assert meetings.prediction_sizes.tolist() == [(prediction == b).sum() for b in predicted]
    expected = {
        (i, j): both for i, a in enumerate(true) for j, b in enumerate(predicted) if (both := int(((truth == a) & (prediction == b)).sum()))
    }
    pairs = zip(meetings.truth.tolist(), meetings.prediction.tolist(), strict=True)
    assert dict(zip(pairs, meetings.shared.tolist(), strict=True)) == expected


def test_shares_by_hand() -> None:
    meetings = find_meetings(np.array([7, 7, 0, 9]), np.array([0, 3, 3, 3]))
    assert meetings.iou.tolist() == pytest.approx([1 / 4, 1 / 3])
    assert meetings.intersection_over_truth().tolist() == pytest.approx([1 / 3, 1 / 3])


@pytest.mark.parametrize("ids", [np.array([1.0, 2.0]), np.array([-1, 2]), np.array([1, 2, 3]), np.array([True, False])])
def test_what_is_no_map_of_ids_is_refused(ids: np.ndarray) -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        find_meetings(ids, np.array([1, 2]))
